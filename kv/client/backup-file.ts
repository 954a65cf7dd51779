// A backup as a file: what a member streams, with its hash at the end, so that a file which is cut or changed is not taken for
// a backup. `kv backup` writes one, restore.ts reads it.
// Layout, little-endian: `RNKVBAK1` | u32 length | head as JSON | pieces: u32 length, bytes | u32 0 | u32 length | end as JSON.

import { createHash } from 'node:crypto';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import path from 'node:path';
import { KvError } from '../errors.js';
import type { BackupChunk } from '../proto/kv.js';

export interface BackupFacts {
  readonly clusterId: string;
  readonly index: number;
  readonly term: number;
  readonly revision: number;
  readonly timeMs: number;
}

export interface BackupSeal {
  readonly bytes: number;
  /** SHA-256 of all pieces, in hexadecimal. */
  readonly sha256: string;
}

const MAGIC = Buffer.from('RNKVBAK1', 'latin1');
const PIECE_BYTES_MAX = 16 * 1024 ** 2;

/** Writes it under a temporary name and gives it its own once it is whole and on the disk. @throws KvError KV_SNAPSHOT_DAMAGED, KV_IO */
export async function writeBackup(
  file: string,
  chunks: AsyncIterable<BackupChunk>,
): Promise<BackupFacts & BackupSeal> {
  const temporary = `${file}.${process.pid}.tmp`;
  return guarded(file, async () => {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      const written = await write(handle, chunks, file);
      await handle.sync();
      await handle.close();
      await rename(temporary, file);
      await syncFolder(path.dirname(path.resolve(file)));
      return written;
    } catch (error) {
      await handle.close();
      await unlink(temporary);
      throw error;
    }
  });
}

async function write(
  handle: FileHandle,
  chunks: AsyncIterable<BackupChunk>,
  file: string,
): Promise<BackupFacts & BackupSeal> {
  const hash = createHash('sha256');
  let facts: BackupFacts | null = null;
  let bytes = 0;
  for await (const { head, data, end } of chunks) {
    if (head !== undefined) {
      facts = {
        clusterId: head.clusterId,
        index: Number(head.index),
        term: Number(head.term),
        revision: Number(head.revision),
        timeMs: Number(head.timeMs),
      };
      await handle.write(MAGIC);
      await handle.write(framed(Buffer.from(JSON.stringify(facts))));
    }
    if (data.length > 0) {
      hash.update(data);
      bytes += data.length;
      await handle.write(framed(data));
    }
    if (end === undefined) continue;
    const seal = { bytes: Number(end.bytes), sha256: end.sha256 };
    if (facts === null || seal.bytes !== bytes || seal.sha256 !== hash.digest('hex'))
      throw damaged(file, 'what arrived is not what was sent');
    await handle.write(Buffer.alloc(4));
    await handle.write(framed(Buffer.from(JSON.stringify(seal))));
    return { ...facts, ...seal };
  }
  throw damaged(file, 'the member ended it before its end');
}

/** Gives every piece to `take`. Only once it resolves is it certain that they are what was written. @throws KvError KV_SNAPSHOT_DAMAGED, KV_IO */
export async function readBackup(
  file: string,
  take: (piece: Buffer) => void,
): Promise<BackupFacts & BackupSeal> {
  return guarded(file, async () => {
    const handle = await open(file, 'r');
    try {
      let at = 0;
      const next = async (count: number): Promise<Buffer> => {
        const bytes = Buffer.alloc(count);
        for (let filled = 0; filled < count; ) {
          const { bytesRead } = await handle.read(bytes, filled, count - filled, at);
          if (bytesRead === 0) throw damaged(file, `it ends at byte ${at}`);
          filled += bytesRead;
          at += bytesRead;
        }
        return bytes;
      };
      const nextFrame = async (): Promise<Buffer> => {
        const length = (await next(4)).readUInt32LE(0);
        if (length > PIECE_BYTES_MAX) throw damaged(file, `a piece at byte ${at} claims ${length} bytes`);
        return next(length);
      };
      if (!(await next(MAGIC.length)).equals(MAGIC)) throw damaged(file, 'it does not begin like a backup');
      const facts: BackupFacts = parsed(file, await nextFrame());
      const hash = createHash('sha256');
      let bytes = 0;
      for (let piece = await nextFrame(); piece.length > 0; piece = await nextFrame()) {
        hash.update(piece);
        bytes += piece.length;
        take(piece);
      }
      const seal: BackupSeal = parsed(file, await nextFrame());
      if (seal.bytes !== bytes || seal.sha256 !== hash.digest('hex'))
        throw damaged(file, 'its hash is not that of its content');
      return { ...facts, ...seal };
    } finally {
      await handle.close();
    }
  });
}

function framed(bytes: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(4 + bytes.length);
  frame.writeUInt32LE(bytes.length, 0);
  frame.set(bytes, 4);
  return frame;
}

function parsed(file: string, bytes: Buffer): BackupFacts & BackupSeal {
  try {
    return JSON.parse(bytes.toString('utf8')) as BackupFacts & BackupSeal; // each has its part, as write() gave it
  } catch (error) {
    throw damaged(file, 'its head or end cannot be read', error);
  }
}

function damaged(file: string, what: string, cause?: unknown): KvError {
  return new KvError('KV_SNAPSHOT_DAMAGED', `${file}: ${what}`, {
    file,
    ...(cause === undefined ? {} : { cause }),
  });
}

async function syncFolder(folder: string): Promise<void> {
  const directory = await open(folder, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function guarded<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof KvError) throw error;
    throw new KvError('KV_IO', `${file}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
      file,
    });
  }
}
