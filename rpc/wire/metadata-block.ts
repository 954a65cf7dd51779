// Metadata in frames: count u16, then per entry keyBytes u8 | valueBytes u16 | key | value. No bytes at all is no entry.
// Sizes are judged before anything is made of them: an announced entry that is not there ends the connection.

import { type Executed, RpcError } from '../errors.js';
import { Metadata } from '../metadata.js';
import type { FrameBuilder } from './frame-builder.js';
import { FrameReader } from './frame-reader.js';

const ENTRY_HEAD_BYTES = 3;
const COUNT_BYTES = 2;
/** A block of nothing but the shortest entries. */
const ENTRIES_MAX = 256;

/** Bytes of the block; 0 without entries. */
export function metadataBytes(metadata: Metadata | null | undefined): number {
  if (metadata === null || metadata === undefined || metadata.size === 0) return 0;
  let bytes = COUNT_BYTES;
  for (const [key, value] of metadata) bytes += ENTRY_HEAD_BYTES + key.length + value.length; // both are bytes: ASCII
  return bytes;
}

/** Whether the other side takes `metadata`. */
export function fits(metadata: Metadata, bytesMax: number): boolean {
  return metadata.size <= ENTRIES_MAX && metadataBytes(metadata) <= bytesMax;
}

/** @throws RpcError RPC_METADATA_TOO_LARGE: `bytes` is above `bytesMax` or there are too many entries */
export function checkMetadata(
  metadata: Metadata,
  bytes: number,
  bytesMax: number,
  side: 'request' | 'response',
): void {
  const executed = side === 'request' ? 'no' : 'unknown';
  if (bytes > bytesMax)
    throw tooLarge(`${side} metadata has ${bytes} bytes, the limit is ${bytesMax}`, executed);
  if (metadata.size > ENTRIES_MAX)
    throw tooLarge(`${side} metadata has ${metadata.size} entries, the limit is ${ENTRIES_MAX}`, executed);
}

export function writeMetadata(builder: FrameBuilder, metadata: Metadata): void {
  builder.u16(metadata.size);
  for (const [key, value] of metadata) {
    builder.u8(key.length).u16(value.length).ascii(key);
    if (typeof value === 'string') builder.ascii(value);
    else builder.bytes(value);
  }
}

/**
 * Copies everything out of `block`.
 * @throws RpcError RPC_PROTOCOL: no such block; RPC_INVALID_ARGUMENT: a key or value that metadata cannot have
 */
export function readMetadata(block: Buffer): Metadata {
  const metadata = new Metadata();
  if (block.length === 0) return metadata;
  const reader = new FrameReader(block, 0, 'metadata of a');
  const count = reader.u16();
  if (count > ENTRIES_MAX) throw tooLarge(`metadata has ${count} entries, the limit is ${ENTRIES_MAX}`, 'no');
  for (let index = 0; index < count; index += 1) {
    const keyBytes = reader.u8();
    const valueBytes = reader.u16();
    const key = reader.ascii(keyBytes);
    metadata.add(key, key.endsWith('-bin') ? reader.copy(valueBytes) : reader.ascii(valueBytes));
  }
  if (reader.left > 0) throw new RpcError('RPC_PROTOCOL', `${reader.left} bytes behind the metadata`);
  return metadata;
}

function tooLarge(message: string, executed: Executed): RpcError {
  return new RpcError('RPC_METADATA_TOO_LARGE', message, { executed });
}
