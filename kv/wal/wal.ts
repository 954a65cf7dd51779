// The durable log of a Raft member: entries, hard state and snapshot positions in segment files.
// The member's driver appends by token and is told when a token is durable; recovery.ts reads the folder at open.
// Appends that wait while an fdatasync runs share the next one. One batch is in flight at a time: the rules for a torn
// end (segment.ts) rest on it. After the first failed write or fsync nothing more is said or done: KV_POISONED.

import { KvError } from '../errors.js';
import {
  type LogEntry,
  type LogHardState,
  type LogImage,
  type LogPosition,
  type LogWrite,
} from './log-image.js';
import { type ReplayedLog, replay, type SegmentInfo, type TornTail } from './recovery.js';
import { encodeSegmentHead, type LogOwner, SEGMENT_HEAD_BYTES, segmentName } from './segment.js';
import { isNoSpace, type WalFile, type WalFiles, writeFully } from './wal-files.js';
import { completeWalOptions, type WalOptions } from './wal-options.js';
import { WAL_RULES, type WalRules } from './wal-rules.js';
import { encodeBatch, encodeClosed, writeBytes, writeIndexMax } from './write-encoding.js';

/** 'full': entries are refused, hard state and snapshots still go in, compact() may end it. */
export type WalState = 'open' | 'full' | 'poisoned' | 'closed';

/** What the log held when it was opened. */
export interface RecoveredLog {
  readonly hardState: LogHardState;
  /** The newest snapshot the log knows of; its file is the caller's. */
  readonly snapshot: LogPosition;
  /** The entry before `entries[0]`; not above the snapshot. */
  readonly base: LogPosition;
  readonly entries: readonly LogEntry[];
  /** Set when a crash had torn the end of the log, which was cut off there: worth a line in the log. */
  readonly tornTail: TornTail | null;
}

export interface WalStats {
  readonly state: WalState;
  readonly segments: number;
  /** There was no space to make the next segment ahead: the state will be 'full' when this one is. */
  readonly isShort: boolean;
  readonly queuedBytes: number;
  readonly flushes: number;
  readonly appends: number;
}

/** `error` null: the append of this token is durable. Tokens end in the order they were given. */
export type Completion = (token: number, error: KvError | null) => void;

interface Waiting {
  readonly token: number;
  readonly write: LogWrite;
  readonly bytes: number;
}

interface Active {
  readonly file: WalFile;
  readonly segment: SegmentInfo;
  /** Where the next record goes. */
  position: number;
  /** Bytes that the file has. */
  capacity: number;
}

const SPARE_NAME = 'spare.tmp';
/** A regular file takes a part of a write when a signal or a full disk cut it short: not again and again. */
const WRITE_ATTEMPTS = 8;

export class Wal {
  readonly recovered: RecoveredLog;
  readonly #files: WalFiles;
  readonly #owner: LogOwner;
  readonly #options: Required<WalOptions>;
  readonly #rules: WalRules;
  readonly #complete: Completion;
  readonly #unlock: () => Promise<void>;
  readonly #segments: SegmentInfo[];
  #active: Active;
  /** A segment made ahead of its use, so that rolling over waits for no zeros; settles to null when it failed. */
  #spare: Promise<WalFile | null> | null = null;
  /** What is durable, and that with all that waits. */
  #written: LogImage;
  #queued: LogImage;
  #queue: Waiting[] = [];
  #inFlight: Waiting[] = [];
  #queuedBytes = 0;
  #state: WalState = 'open';
  #isShort = false;
  #poison: unknown = null;
  #running: Promise<void> | null = null;
  #compaction: Promise<unknown> = Promise.resolve();
  #retrying: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  #flushes = 0;
  #appends = 0;

