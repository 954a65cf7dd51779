// Walks a batch without copying it. `open` judges all of it first, so that nothing of a malformed batch is executed.
// The machine keeps one reader; what next() found is read from its fields, valid until the next call.

import { BATCH_HEAD_BYTES, checkHead, malformed } from './batch-head.js';
import {
  ITEM_EXEC,
  ITEM_EXEC_SINCE,
  ITEM_HEAD_BYTES,
  ITEM_NATIVE,
  ITEM_REDIS,
  ITEM_SETTING,
  type ItemKind,
  READ_ONLY,
} from './batch-items.js';
import { latin1, readU32, readU64 } from './bytes.js';
import {
  ARGUMENTS_MAX,
  EXEC_COMMANDS_MAX,
  SETTING_NAME_BYTES_MAX,
  SETTING_VALUE_BYTES_MAX,
} from './limits.js';

export class BatchReader {
  #data: Uint8Array = EMPTY;
  origin = 0;
  boot = 0;
  sequence = 0;
  timeMs = 0;
  /** Items of the batch. */
  count = 0;
  /** Of the item that next() found. */
  kind: ItemKind = ITEM_REDIS;
  readOnly = false;
  #at = 0;
  #itemEnd = 0;
  #left = 0;

  /**
   * Begins with a batch. All offsets and counts in it are checked.
   * @throws KvError KV_BATCH_MALFORMED, KV_BATCH_FOREIGN
   */
  open(data: Uint8Array): void {
    checkHead(data);
    this.#data = data;
    this.origin = readU32(data, 4);
    this.boot = readU64(data, 8);
    this.sequence = readU64(data, 16);
    this.timeMs = readU64(data, 24);
    this.count = readU32(data, 32);
    this.#left = this.count;
    this.#check();
    this.#itemEnd = BATCH_HEAD_BYTES;
  }

