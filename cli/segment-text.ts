// A segment as text: a row of `shm ls`, the line that says it was removed, and JSON for programs.
// shm.ts prints it. Pure.

import { keyText, type SegmentFacts } from '../addon/jbus/index.js';
import { formatTable } from './text-table.js';

/** With what shm.ts found out about it: whether `gc` removes it. */
export interface JudgedSegment extends SegmentFacts {
  readonly isAbandoned: boolean;
}

const HEADER = 'ID|KEY|SIZE|CAPACITY|STATE|OWNER|ATTACHED|FILL|RECORDS|HEARTBEAT|EPOCH|'.split('|');

export function segmentTable(segments: readonly JudgedSegment[]): string {
  return formatTable([HEADER, ...segments.map(segmentRow)], 2);
}

/** `segment 7 (key 0x4a000002, 1 MiB, owner 4242 dead)` */
export function segmentLine(facts: SegmentFacts): string {
  const { id, key, bytes } = facts.status;
  return `segment ${id} (key ${keyOf(key)}, ${bytesText(bytes)}, owner ${ownerOf(facts)})`;
}

/** One JSON object; what cannot be known is null. */
export function segmentJson(event: 'segment' | 'removed', segment: JudgedSegment): string {
  const { status, header, state, usedBytes, heartbeatAgeMs } = segment;
  const known = {
    capacity: header.capacity,
    ownerPid: header.creatorPid,
    ownerAlive: header.creatorPid === 0 ? null : header.creatorAlive,
    usedBytes,
    recordsWritten: header.producer.records,
    recordsRead: header.consumer.records,
    producerPid: header.producer.pid,
    consumerPid: header.consumer.pid,
    heartbeatAgeMs,
    epoch: header.epoch,
  };
  return JSON.stringify({
    event,
    id: status.id,
    key: keyOf(status.key),
    bytes: status.bytes,
    uid: status.uid,
    attached: status.attachCount,
    removed: status.removed,
    version: header.version,
    state,
    stale: segment.isAbandoned,
    ...(state === 'unknown' ? {} : known),
  });
}

/** `4242 alive`, `4242 dead`; a pid of 0 is one of another pid namespace. */
export function ownerOf({ header, state }: SegmentFacts): string {
  if (state === 'unknown' || header.creatorPid === 0) return 'unknown';
  return `${header.creatorPid} ${header.creatorAlive ? 'alive' : 'dead'}`;
}

/** The kernel's keys are signed; a removed segment has none. */
export function keyOf(key: number): string {
  return key === 0 ? 'none' : keyText(key);
}

function segmentRow(segment: JudgedSegment): string[] {
  const { status, header, state, usedBytes, heartbeatAgeMs } = segment;
  const row = [String(status.id), keyOf(status.key), bytesText(status.bytes)];
  if (state === 'unknown') return [...row, '', `version ${header.version}`, '', String(status.attachCount)];
  return [
    ...row,
    bytesText(header.capacity),
    state,
    ownerOf(segment),
    String(status.attachCount),
    usedBytes === null ? 'broken' : `${Math.ceil((usedBytes / header.capacity) * 100)}%`,
    String(header.producer.records),
    heartbeatAgeMs === null ? 'never' : `${(heartbeatAgeMs / 1000).toFixed(1)} s ago`,
    String(header.epoch),
    segment.isAbandoned ? 'stale' : '',
  ];
}

/** The page before the records makes no number round: `4 KiB` more is not shown from 1 MiB on. */
function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const [unit, size] = bytes < 2 ** 20 ? (['KiB', 1024] as const) : (['MiB', 2 ** 20] as const);
  return `${Number((bytes / size).toFixed(1))} ${unit}`;
}