  /**
   * Opens the log of a folder, or begins one.
   * @throws KvError KV_LOCKED, KV_LOG_DAMAGED, KV_LOG_FOREIGN, KV_OPTION_INVALID; KV_DISK_FULL: no space for a first
   *   segment; KV_IO: the system refused a call.
   * @param rules for tests only
   */
  static async open(
    files: WalFiles,
    owner: LogOwner,
    complete: Completion,
    options: WalOptions = {},
    rules: WalRules = WAL_RULES,
  ): Promise<Wal> {
    const completeOptions = completeWalOptions(options);
    const unlock = await files.lock();
    try {
      const replayed = await replay(files, owner, rules);
      await removeLeftovers(files);
      const active = await openLast(files, owner, replayed, completeOptions.segmentBytes, rules);
      return new Wal(files, owner, complete, completeOptions, rules, unlock, replayed, active);
    } catch (error) {
      await unlock();
      if (error instanceof KvError) throw error;
      const code = isNoSpace(error) ? 'KV_DISK_FULL' : 'KV_IO';
      throw new KvError(code, `the log in ${files.folder} could not be opened: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  private constructor(
    files: WalFiles,
    owner: LogOwner,
    complete: Completion,
    options: Required<WalOptions>,
    rules: WalRules,
    unlock: () => Promise<void>,
    replayed: ReplayedLog,
    active: Active,
  ) {
    this.#files = files;
    this.#owner = owner;
    this.#complete = complete;
    this.#options = options;
    this.#rules = rules;
    this.#unlock = unlock;
    this.#segments = replayed.segments;
    this.#active = active;
    this.#written = replayed.image;
    this.#queued = replayed.image.clone();
    this.recovered = recoveredFrom(replayed);
    this.#spare = this.#makeSpare();
  }

  get state(): WalState {
    return this.#state;
  }

  /** Hard state that is durable. @throws KvError KV_POISONED: nobody knows what is. */
  get hardState(): LogHardState {
    this.#checkUsable();
    return this.#written.hardState;
  }

  /** Index of the last entry that is durable. @throws KvError KV_POISONED */
  get lastIndex(): number {
    this.#checkUsable();
    return this.#written.lastIndex;
  }

  stats(): WalStats {
    return {
      state: this.#state,
      segments: this.#segments.length,
      isShort: this.#isShort,
      queuedBytes: this.#queuedBytes,
      flushes: this.#flushes,
      appends: this.#appends,
    };
  }

  /**
   * Hands over a write; the completion names `token` once it is durable or has failed. Entries' data must not change
   * until then. A failed completion is KV_DISK_FULL (nothing of the write is in the log) or KV_POISONED.
   * @throws KvError KV_LOG_ORDER, KV_RECORD_TOO_LARGE, KV_QUEUE_FULL, KV_DISK_FULL, KV_POISONED, KV_CLOSED: not handed over.
   */
  append(token: number, write: LogWrite): void {
    this.#checkUsable();
    if (this.#closing !== null) throw new KvError('KV_CLOSED', 'the log is being closed');
    if (this.#state === 'full' && !isSmall(write)) throw this.#fullError();
    const bytes = writeBytes(write);
    const { appendBytesMax, queueBytesMax } = this.#options;
    if (bytes > appendBytesMax) {
      throw new KvError(
        'KV_RECORD_TOO_LARGE',
        `an append of ${bytes} bytes, the limit is ${appendBytesMax} (appendBytesMax)`,
      );
    }
    if (this.#queuedBytes + bytes > queueBytesMax) {
      throw new KvError(
        'KV_QUEUE_FULL',
        `${this.#queuedBytes} bytes wait for the disk (queueBytesMax ${queueBytesMax})`,
      );
    }
    const queued = this.#queued.clone();
    queued.apply(write);
    this.#queued = queued;
    this.#queue.push({ token, write, bytes });
    this.#queuedBytes += bytes;
    this.#running ??= Promise.resolve().then(() => this.#run());
  }

  /**
   * Removes the segments whose entries are all up to `index` and within the newest durable snapshot; gives how many.
   * Keep some entries behind the snapshot for members that lag. Ends the state 'full' when that freed enough.
   * @throws KvError KV_IO: a file could not be removed; the log is as good as before. KV_POISONED, KV_CLOSED.
   */
  compact(index: number): Promise<number> {
    const done = this.#compaction.then(() => this.#compact(index));
    this.#compaction = done.catch(() => undefined); // the caller has the error
    return done;
  }

  /** In the state 'full', or short of space: looks whether there is some again. True when the state is 'open' after it. */
  async retry(): Promise<boolean> {
    this.#checkUsable();
    if (this.#state !== 'full' && !this.#isShort) return true;
    this.#retrying ??= this.#findSpace();
    await this.#retrying;
    return this.state === 'open';
  }

  /** Writes what waits, marks a clean end and lets go of the folder. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #run(): Promise<void> {
    try {
      while (this.#queue.length > 0 && this.#state !== 'poisoned') await this.#flush();
    } catch (error) {
      this.#setPoisoned(error);
    } finally {
      this.#running = null;
    }
  }

  async #flush(): Promise<void> {
    const { file, segment, position } = this.#active;
    const batch = this.#takeBatch();
    if (batch.length === 0) {
      // The next append fits no more.
      if (this.#state === 'full' || !(await this.#rollOver(this.#queue[0]!.bytes))) this.#failFull([]);
      return;
    }
    this.#inFlight = batch;
    const startedMs = this.#options.nowMs();
    const bytes = encodeBatch(
      batch.map(({ write }) => write),
      position,
      segment.sequence,
    );
    if (!(await this.#writeWhole(bytes))) {
      this.#failFull(batch);
      this.#inFlight = [];
      return;
    }
    if (file.writeDurably === undefined) await file.dataSync();
    // A spare segment that failed meanwhile has poisoned the log and failed this batch.
    if (this.#isPoisoned()) return;
    this.#active.position = position + bytes.length;
    this.#inFlight = [];
    for (const { write } of batch) {
      this.#written.apply(write);
      segment.indexMax = Math.max(segment.indexMax, writeIndexMax(write));
    }
    this.#flushes += 1;
    this.#appends += batch.length;
    this.#queuedBytes -= bytes.length;
    const ms = this.#options.nowMs() - startedMs;
    this.#tell(() => this.#options.onFlush({ bytes: bytes.length, appends: batch.length, ms }));
    for (const { token } of batch) this.#tell(() => this.#complete(token, null));
  }

  /**
   * Writes a batch in one call, so that what a crash leaves of it is whole sectors. A write that took part of it is undone
   * and made again. False when there is no space; the segment then ends before the batch.
   */
  async #writeWhole(bytes: Buffer): Promise<boolean> {
    const { file, position, capacity } = this.#active;
    for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt += 1) {
      try {
        const written = file.writeDurably?.(bytes, position) ?? file.write(bytes, position);
        if ((await written) === bytes.length) return true;
        await wipe(file, position);
        await file.allocate(capacity);
        await file.dataSync();
      } catch (error) {
        if (!isNoSpace(error)) throw error;
        await wipe(file, position);
        this.#active.capacity = position;
        return false;
      }
    }
    throw new Error(`${WRITE_ATTEMPTS} writes of ${bytes.length} bytes each took a part only`);
  }

