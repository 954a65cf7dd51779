// The slowest commands of this member, newest first: what SLOWLOG shows.
// resp-client.ts notes a command when it was answered: the time counts from taking it up to having its answer, and so
// holds the way through the log and the disk. Bounded by count and by what is kept of each.

import { ITEM_HEAD_BYTES, ITEM_REDIS } from '../machine/batch.js';

export interface SlowEntry {
  readonly id: number;
  /** Seconds since the epoch. */
  readonly atSeconds: number;
  readonly micros: number;
  readonly args: readonly string[];
  readonly address: string;
  readonly clientName: string;
}

/** As in Redis: what is kept of a command. */
export const SLOW_ARGS_MAX = 32;
const ARG_BYTES_MAX = 128;
export const SLOW_ENTRIES_MAX: number = 100_000;

export class SlowLog {
  /** Below 0: nothing is noted. 0: everything is. */
  slowerThanMicros = 10_000;
  readonly #entries: SlowEntry[] = [];
  #lengthMax = 128;
  #nextId = 0;

  get length(): number {
    return this.#entries.length;
  }

  get lengthMax(): number {
    return this.#lengthMax;
  }

  set lengthMax(count: number) {
    this.#lengthMax = count;
    this.#trim();
  }

  isSlow(micros: number): boolean {
    return this.slowerThanMicros >= 0 && micros >= this.slowerThanMicros;
  }

  note(entry: Omit<SlowEntry, 'id'>): void {
    this.#entries.push({ ...entry, id: this.#nextId, args: shortened(entry.args) });
    this.#nextId += 1;
    this.#trim();
  }

  /** Newest first; all of them for a negative count. */
  newest(count: number): SlowEntry[] {
    const all = this.#entries.toReversed();
    return count < 0 ? all : all.slice(0, count);
  }

  clear(): void {
    this.#entries.length = 0;
  }

  #trim(): void {
    const over = this.#entries.length - this.#lengthMax;
    if (over > 0) this.#entries.splice(0, over);
  }
}

/** Arguments of the first of encoded items, as many as are kept; of a transaction nothing but its name. */
export function slowArguments(items: Uint8Array): string[] {
  const bytes = Buffer.from(items.buffer, items.byteOffset, items.length);
  if (bytes[0] !== ITEM_REDIS) return ['exec'];
  const count = bytes.readUInt32LE(ITEM_HEAD_BYTES);
  const args: string[] = [];
  let at = ITEM_HEAD_BYTES + 4;
  while (args.length < Math.min(count, SLOW_ARGS_MAX + 1)) {
    const end = at + 4 + bytes.readUInt32LE(at);
    args.push(bytes.toString('latin1', at + 4, end));
    at = end;
  }
  return args;
}

function shortened(args: readonly string[]): string[] {
  const shown = args
    .slice(0, args.length > SLOW_ARGS_MAX ? SLOW_ARGS_MAX - 1 : SLOW_ARGS_MAX)
    .map((arg) =>
      arg.length <= ARG_BYTES_MAX
        ? arg
        : `${arg.slice(0, ARG_BYTES_MAX)}... (${arg.length - ARG_BYTES_MAX} more bytes)`,
    );
  if (args.length > SLOW_ARGS_MAX) shown.push(`... (${args.length - SLOW_ARGS_MAX + 1} more arguments)`);
  return shown;
}
