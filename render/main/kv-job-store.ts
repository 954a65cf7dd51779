// Keeps the records of a main node in the Raft KV, where another one finds them when it takes over.
// Every write is made only while the key of our leadership is there, so a main node that was stopped for so long that
// another one leads writes nothing any more. A write of which nobody knows what came of it is made again: under its own key
// it is the same.
// Keys: NAME/generation, the one that counts; NAME/log/<generation>/<number>, its records in order.
// Value: u8 version | u8 whether the next value goes on | lines of text.

import { setTimeout as delay } from 'node:timers/promises';
import { type Clerk, KvError, op, when, type Operation } from '../../kv/index.js';
import { detached } from '../../rpc/index.js';
import { RenderError } from '../errors.js';
import type { JobStore, StoreRecord } from './job-store.js';
import { RECORD_VERSION, recordOfText, recordText } from './record-codec.js';
import { RecordQueue } from './record-queue.js';

/** Whose writes count: as an election of kv/recipes gives it. */
export interface Fence {
  readonly key: Buffer;
  /** At which the key came to be. */
  readonly token: number;
  /** Aborts when it is lost. */
  readonly signal: AbortSignal;
}

export interface KvJobStoreOptions {
  /** Bytes that may wait to be written; beyond them the store fails, and begins anew with a compaction. Default 64 MiB. */
  readonly pendingBytesMax?: number;
  /** Of one value. Default 256 KiB. */
  readonly valueBytesMax?: number;
  /** Bytes of records above which it wants to begin anew, if that is four times what it began with. Default 8 MiB. */
  readonly compactBytesMin?: number;
  /** Between two attempts while the KV does not take it. Default 200 ms. */
  readonly retryMs?: number;
}

const DEFAULTS: Required<KvJobStoreOptions> = {
  pendingBytesMax: 64 * 2 ** 20,
  valueBytesMax: 256 * 1024,
  compactBytesMin: 8 * 2 ** 20,
  retryMs: 200,
};
const COMPACT_FACTOR = 4;
const HEAD_BYTES = 2;
const NUMBER_DIGITS = 14;
const PAGE = 16;

export class KvJobStore implements JobStore {
  readonly #clerk: Clerk;
  readonly #fence: Fence;
  readonly #prefix: string;
  readonly #options: Required<KvJobStoreOptions>;
  readonly #queue: RecordQueue;
  /** The one that counts, as the KV says. */
  #generation = 0;
  /** The one that is written: another one while a compaction is under way, or has failed. */
  #written = 0;
  /** Of the next value. */
  #number = 0;
  #bytes = 0;
  #compactedBytes = 0;

