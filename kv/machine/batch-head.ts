// The head of a batch: reading it, judging it, and the one change that is made to a finished batch, the leader's time.
// batch.ts has the layout.

import { KvError } from '../errors.js';
import { ITEM_HEAD_BYTES } from './batch-items.js';
import { readU32, readU64, writeU64 } from './bytes.js';

export const BATCH_VERSION = 1;
export const BATCH_HEAD_BYTES = 40;
export const SEQUENCE_AT = 16;
export const TIME_AT = 24;
export const ITEMS_AT = 32;

/** Who made a batch. */
export interface Origin {
  /** The member's id. */
  readonly origin: number;
  /** Drawn anew by each process, 1 … 2^53 - 1. */
  readonly boot: number;
  /** 1, 2, 3 … within a boot. 0: not numbered, executed every time it is met; for batches without items. */
  readonly sequence: number;
}

/** @throws KvError KV_BATCH_MALFORMED: there is no head. */
export function originOf(data: Uint8Array): Origin {
  checkHead(data);
  return { origin: readU32(data, 4), boot: readU64(data, 8), sequence: readU64(data, SEQUENCE_AT) };
}

/** Puts the leader's time into a batch that another member sent. @throws KvError KV_BATCH_MALFORMED */
export function stampTime(data: Uint8Array, timeMs: number): void {
  checkHead(data);
  writeU64(data, timeMs, TIME_AT);
}

export function timeOf(data: Uint8Array): number {
  checkHead(data);
  return readU64(data, TIME_AT);
}

export function itemCountOf(data: Uint8Array): number {
  checkHead(data);
  return readU32(data, ITEMS_AT);
}

/**
 * Judges a head by itself.
 * @throws KvError KV_BATCH_MALFORMED: no member writes this. KV_BATCH_FOREIGN: a newer version's, this process must not go on.
 */
export function checkHead(data: Uint8Array): void {
  if (data.length < BATCH_HEAD_BYTES) throw malformed('it is shorter than its head');
  if (data[0] !== BATCH_VERSION) {
    if (data[0]! > BATCH_VERSION) {
      throw new KvError(
        'KV_BATCH_FOREIGN',
        `a batch has version ${data[0]}, this program knows ${BATCH_VERSION}`,
      );
    }
    throw malformed('version 0');
  }
  // The high halves: 21 bits at most, so that each is a safe integer.
  if (readU32(data, 12) > 0x1f_ffff) throw malformed('boot above 2^53');
  if (readU32(data, SEQUENCE_AT + 4) > 0x1f_ffff) throw malformed('sequence above 2^53');
  if (readU32(data, TIME_AT + 4) > 0x1f_ffff) throw malformed('time above 2^53');
  if (readU32(data, ITEMS_AT) > (data.length - BATCH_HEAD_BYTES) / ITEM_HEAD_BYTES) {
    throw malformed('it announces more items than it has bytes for');
  }
}

export function malformed(what: string): KvError {
  return new KvError('KV_BATCH_MALFORMED', `a batch is malformed: ${what}`);
}
