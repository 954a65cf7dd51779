// The files of a real folder. Calls run on libuv's threads, never on the event loop's.
// wal.ts and snapshot-files.ts use it as WalFiles; folder-lock.ts keeps other processes out.

import { constants, write } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { KvError } from '../errors.js';
import { lockFolder } from './folder-lock.js';
import type { WalFile, WalFiles } from './wal-files.js';

const ZEROS = Buffer.alloc(2 ** 20);

export class DiskFiles implements WalFiles {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Makes the folder if need be, readable for its owner alone. @throws KvError KV_IO */
  static async open(folder: string): Promise<DiskFiles> {
    const absolute = path.resolve(folder);
    try {
      await makeFolder(absolute);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new KvError('KV_IO', `the folder ${absolute} cannot be made: ${reason}`, {
        cause: error,
        file: absolute,
      });
    }
    return new DiskFiles(absolute);
  }

  list(): Promise<string[]> {
    return readdir(this.folder);
  }

  async size(name: string): Promise<number> {
    return (await stat(this.#path(name))).size;
  }

  async open(name: string): Promise<WalFile> {
    return new DiskFile(await open(this.#path(name), 'r+'));
  }

  async create(name: string): Promise<WalFile> {
    return new DiskFile(await open(this.#path(name), 'w+', 0o600));
  }

  rename(from: string, to: string): Promise<void> {
    return rename(this.#path(from), this.#path(to));
  }

  remove(name: string): Promise<void> {
    return rm(this.#path(name));
  }

  syncFolder(): Promise<void> {
    return syncFolder(this.folder);
  }

  lock(): Promise<() => Promise<void>> {
    return lockFolder(this.folder);
  }

  #path(name: string): string {
    return path.join(this.folder, name);
  }
}

class DiskFile implements WalFile {
  readonly #handle: FileHandle;
  /** The same file, of which each write is durable: one call on libuv's threads instead of two. Opened when needed. */
  #durable: Promise<FileHandle | null> | null = null;
  /** The handle that it resolved to. */
  #durableHandle: FileHandle | null = null;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  writeDurably(bytes: Uint8Array, position: number): Promise<number> {
    const durable = this.#durableHandle;
    return durable === null ? this.#openAndWrite(bytes, position) : writeAt(durable.fd, bytes, position);
  }

  async #openAndWrite(bytes: Uint8Array, position: number): Promise<number> {
    this.#durable ??= openDurable(this.#handle);
    this.#durableHandle = await this.#durable;
    if (this.#durableHandle !== null) return writeAt(this.#durableHandle.fd, bytes, position);
    const written = await this.write(bytes, position);
    await this.dataSync();
    return written;
  }

  async write(bytes: Uint8Array, position: number): Promise<number> {
    return (await this.#handle.write(bytes, 0, bytes.byteLength, position)).bytesWritten;
  }

  async read(position: number, byteCount: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(byteCount);
    let done = 0;
    while (done < byteCount) {
      const { bytesRead } = await this.#handle.read(bytes, done, byteCount - done, position + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return bytes.subarray(0, done);
  }

  /** Writes zeros: blocks that exist and are initialised leave fdatasync no metadata to write. Node has no fallocate. */
  async allocate(byteCount: number): Promise<void> {
    let { size } = await this.#handle.stat();
    while (size < byteCount) {
      size += await this.write(ZEROS.subarray(0, Math.min(ZEROS.length, byteCount - size)), size);
    }
  }

  truncate(byteCount: number): Promise<void> {
    return this.#handle.truncate(byteCount);
  }

  dataSync(): Promise<void> {
    return this.#handle.datasync();
  }

  async close(): Promise<void> {
    try {
      await (await this.#durable)?.close();
    } finally {
      await this.#handle.close();
    }
  }
}

/** Step by step: where a file system has no room for folders, as /proc, Node's recursive mkdir goes on for ever. */
async function makeFolder(folder: string): Promise<void> {
  const parent = path.dirname(folder);
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(folder)).isDirectory()) return;
    if (code !== 'ENOENT' || parent === folder) throw error;
    await makeFolder(parent);
    await mkdir(folder, { mode: 0o700 });
  }
  await syncFolder(parent); // the entry of a new folder must survive too
}

/** As FileHandle.write does it, at half the cost on the loop's side: this is once per batch of the log. */
function writeAt(fd: number, bytes: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, 0, bytes.byteLength, position, (error, written) => {
      if (error === null) resolve(written);
      else reject(error);
    });
  });
}

/** Null where a descriptor cannot be opened again (not Linux, no /proc). */
async function openDurable({ fd }: FileHandle): Promise<FileHandle | null> {
  try {
    return await open(`/proc/self/fd/${fd}`, constants.O_RDWR | constants.O_DSYNC);
  } catch {
    return null; // fdatasync does the same in two calls
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