  /** @param name of the farm: its keys begin with it and a slash */
  constructor(
    clerk: Clerk,
    fence: Fence,
    name: string,
    onFailure: (error: RenderError) => void,
    options: KvJobStoreOptions = {},
  ) {
    this.#clerk = clerk;
    this.#fence = fence;
    this.#prefix = `${name}/`;
    this.#options = { ...DEFAULTS, ...options };
    this.#queue = new RecordQueue({
      // Not as a part of the call in which a record happened to be given.
      keep: (records, isAnew) => detached(() => this.#keep(records, isAnew)),
      failed: onFailure,
    });
  }

  async load(): Promise<readonly StoreRecord[]> {
    try {
      const kept = await this.#clerk.get(`${this.#prefix}generation`);
      this.#generation = kept === null ? 0 : Number(kept.text);
      this.#written = this.#generation;
      await this.#dropOthers();
      const { records, torn } = await this.#read();
      // What an earlier main node did not come to the end of must not go on with ours.
      if (torn.length > 0) await this.#commit(torn.map((key) => op.delete(key)));
      this.#compactedBytes = this.#bytes;
      return records;
    } catch (cause) {
      throw failureOf(cause, 'the jobs cannot be read from the KV');
    }
  }

  append(record: StoreRecord): void {
    const { pendingBytesMax } = this.#options;
    this.#queue.append(lineOf(record));
    if (this.#queue.pendingBytes <= pendingBytesMax) return;
    const text = `the KV is behind: more than ${pendingBytesMax} bytes of jobs wait`;
    this.#queue.fail(new RenderError('RENDER_IO', text));
  }

  flush(): Promise<void> {
    return this.#queue.flush();
  }

  get wantsCompaction(): boolean {
    const { isBeginningAnew, isClosed, hasFailed } = this.#queue;
    if (isBeginningAnew || isClosed || this.#fence.signal.aborted) return false;
    const { compactBytesMin } = this.#options;
    return hasFailed || this.#bytes > Math.max(compactBytesMin, COMPACT_FACTOR * this.#compactedBytes);
  }

  compact(records: readonly StoreRecord[]): void {
    this.#queue.beginAnew(records.map(lineOf));
  }

  close(): Promise<void> {
    return this.#queue.close();
  }

  // Writing

  async #keep(lines: readonly Buffer[], isAnew: boolean): Promise<void> {
    try {
      if (isAnew) await this.#beginAnew(lines);
      else await this.#writeLines(lines);
    } catch (cause) {
      throw failureOf(cause, 'the jobs cannot be kept in the KV');
    }
  }

  /** The new records first, then the one key that says which count, then the end of the old ones. */
  async #beginAnew(lines: readonly Buffer[]): Promise<void> {
    this.#written = this.#generation + 1;
    this.#number = 0;
    this.#bytes = 0;
    await this.#dropOthers(); // what an earlier attempt left
    await this.#writeLines(lines);
    await this.#commit([op.put(`${this.#prefix}generation`, String(this.#written))]);
    this.#generation = this.#written;
    this.#compactedBytes = this.#bytes;
    await this.#dropOthers();
  }

  /** As few values as hold them; the parts of a line that is longer than a value follow each other. */
  async #writeLines(lines: readonly Buffer[]): Promise<void> {
    const { valueBytesMax } = this.#options;
    let held: Buffer[] = [];
    let bytes = 0;
    for (const line of lines) {
      if (bytes + line.length > valueBytesMax) {
        await this.#writeValue(held);
        held = [];
        bytes = 0;
      }
      let from = 0;
      for (; line.length - from > valueBytesMax; from += valueBytesMax)
        await this.#writeValue([line.subarray(from, from + valueBytesMax)], true);
      held.push(line.subarray(from));
      bytes += line.length - from;
    }
    await this.#writeValue(held);
  }

  async #writeValue(parts: readonly Buffer[], goesOn = false): Promise<void> {
    if (parts.length === 0) return;
    const value = Buffer.concat([Buffer.from([RECORD_VERSION, goesOn ? 1 : 0]), ...parts]);
    await this.#commit([op.put(this.#keyOf(this.#number), value)]);
    this.#number += 1;
    this.#bytes += value.length;
  }

  /** Until it is done, or this is no main node any more. @throws RenderError, KvError: it can never be done */
  async #commit(operations: readonly Operation<unknown>[]): Promise<void> {
    const { key, token, signal } = this.#fence;
    for (;;) {
      if (signal.aborted) throw fenced(signal.reason);
      try {
        const txn = this.#clerk.txn({ signal }).if(when.createRevision(key, '=', token));
        if ((await txn.do(...operations).commit()).succeeded) return;
        throw fenced();
      } catch (error) {
        if (signal.aborted) throw fenced(signal.reason);
        if (!(error instanceof KvError) || !PASSING.has(error.code) || this.#queue.isClosed) throw error;
      }
      await delay(this.#options.retryMs, undefined, { signal }).catch(() => undefined); // it aborted: that is seen above
    }
  }

  // Reading

  async #read(): Promise<{ records: StoreRecord[]; torn: Buffer[] }> {
    const records: StoreRecord[] = [];
    let parts: Buffer[] = [];
    let torn: Buffer[] = [];
    const prefix = this.#logOf(this.#generation);
    for await (const { key, value } of this.#clerk.scan({ prefix }, { limit: PAGE })) {
      if (value[0] !== RECORD_VERSION)
        throw new RenderError('RENDER_STATE', `the jobs under ${prefix} are of version ${value[0]}`);
      this.#number = Number(key.toString().slice(prefix.length)) + 1;
      this.#bytes += value.length;
      parts.push(value.subarray(HEAD_BYTES));
      torn.push(key);
      if (value[1] === 1) continue;
      for (const line of Buffer.concat(parts).toString().split('\n'))
        if (line !== '') records.push(recordOfText(line));
      parts = [];
      torn = [];
    }
    return { records, torn };
  }

  /** Removes what is of no generation that counts: left by a compaction that broke off, or replaced by one. */
  async #dropOthers(): Promise<void> {
    const log = `${this.#prefix}log/`;
    const own = this.#logOf(this.#generation);
    for (const span of [
      { start: log, end: own },
      { start: endOf(own), end: endOf(log) },
    ]) {
      while ((await this.#clerk.range(span, { limit: 1, keysOnly: true })).pairs.length > 0)
        await this.#commit([op.deleteRange(span)]); // so many at a time
    }
  }

  #logOf(generation: number): string {
    return `${this.#prefix}log/${padded(generation)}/`;
  }

  #keyOf(number: number): string {
    return `${this.#logOf(this.#written)}${padded(number)}`;
  }
}

/** It may be done later, by the same cluster. */
const PASSING: ReadonlySet<string> = new Set([
  'KV_OUTCOME_UNKNOWN',
  'KV_SESSION_EXPIRED',
  'KV_REPLY_LOST',
  'KV_UNREACHABLE',
  'KV_NO_LEADER',
  'KV_TIMEOUT',
  'KV_QUEUE_FULL',
  'KV_BUSY',
  'KV_CLUSTER_FOREIGN',
]);

function lineOf(record: StoreRecord): Buffer {
  return Buffer.from(`${recordText(record)}\n`);
}

function padded(number: number): string {
  return String(number).padStart(NUMBER_DIGITS, '0');
}

/** Behind all keys that begin so: '/' is followed by '0'. */
function endOf(prefix: string): string {
  return `${prefix.slice(0, -1)}0`;
}

function fenced(cause?: unknown): RenderError {
  return new RenderError('RENDER_STATE', 'another main node leads by now: this one keeps nothing any more', {
    cause,
  });
}

function failureOf(cause: unknown, message: string): RenderError {
  if (cause instanceof RenderError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new RenderError('RENDER_IO', `${message}: ${why}`, { cause });
}