  /** Appends from the queue's front that fit into the segment and one batch. */
  #takeBatch(): Waiting[] {
    const { position, capacity } = this.#active;
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#queue) {
      const limit = capacity - (isSmall(waiting.write) ? 0 : this.#options.reserveBytes);
      if (position + bytes + waiting.bytes > limit) break;
      if (count > 0 && bytes + waiting.bytes > this.#options.batchBytesMax) break;
      bytes += waiting.bytes;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  /** Goes on in a new segment with room for `bytes`; false when there is no space for one. */
  async #rollOver(bytes: number): Promise<boolean> {
    const capacity = Math.max(
      this.#options.segmentBytes,
      SEGMENT_HEAD_BYTES + bytes + this.#options.reserveBytes,
    );
    const file = await this.#trySpare();
    if (this.#isPoisoned()) throw this.#poison;
    if (file === null) return false;
    try {
      if (capacity > this.#options.segmentBytes) await file.allocate(capacity);
    } catch (error) {
      if (!isNoSpace(error)) throw error;
      await file.close();
      await this.#files.remove(SPARE_NAME);
      this.#spare = null; // not before: another one would be made under its name
      return false;
    }
    const image = this.#written;
    const sequence = this.#active.segment.sequence + 1;
    const segment = await beginSegment(this.#files, file, this.#owner, image, sequence, this.#rules);
    await this.#active.file.close();
    this.#active = { file, segment, position: SEGMENT_HEAD_BYTES, capacity };
    this.#segments.push(segment);
    this.#spare = this.#makeSpare();
    return true;
  }

  /**
   * The spare that is there or being made; where the last try found no space, one more. Whoever looks for space and
   * whoever needs a segment come here at once: there is one file of that name.
   */
  async #trySpare(): Promise<WalFile | null> {
    const last = this.#spare;
    const file = await last;
    if (file !== null) return file;
    if (this.#spare === last) this.#spare = this.#makeSpare();
    return await this.#spare;
  }

  /** null when there is no space; a failure of another kind poisons the log. Only #trySpare and who took one call it. */
  async #makeSpare(): Promise<WalFile | null> {
    try {
      const file = await makeSegmentFile(this.#files, this.#options.segmentBytes);
      this.#isShort = false;
      return file;
    } catch (error) {
      if (isNoSpace(error)) this.#isShort = true;
      else this.#setPoisoned(error);
      return null;
    }
  }

  async #findSpace(): Promise<void> {
    const spare = await this.#trySpare();
    // Poison may have come in between.
    if (spare !== null && this.#state === 'full') this.#state = 'open';
    this.#retrying = null;
  }

  async #compact(index: number): Promise<number> {
    this.#checkUsable();
    let count = 0;
    try {
      while (!this.#isPoisoned()) {
        const oldest = this.#segments[0]!;
        const through = Math.min(index, this.#written.snapshot.index);
        if (oldest === this.#active.segment || !this.#rules.mayRemove(oldest.indexMax, through)) break;
        await this.#files.remove(oldest.name);
        this.#segments.shift();
        count += 1;
        // One by one: were a later removal to survive a crash and this one not, the log would have a hole.
        await this.#files.syncFolder();
      }
    } catch (error) {
      throw new KvError(
        'KV_IO',
        `segment ${this.#segments[0]?.name} could not be removed: ${messageOf(error)}`,
        {
          cause: error,
        },
      );
    }
    if (count > 0 && this.#state === 'full') await this.retry();
    return count;
  }

  /** Everything not yet written fails; the log is what is durable. */
  #failFull(batch: readonly Waiting[]): void {
    if (this.#isPoisoned()) return; // all of them have failed already
    this.#state = 'full';
    const failed = [...batch, ...this.#queue];
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#queued = this.#written.clone();
    const error = this.#fullError();
    for (const { token } of failed) this.#tell(() => this.#complete(token, error));
  }

  #setPoisoned(error: unknown): void {
    if (this.#state === 'poisoned' || this.#state === 'closed') return;
    this.#state = 'poisoned';
    this.#poison = error;
    const failed = [...this.#inFlight, ...this.#queue];
    this.#inFlight = [];
    this.#queue = [];
    this.#queuedBytes = 0;
    const poisoned = this.#poisonedError();
    for (const { token } of failed) this.#tell(() => this.#complete(token, poisoned));
  }

  /** Calls the owner; its errors are its own and stop nothing here. */
  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  async #close(): Promise<void> {
    await this.#running;
    await this.#compaction;
    await this.#retrying;
    const spare = await this.#spare;
    try {
      if (spare !== null) await spare.close();
      if (this.#state === 'open' || this.#state === 'full') await this.#markClosed();
    } catch (error) {
      this.#setPoisoned(error);
    } finally {
      await this.#active.file.close().catch((error: unknown) => this.#setPoisoned(error));
      await this.#unlock();
    }
    if (this.#state === 'poisoned') return;
    this.#state = 'closed';
  }

  async #markClosed(): Promise<void> {
    const { file, segment, position, capacity } = this.#active;
    const bytes = encodeClosed(position, segment.sequence);
    if (position + bytes.length > capacity) return;
    await writeFully(file, bytes, position);
    await file.dataSync();
  }

  /** A method, for the state changes while others wait. */
  #isPoisoned(): boolean {
    return this.#state === 'poisoned';
  }

  #checkUsable(): void {
    if (this.#state === 'poisoned') throw this.#poisonedError();
    if (this.#state === 'closed') throw new KvError('KV_CLOSED', 'the log was closed');
  }

  #poisonedError(): KvError {
    const what = `a write to the log in ${this.#files.folder} failed: ${messageOf(this.#poison)}`;
    return new KvError('KV_POISONED', `${what}; what is on the disk is known after a restart only`, {
      cause: this.#poison,
    });
  }

  #fullError(): KvError {
    return new KvError('KV_DISK_FULL', `no space left for the log in ${this.#files.folder}`);
  }
}

/** Whether the write may use the reserve: it helps to free space, or keeps the member honest meanwhile. */
function isSmall(write: LogWrite): boolean {
  return write.truncateFrom === undefined && (write.entries === undefined || write.entries.length === 0);
}

async function removeLeftovers(files: WalFiles): Promise<void> {
  if ((await files.list()).includes(SPARE_NAME)) await files.remove(SPARE_NAME);
}

/** The last segment, ready for writing at its end; in an empty folder, the first one. */
async function openLast(
  files: WalFiles,
  owner: LogOwner,
  replayed: ReplayedLog,
  segmentBytes: number,
  rules: WalRules,
): Promise<Active> {
  if (replayed.last === null) {
    const file = await makeSegmentFile(files, segmentBytes);
    const segment = await beginSegment(files, file, owner, replayed.image, 1, rules);
    replayed.segments.push(segment);
    return { file, segment, position: SEGMENT_HEAD_BYTES, capacity: segmentBytes };
  }
  const { parsed, bytes } = replayed.last;
  const segment = replayed.segments.at(-1)!;
  const file = await files.open(segment.name);
  try {
    const capacity = await repair(file, parsed.end, parsed.torn, bytes.length, segmentBytes);
    // After a failed fsync the kernel may show bytes that the disk does not have and call them clean. Only the last batch
    // can be such, so it is written once more before anybody relies on it.
    await writeFully(file, bytes.subarray(parsed.lastBatchStart, parsed.end), parsed.lastBatchStart);
    await file.dataSync();
    await files.syncFolder();
    return { file, segment, position: parsed.end, capacity };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Cuts the file, durably: zeros that got to the disk without the cut would mix with what was there. */
async function wipe(file: WalFile, end: number): Promise<void> {
  await file.truncate(end);
  await file.dataSync();
}

/** Wipes what is behind a torn end, so that it can never be read as a continuation, and gives the file its full length. */
async function repair(
  file: WalFile,
  end: number,
  torn: boolean,
  fileBytes: number,
  segmentBytes: number,
): Promise<number> {
  if (torn) await wipe(file, end);
  const size = torn ? end : fileBytes;
  if (size >= segmentBytes) return size;
  try {
    await file.allocate(segmentBytes);
    return segmentBytes;
  } catch (error) {
    if (!isNoSpace(error)) throw error;
    await file.truncate(size);
    return size;
  }
}

/** A segment's file under its temporary name, zeros to its end, durable. */
async function makeSegmentFile(files: WalFiles, bytes: number): Promise<WalFile> {
  const file = await files.create(SPARE_NAME);
  try {
    await file.allocate(bytes);
    await file.dataSync();
    return file;
  } catch (error) {
    await file.close();
    await files.remove(SPARE_NAME);
    throw error;
  }
}

/** Gives a file its head and then its name. */
async function beginSegment(
  files: WalFiles,
  file: WalFile,
  owner: LogOwner,
  image: LogImage,
  sequence: number,
  rules: WalRules,
): Promise<SegmentInfo> {
  const firstIndex = rules.firstIndexAfter(image.lastIndex);
  const { hardState, snapshot, lastTerm: previousTerm } = image;
  const head = { ...owner, sequence, firstIndex, previousTerm, hardState, snapshot };
  await writeFully(file, encodeSegmentHead(head), 0);
  await file.dataSync();
  const name = segmentName(sequence, firstIndex);
  await files.rename(SPARE_NAME, name);
  await files.syncFolder();
  return { name, sequence, indexMax: 0 };
}

function recoveredFrom({ image, entries, tornTail }: ReplayedLog): RecoveredLog {
  const { snapshot } = image;
  let base = image.base;
  let kept: readonly LogEntry[] = entries;
  if (base.term === null && entries.length > 0) {
    // The term went with a compaction; the next entry's is known, and the snapshot reaches beyond it.
    base = { index: entries[0]!.index, term: entries[0]!.term };
    kept = entries.slice(1);
  }
  // A crash may have kept a commit and lost the entries behind it that were not acknowledged.
  const commit = Math.min(image.hardState.commit, image.lastIndex);
  return {
    hardState: { ...image.hardState, commit },
    snapshot,
    base: { index: base.index, term: base.term ?? snapshot.term },
    entries: kept,
    tornTail,
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
