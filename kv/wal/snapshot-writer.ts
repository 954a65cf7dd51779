// Writes one snapshot: to a temporary file, hashed on the way, named only when all of it is durable.
// snapshot-files.ts makes it, for a snapshot taken here as for one that another member sends piece by piece.

import { createHash } from 'node:crypto';
import { KvError } from '../errors.js';
import type { LogPosition } from './log-image.js';
import {
  encodeHead,
  encodeTrailer,
  FRAME_HEAD_BYTES,
  SNAPSHOT_HEAD_BYTES,
  sealFrame,
  snapshotName,
} from './snapshot-format.js';
import { isNoSpace, type WalFile, type WalFiles, writeFully } from './wal-files.js';

export interface SnapshotInfo extends LogPosition {
  readonly name: string;
  /** Bytes that were written, without our own framing. */
  readonly contentBytes: number;
  /** Of the file up to its trailer, hexadecimal. */
  readonly sha256: string;
}

/** Synced on the way so often, or the last sync would hold up everything else on the disk. */
const SYNC_EVERY_BYTES = 16 * 2 ** 20;

export class SnapshotWriter {
  readonly position: LogPosition;
  readonly #files: WalFiles;
  readonly #temporaryName: string;
  readonly #file: WalFile;
  readonly #frame: Buffer;
  readonly #hash = createHash('sha256');
  #filled = FRAME_HEAD_BYTES;
  #fileBytes = 0;
  #syncedBytes = 0;
  #contentBytes = 0;
  #state: 'open' | 'ended' = 'open';

  /** For snapshot-files.ts. */
  static async create(
    files: WalFiles,
    clusterId: number,
    position: LogPosition,
    chunkBytes: number,
    temporaryName: string,
  ): Promise<SnapshotWriter> {
    try {
      const file = await files.create(temporaryName);
      const writer = new SnapshotWriter(files, file, position, chunkBytes, temporaryName);
      await writer.#guard(() => writer.#put(encodeHead({ ...position, clusterId, chunkBytes })));
      return writer;
    } catch (error) {
      throw ioError(error, temporaryName);
    }
  }

  private constructor(
    files: WalFiles,
    file: WalFile,
    position: LogPosition,
    chunkBytes: number,
    temporaryName: string,
  ) {
    this.#files = files;
    this.#file = file;
    this.position = position;
    this.#frame = Buffer.alloc(FRAME_HEAD_BYTES + chunkBytes);
    this.#temporaryName = temporaryName;
  }

  /** Content bytes taken so far: where a sender goes on. */
  get contentBytes(): number {
    return this.#contentBytes;
  }

  /**
   * Takes the next bytes of the content; one call at a time. `bytes` may be reused once it resolves.
   * @throws KvError KV_DISK_FULL, KV_IO: the snapshot is given up and its file removed. KV_CLOSED: it had ended.
   */
  write(bytes: Uint8Array): Promise<void> {
    return this.#guard(async () => {
      for (let done = 0; done < bytes.byteLength; ) {
        const count = Math.min(bytes.byteLength - done, this.#frame.length - this.#filled);
        this.#frame.set(bytes.subarray(done, done + count), this.#filled);
        this.#filled += count;
        this.#contentBytes += count;
        done += count;
        if (this.#filled === this.#frame.length) await this.#putFrame();
      }
    });
  }

  /** Makes it durable and gives it its name. @throws as write(). */
  async finish(): Promise<SnapshotInfo> {
    const name = snapshotName(this.position);
    const sha256 = await this.#guard(async () => {
      if (this.#filled > FRAME_HEAD_BYTES) await this.#putFrame();
      const sha256 = this.#hash.copy().digest();
      await this.#put(encodeTrailer({ contentBytes: this.#contentBytes, sha256 }));
      await this.#file.dataSync();
      await this.#files.rename(this.#temporaryName, name);
      await this.#files.syncFolder();
      return sha256.toString('hex');
    });
    this.#state = 'ended';
    await this.#file.close();
    return { ...this.position, name, contentBytes: this.#contentBytes, sha256 };
  }

  /** Gives it up and removes its file. Does nothing once it has ended. */
  async abort(): Promise<void> {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    try {
      await this.#file.close();
    } finally {
      await this.#files.remove(this.#temporaryName);
    }
  }

  async #putFrame(): Promise<void> {
    await this.#put(sealFrame(this.#frame.subarray(0, this.#filled)));
    this.#filled = FRAME_HEAD_BYTES;
    if (this.#fileBytes - this.#syncedBytes < SYNC_EVERY_BYTES) return;
    await this.#file.dataSync();
    this.#syncedBytes = this.#fileBytes;
  }

  async #put(bytes: Buffer): Promise<void> {
    this.#hash.update(bytes);
    await writeFully(this.#file, bytes, this.#fileBytes);
    this.#fileBytes += bytes.length;
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    if (this.#state === 'ended')
      throw new KvError('KV_CLOSED', `the snapshot at ${this.position.index} has ended`);
    try {
      return await work();
    } catch (error) {
      // Nobody relies on the file: it goes, and another attempt may do better.
      await this.abort().catch(() => undefined); // the first error is the one to tell
      throw ioError(error, this.#temporaryName);
    }
  }
}

export function ioError(error: unknown, name: string): KvError {
  if (error instanceof KvError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new KvError(isNoSpace(error) ? 'KV_DISK_FULL' : 'KV_IO', `snapshot file ${name}: ${message}`, {
    file: name,
    cause: error,
  });
}

/** Where the frame that holds content byte `offset` begins in the file. */
export function frameStart(offset: number, chunkBytes: number): number {
  return SNAPSHOT_HEAD_BYTES + Math.floor(offset / chunkBytes) * (FRAME_HEAD_BYTES + chunkBytes);
}
