// A snapshot file as bytes: head, frames of equal length but the last, trailer. snapshot-files.ts reads and writes it. Pure.
//
// Little-endian. Head: "RNKVSNP1" | version u32 | chunkBytes u32 | clusterId u64 | index u64 | term u64 | zero u32 |
// crc u32 (CRC-32C of what precedes it). Frame: bytes u32 | crc u32 | bytes. Trailer: zero u32 | crc u32 of what follows |
// contentBytes u64 | sha256 of everything before the trailer, 32 bytes.

import { KvError } from '../errors.js';
import { crc32c } from './crc32c.js';
import type { LogPosition } from './log-image.js';
import { readU64, writeU64 } from './record.js';

const MAGIC = 'RNKVSNP1';
const FORMAT_VERSION = 1;
export const SNAPSHOT_HEAD_BYTES = 48;
export const FRAME_HEAD_BYTES = 8;
export const TRAILER_BYTES = 48;
const SHA256_BYTES = 32;

export interface SnapshotHead extends LogPosition {
  readonly clusterId: number;
  /** Content bytes of every frame but the last. */
  readonly chunkBytes: number;
}

export interface SnapshotTrailer {
  readonly contentBytes: number;
  readonly sha256: Buffer;
}

export function snapshotName({ index, term }: LogPosition): string {
  return `snapshot-${String(index).padStart(16, '0')}-${String(term).padStart(16, '0')}.snap`;
}

export function parseSnapshotName(name: string): LogPosition | null {
  const match = /^snapshot-(\d{16})-(\d{16})\.snap$/.exec(name);
  return match === null ? null : { index: Number(match[1]), term: Number(match[2]) };
}

export function encodeHead(head: SnapshotHead): Buffer {
  const bytes = Buffer.alloc(SNAPSHOT_HEAD_BYTES);
  bytes.write(MAGIC, 0, 'latin1');
  bytes.writeUInt32LE(FORMAT_VERSION, 8);
  bytes.writeUInt32LE(head.chunkBytes, 12);
  writeU64(bytes, head.clusterId, 16);
  writeU64(bytes, head.index, 24);
  writeU64(bytes, head.term, 32);
  bytes.writeUInt32LE(crc32c(bytes, 0, 44), 44);
  return bytes;
}

/** @throws KvError KV_SNAPSHOT_DAMAGED, or KV_LOG_FOREIGN for another cluster's or a newer format. */
export function decodeHead(bytes: Buffer, name: string, clusterId: number): SnapshotHead {
  const isWhole = bytes.length === SNAPSHOT_HEAD_BYTES && bytes.readUInt32LE(44) === crc32c(bytes, 0, 44);
  if (!isWhole || bytes.toString('latin1', 0, 8) !== MAGIC)
    throw damagedSnapshot(name, 0, 'the head is not what was written');
  const version = bytes.readUInt32LE(8);
  if (version !== FORMAT_VERSION) {
    throw new KvError('KV_LOG_FOREIGN', `${name}: format ${version}, this program reads ${FORMAT_VERSION}`, {
      file: name,
    });
  }
  if (readU64(bytes, 16) !== clusterId) {
    throw new KvError('KV_LOG_FOREIGN', `${name} is of cluster ${readU64(bytes, 16)}, not of ${clusterId}`, {
      file: name,
    });
  }
  return {
    chunkBytes: bytes.readUInt32LE(12),
    clusterId,
    index: readU64(bytes, 24),
    term: readU64(bytes, 32),
  };
}

/** Completes a frame whose content is in place behind FRAME_HEAD_BYTES. */
export function sealFrame(frame: Buffer): Buffer {
  frame.writeUInt32LE(frame.length - FRAME_HEAD_BYTES, 0);
  frame.writeUInt32LE(crc32c(frame, FRAME_HEAD_BYTES), 4);
  return frame;
}

export function encodeTrailer({ contentBytes, sha256 }: SnapshotTrailer): Buffer {
  const bytes = Buffer.alloc(TRAILER_BYTES);
  writeU64(bytes, contentBytes, 8);
  sha256.copy(bytes, 16, 0, SHA256_BYTES);
  bytes.writeUInt32LE(crc32c(bytes, 8), 4);
  return bytes;
}

/** @throws KvError KV_SNAPSHOT_DAMAGED */
export function decodeTrailer(bytes: Buffer, name: string, offset: number): SnapshotTrailer {
  const isWhole =
    bytes.length === TRAILER_BYTES &&
    bytes.readUInt32LE(0) === 0 &&
    bytes.readUInt32LE(4) === crc32c(bytes, 8);
  if (!isWhole)
    throw damagedSnapshot(name, offset, 'the trailer is not what was written, or the file is cut');
  return { contentBytes: readU64(bytes, 8), sha256: Buffer.from(bytes.subarray(16)) };
}

export function damagedSnapshot(file: string, offset: number, what: string): KvError {
  return new KvError('KV_SNAPSHOT_DAMAGED', `${file} at byte ${offset}: ${what}`, { file, offset });
}
