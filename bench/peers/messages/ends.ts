// What the two ends of a way to pass messages are, whichever it is: sender.ts drives the one, reader.ts runs the other.
// Each file *-ends.ts is one way. Frames of a stream are the TLV frames of the package, the kind in place of the id.

import type { Rotation } from '../../rotation.js';

/** A message to be read, the question what was read so far, and a message to be sent back. */
export const KIND_DATA = 1;
export const KIND_FINISH = 2;
export const KIND_PING = 3;

/** Small messages are collected up to here wherever a batch can be sent, records of a ring included. */
export const BATCH_BYTES: number = 64 * 1024;
export const BATCH_MESSAGES_MAX = 1024;
/** On the way at once, where nothing else bounds it: as much as the ring holds. */
export const WINDOW_BYTES: number = 8 * 1024 * 1024;
export const RING_BYTES: number = 8 * 1024 * 1024;

/** What the reader has seen since it was last asked. */
export interface Tally {
  readonly count: number;
  /** Of the first words of all lines, modulo 2^32. */
  readonly sum: number;
}

export interface SendingEnd {
  /** Sends the rotation's next `count` messages; at the end they may still be on the way. */
  send(rotation: Rotation, count: number): Promise<void>;
  /** What the reader has read, once it has read everything; null when nobody reads. */
  finish(): Promise<Tally | null>;
  /** Sends a message and resolves when it has come back. Only where that is measured. */
  ping?(message: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** How many messages of this size are collected to be sent at once. */
export function batchOf(messageBytes: number): number {
  return Math.max(1, Math.min(BATCH_MESSAGES_MAX, Math.floor(BATCH_BYTES / messageBytes)));
}

const TALLY_BYTES = 12;

export function encodeTally({ count, sum }: Tally): Buffer {
  const bytes = Buffer.alloc(TALLY_BYTES);
  bytes.writeDoubleLE(count, 0);
  bytes.writeInt32LE(sum, 8);
  return bytes;
}

export function decodeTally(bytes: Uint8Array): Tally {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { count: view.getFloat64(0, true), sum: view.getInt32(8, true) };
}