  /** Goes to the next item; false at the end. */
  next(): boolean {
    if (this.#left === 0) return false;
    this.#left -= 1;
    const data = this.#data;
    const at = this.#itemEnd;
    this.kind = data[at] as ItemKind; // checked by open()
    this.readOnly = (data[at + 1]! & READ_ONLY) !== 0;
    this.#at = at + ITEM_HEAD_BYTES;
    this.#itemEnd = this.#at + readU32(data, at + 4);
    return true;
  }

  /** Lets go of the bytes. */
  close(): void {
    this.#data = EMPTY;
    this.#left = 0;
  }

  /** The arguments of a redis item, or of the next command of an exec item. */
  args(): string[] {
    const data = this.#data;
    const count = readU32(data, this.#at);
    let at = this.#at + 4;
    let start = at + 4;
    at = start + readU32(data, at);
    const name = nameOf(data, start, at);
    // A literal takes the place that it needs; an array that grows takes 17 at once.
    let args: string[];
    if (count === 3) {
      start = at + 4;
      at = start + readU32(data, at);
      const first = latin1(data, start, at);
      start = at + 4;
      at = start + readU32(data, at);
      args = [name, first, latin1(data, start, at)];
    } else {
      args = [name];
      for (let index = 1; index < count; index += 1) {
        start = at + 4;
        at = start + readU32(data, at);
        args.push(latin1(data, start, at));
      }
    }
    this.#at = at;
    return args;
  }

  /** A count in an exec item. */
  u32(): number {
    const value = readU32(this.#data, this.#at);
    this.#at += 4;
    return value;
  }

  /** A whole number of 64 bits in an exec or native item. */
  u64(): number {
    const value = readU64(this.#data, this.#at);
    this.#at += 8;
    return value;
  }

  /** A key of an exec item, or name or value of a setting. */
  text(): string {
    const start = this.#at + 4;
    this.#at = start + readU32(this.#data, this.#at);
    return latin1(this.#data, start, this.#at);
  }

  /** What is left of the item, as a view. */
  rest(): Uint8Array {
    return this.#data.subarray(this.#at, this.#itemEnd);
  }

  #check(): void {
    const data = this.#data;
    let at = BATCH_HEAD_BYTES;
    for (let index = 0; index < this.count; index += 1) {
      if (data.length - at < ITEM_HEAD_BYTES) throw malformed('an item is cut off');
      const start = at + ITEM_HEAD_BYTES;
      const end = start + readU32(data, at + 4);
      if (end > data.length) throw malformed('an item is cut off');
      if (data[at + 1]! > READ_ONLY) throw malformed('an item has unknown flags');
      checkItem(data, data[at]!, start, end);
      at = end;
    }
    if (at !== data.length) throw malformed('bytes follow the last item');
  }
}

/** Short names of commands, by their characters. Made once, they cost no string for each command. */
const NAMES = new Map<number, string>();
const NAMES_MAX = 1024;

function nameOf(data: Uint8Array, start: number, end: number): string {
  if (end - start > 4) return latin1(data, start, end);
  let characters = 0;
  for (let at = start; at < end; at += 1) {
    if ((data[at]! - 1) >>> 0 > 126) return latin1(data, start, end);
    characters = (characters << 7) | data[at]!;
  }
  let name = NAMES.get(characters);
  if (name === undefined) {
    name = latin1(data, start, end);
    if (NAMES.size < NAMES_MAX) NAMES.set(characters, name);
  }
  return name;
}

const EMPTY = new Uint8Array(0);

function checkItem(data: Uint8Array, kind: number, start: number, end: number): void {
  switch (kind) {
    case ITEM_REDIS:
      if (checkArguments(data, start, end) !== end) throw malformed('bytes follow the last argument');
      return;
    case ITEM_NATIVE:
      if (end - start < 24) throw malformed('a native command is cut off');
      for (let at = start; at < start + 24; at += 8) checkU64(data, at);
      return;
    case ITEM_EXEC:
      checkExec(data, start, end, 1);
      return;
    case ITEM_EXEC_SINCE:
      checkExec(data, start, end, 2);
      return;
    case ITEM_SETTING: {
      const value = checkText(data, start, end, SETTING_NAME_BYTES_MAX);
      if (checkText(data, value, end, SETTING_VALUE_BYTES_MAX) !== end) {
        throw malformed('bytes follow a setting');
      }
      return;
    }
    default:
      throw malformed('an item has an unknown kind');
  }
}

/** `numbers`: u64 behind each watched key. */
function checkExec(data: Uint8Array, start: number, end: number, numbers: number): void {
  let at = start;
  const watches = checkCount(data, at, end, EXEC_COMMANDS_MAX);
  at += 4;
  for (let index = 0; index < watches; index += 1) {
    at = checkText(data, at, end, end);
    if (end - at < 8 * numbers) throw malformed('a watched key is cut off');
    for (let number = 0; number < numbers; number += 1, at += 8) checkU64(data, at);
  }
  const commands = checkCount(data, at, end, EXEC_COMMANDS_MAX);
  at += 4;
  for (let index = 0; index < commands; index += 1) at = checkArguments(data, at, end);
  if (at !== end) throw malformed('bytes follow the last command');
}

/** Where the arguments end. */
function checkArguments(data: Uint8Array, start: number, end: number): number {
  const count = checkCount(data, start, end, ARGUMENTS_MAX);
  if (count === 0) throw malformed('a command has no name');
  let at = start + 4;
  for (let index = 0; index < count; index += 1) {
    if (end - at < 4) throw malformed('an argument is cut off');
    at += 4 + readU32(data, at);
    if (at > end) throw malformed('an argument is cut off');
  }
  return at;
}

function checkCount(data: Uint8Array, at: number, end: number, max: number): number {
  if (end - at < 4) throw malformed('a count is cut off');
  const count = readU32(data, at);
  if (count > max) throw malformed('a count is above its limit');
  return count;
}

function checkText(data: Uint8Array, at: number, end: number, max: number): number {
  if (end - at < 4) throw malformed('a text is cut off');
  const bytes = readU32(data, at);
  if (bytes > max || at + 4 + bytes > end) throw malformed('a text is cut off');
  return at + 4 + bytes;
}

function checkU64(data: Uint8Array, at: number): void {
  if (readU32(data, at + 4) > 0x1f_ffff) throw malformed('a number above 2^53');
}
