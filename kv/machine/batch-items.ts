// Writes the items of a batch. kv/resp and kv/service keep an ItemWriter each; kv/node joins what they give into batches.
// redis: u32 arguments, each u32 bytes | bytes. native: u64 client | u64 sequence | u64 acknowledged | a protobuf Command.
// exec: u32 watches, each u32 bytes | key | u64 version, then u32 commands, each as in redis.
// exec since: as exec, with a u64 revision behind each version.
// setting: u32 bytes | name | u32 bytes | value, empty to remove it.

import assert from 'node:assert/strict';
import { copyBytes, writeLatin1, writeU32, writeU64 } from './bytes.js';

export const ITEM_HEAD_BYTES = 8;
export const ITEM_REDIS = 1;
export const ITEM_NATIVE = 2;
export const ITEM_EXEC = 3;
export const ITEM_SETTING = 4;
/** From protocol version 2 on. */
export const ITEM_EXEC_SINCE = 5;
export type ItemKind =
  | typeof ITEM_REDIS
  | typeof ITEM_NATIVE
  | typeof ITEM_EXEC
  | typeof ITEM_SETTING
  | typeof ITEM_EXEC_SINCE;
/** Flag of an item that only reads: members without a waiter for it skip it. */
export const READ_ONLY = 1;

/** Encoded items, ready for a batch. */
export interface EncodedItems {
  readonly bytes: Uint8Array;
  readonly count: number;
}

/** A key that an EXEC watches, with the version it had (slot.version), 0 if it was absent. */
export interface Watch {
  readonly key: string;
  readonly version: number;
  /** The store's revision then. Of all keys of an EXEC or of none, for which all members must know it. */
  readonly revision?: number;
}

/** What is handed off is cut from slabs of this size, so that a small command costs no buffer of its own. */
const SLAB_BYTES = 64 * 1024;

/** Collects items; `take` hands them off and begins anew. */
export class ItemWriter {
  #slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #start = 0;
  #end = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Bytes collected so far. */
  get bytes(): number {
    return this.#end - this.#start;
  }

  /** One Redis command; `args[0]` is its name as the client wrote it. One character per byte. */
  redis(args: readonly string[], readOnly: boolean): void {
    const payload = argumentBytes(args);
    this.#head(ITEM_REDIS, readOnly ? READ_ONLY : 0, payload);
    this.#arguments(args);
  }

  /**
   * One Redis command whose arguments lie in `source`, from argument `first` on: argument j is
   * `source[offsets[2 j], offsets[2 j + 1])`. The same as `redis`, without a string per argument.
   */
  copied(source: Uint8Array, offsets: Int32Array, first: number, count: number, readOnly: boolean): void {
    let payload = 4 + 4 * count;
    for (let slot = first * 2; slot < (first + count) * 2; slot += 2)
      payload += offsets[slot + 1]! - offsets[slot]!;
    this.#head(ITEM_REDIS, readOnly ? READ_ONLY : 0, payload);
    this.#u32(count);
    for (let slot = first * 2; slot < (first + count) * 2; slot += 2) {
      const start = offsets[slot]!;
      const end = offsets[slot + 1]!;
      this.#u32(end - start);
      copyBytes(source, start, end, this.#slab, this.#end);
      this.#end += end - start;
    }
  }

  /** A native command. `clientId` 0: without a session. */
  native(
    clientId: number,
    sequence: number,
    acknowledged: number,
    command: Uint8Array,
    readOnly = false,
  ): void {
    this.#head(ITEM_NATIVE, readOnly ? READ_ONLY : 0, 24 + command.length);
    writeU64(this.#slab, clientId, this.#end);
    writeU64(this.#slab, sequence, this.#end + 8);
    writeU64(this.#slab, acknowledged, this.#end + 16);
    this.#slab.set(command, this.#end + 24);
    this.#end += 24 + command.length;
  }

  /** A transaction: all commands, or none if a watched key has another version by then. */
  exec(watches: readonly Watch[], commands: readonly (readonly string[])[], readOnly = false): void {
    const hasRevisions = watches[0]?.revision !== undefined;
    let payload = 8;
    for (const { key } of watches) payload += (hasRevisions ? 20 : 12) + key.length;
    for (const args of commands) payload += argumentBytes(args);
    this.#head(hasRevisions ? ITEM_EXEC_SINCE : ITEM_EXEC, readOnly ? READ_ONLY : 0, payload);
    this.#u32(watches.length);
    for (const { key, version, revision } of watches) {
      this.#text(key);
      this.#u64(version);
      assert((revision !== undefined) === hasRevisions, 'all watches have a revision, or none');
      if (revision !== undefined) this.#u64(revision);
    }
    this.#u32(commands.length);
    for (const args of commands) this.#arguments(args);
  }

  /** Changes a replicated setting; an empty value removes it. */
  setting(name: string, value: string): void {
    this.#head(ITEM_SETTING, 0, 8 + name.length + value.length);
    this.#text(name);
    this.#text(value);
  }

  /** The items so far. The bytes are the caller's; they are never written again. */
  take(): EncodedItems {
    const items = { bytes: this.#slab.subarray(this.#start, this.#end), count: this.#count };
    this.#start = this.#end;
    this.#count = 0;
    return items;
  }

  /** Forgets the items so far. */
  clear(): void {
    this.#end = this.#start;
    this.#count = 0;
  }

  #head(kind: ItemKind, flags: number, payloadBytes: number): void {
    if (this.#end + ITEM_HEAD_BYTES + payloadBytes > this.#slab.length) {
      this.#makeRoom(ITEM_HEAD_BYTES + payloadBytes);
    }
    writeU32(this.#slab, kind | (flags << 8), this.#end);
    writeU32(this.#slab, payloadBytes, this.#end + 4);
    this.#end += ITEM_HEAD_BYTES;
    this.#count += 1;
  }

  #arguments(args: readonly string[]): void {
    this.#u32(args.length);
    for (const argument of args) this.#text(argument);
  }

  #text(text: string): void {
    writeU32(this.#slab, text.length, this.#end);
    writeLatin1(this.#slab, text, this.#end + 4);
    this.#end += 4 + text.length;
  }

  #u64(value: number): void {
    writeU64(this.#slab, value, this.#end);
    this.#end += 8;
  }

  #u32(value: number): void {
    writeU32(this.#slab, value, this.#end);
    this.#end += 4;
  }

  #makeRoom(bytes: number): void {
    const kept = this.#slab.subarray(this.#start, this.#end);
    const needed = kept.length + bytes;
    // What outgrows a slab doubles, so that many items under one take() are copied a constant number of times.
    this.#slab = Buffer.allocUnsafeSlow(needed > SLAB_BYTES / 2 ? needed * 2 : SLAB_BYTES);
    this.#slab.set(kept);
    this.#start = 0;
    this.#end = kept.length;
  }
}

function argumentBytes(args: readonly string[]): number {
  let bytes = 4 + 4 * args.length;
  for (let index = 0; index < args.length; index += 1) bytes += args[index]!.length;
  return bytes;
}
