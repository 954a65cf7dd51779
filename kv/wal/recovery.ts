// Reads the segments of a folder in order and says what the log holds, or why it must not be trusted.
// wal.ts calls it once, at open, and then repairs the last segment's end. Reads only.

import type { LogEntry, LogEntryKind } from './log-image.js';
import { LogImage } from './log-image.js';
import { KIND, readU64 } from './record.js';
import {
  damaged,
  type LogOwner,
  type ParsedSegment,
  parseSegment,
  parseSegmentName,
  payloadOf,
  type SegmentHead,
  type SegmentRecord,
} from './segment.js';
import type { WalFiles } from './wal-files.js';
import { WAL_RULES, type WalRules } from './wal-rules.js';

/** Numbers of the entry kinds on disk. */
export const ENTRY_KINDS: readonly LogEntryKind[] = ['normal', 'noop', 'config'];

export interface SegmentInfo {
  readonly name: string;
  readonly sequence: number;
  /** Highest index of an entry in it; 0 for none. Replaced entries count. */
  indexMax: number;
}

/** The end of a log that a crash tore. */
export interface TornTail {
  readonly file: string;
  readonly offset: number;
}

export interface ReplayedLog {
  readonly image: LogImage;
  /** Behind the image's base, in order, without gaps. */
  readonly entries: LogEntry[];
  readonly segments: SegmentInfo[];
  /** The last segment, null in an empty folder. */
  readonly last: { readonly parsed: ParsedSegment; readonly bytes: Buffer } | null;
  readonly tornTail: TornTail | null;
}

/** @throws KvError KV_LOG_DAMAGED, KV_LOG_FOREIGN: the member must not start on this log. */
export async function replay(
  files: WalFiles,
  owner: LogOwner,
  rules: WalRules = WAL_RULES,
): Promise<ReplayedLog> {
  const names = (await files.list()).filter((name) => parseSegmentName(name) !== null);
  const found = names
    .map((name) => ({ name, sequence: parseSegmentName(name)!.sequence }))
    .toSorted((a, b) => a.sequence - b.sequence);
  const image = new LogImage();
  const entries: LogEntry[] = [];
  const segments: SegmentInfo[] = [];
  let last: ReplayedLog['last'] = null;
  for (const [place, { name, sequence }] of found.entries()) {
    const bytes = await readAll(files, name);
    const parsed = parseSegment(bytes, name, place === found.length - 1, owner, rules);
    if (place === 0) begin(image, parsed.head);
    else checkFollows(image, parsed.head, found[place - 1]!.sequence, name);
    const segment: SegmentInfo = { name, sequence, indexMax: 0 };
    for (const record of parsed.records) take(image, entries, segment, record, bytes);
    segments.push(segment);
    last = { parsed, bytes };
  }
  if (image.base.index > image.snapshot.index) {
    const begins = `the log begins behind entry ${image.base.index}`;
    throw damaged(found[0]!.name, 0, `${begins} and the snapshot reaches to ${image.snapshot.index} only`);
  }
  const tornTail = last?.parsed.torn === true ? { file: found.at(-1)!.name, offset: last.parsed.end } : null;
  return { image, entries, segments, last, tornTail };
}

function begin(image: LogImage, head: SegmentHead): void {
  image.hardState = head.hardState;
  image.snapshot = head.snapshot;
  image.reset(head.firstIndex - 1, head.previousTerm);
}

/** A segment's head repeats what the log before it says: a missing or shortened segment shows here. */
function checkFollows(image: LogImage, head: SegmentHead, previousSequence: number, name: string): void {
  if (head.sequence !== previousSequence + 1) {
    throw damaged(name, 0, `segment ${previousSequence + 1} is missing before it`);
  }
  const { lastTerm } = image;
  const isEqual =
    head.firstIndex === image.lastIndex + 1 &&
    (lastTerm === null || head.previousTerm === null || lastTerm === head.previousTerm) &&
    head.hardState.term === image.hardState.term &&
    head.hardState.vote === image.hardState.vote &&
    head.hardState.commit === image.hardState.commit &&
    head.snapshot.index === image.snapshot.index &&
    head.snapshot.term === image.snapshot.term;
  if (!isEqual) {
    const told = `entry ${head.firstIndex - 1} in term ${head.hardState.term}`;
    const read = `entry ${image.lastIndex} in term ${image.hardState.term}`;
    throw damaged(name, 0, `it begins behind ${told} and the segments before it end with ${read}`);
  }
}

function take(
  image: LogImage,
  entries: LogEntry[],
  segment: SegmentInfo,
  record: SegmentRecord,
  bytes: Buffer,
): void {
  const { kind, index, term, at } = record;
  if (kind === KIND.entry) {
    const entryKind = ENTRY_KINDS[record.type];
    if (index > image.lastIndex + 1 || entryKind === undefined) {
      throw damaged(
        segment.name,
        at,
        `entry ${index} of type ${record.type} behind entry ${image.lastIndex}`,
      );
    }
    image.append(index, term);
    cut(entries, index);
    // A copy: a view would keep the whole segment in memory for as long as one entry of it.
    entries.push({ index, term, kind: entryKind, data: Buffer.from(payloadOf(bytes, record)) });
    segment.indexMax = Math.max(segment.indexMax, index);
  } else if (kind === KIND.hardState) {
    const payload = payloadOf(bytes, record);
    image.hardState = { term, vote: record.type === 1 ? readU64(payload, 0) : null, commit: index };
  } else if (kind === KIND.truncate) {
    image.truncateFrom(index);
    cut(entries, index);
  } else if (kind === KIND.snapshot) {
    if (!image.setSnapshot({ index, term })) entries.length = 0;
  }
}

/** Drops entries from `index` on. */
function cut(entries: LogEntry[], index: number): void {
  const first = entries[0]?.index;
  if (first !== undefined) entries.length = Math.max(0, Math.min(entries.length, index - first));
}

async function readAll(files: WalFiles, name: string): Promise<Buffer> {
  const file = await files.open(name);
  try {
    return await file.read(0, await files.size(name));
  } finally {
    await file.close();
  }
}
