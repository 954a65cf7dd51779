// Keeps the records of a main node in one file of a folder: appended to, and from time to time begun anew with what is left
// to know. A tail that was torn off by a crash is cut away; whatever is before it holds.
// File: 'RNRENDER' | u32 version | records, each u32 bytes | u32 CRC-32 | JSON. Little-endian.

import { crc32 } from 'node:zlib';
import { DiskFiles, KvError, type WalFile, type WalFiles } from '../../kv/index.js';
import { RenderError } from '../errors.js';
import type { JobStore, StoreRecord } from './job-store.js';
import { RECORD_VERSION, recordOfText, recordText } from './record-codec.js';
import { RecordQueue } from './record-queue.js';

const NAME = 'jobs.journal';
const NEW_NAME = 'jobs.journal.new';
const MAGIC = Buffer.from('RNRENDER');
const HEAD_BYTES: number = MAGIC.length + 4;
const RECORD_HEAD_BYTES = 8;
const COMPACT_BYTES_MIN = 8 * 2 ** 20;
const COMPACT_FACTOR = 4;

export class FileJobStore implements JobStore {
  readonly #files: WalFiles;
  readonly #unlock: () => Promise<void>;
  readonly #queue: RecordQueue;
  #file: WalFile | null = null;
  /** Where the next record goes. */
  #end = 0;
  #compactedEnd = 0;

  /** Over files that somebody else opened and locked; `open` is for folders. */
  constructor(files: WalFiles, unlock: () => Promise<void>, onFailure: (error: RenderError) => void) {
    this.#files = files;
    this.#unlock = unlock;
    this.#queue = new RecordQueue({
      keep: (records, isAnew) => this.#keep(records, isAnew),
      failed: onFailure,
    });
  }

  /** @throws RenderError RENDER_STATE: another process has the folder; RENDER_IO */
  static async open(folder: string, onFailure: (error: RenderError) => void): Promise<FileJobStore> {
    const { files, unlock } = await lockedFolder(folder);
    return new FileJobStore(files, unlock, onFailure);
  }

  async load(): Promise<readonly StoreRecord[]> {
    try {
      const names = await this.#files.list();
      if (names.includes(NEW_NAME)) await this.#files.remove(NEW_NAME);
      if (!names.includes(NAME)) {
        this.#file = await this.#create(NAME);
        await this.#files.syncFolder();
        return [];
      }
      const file = await this.#files.open(NAME);
      this.#file = file;
      const { records, end } = decode(await file.read(0, await this.#files.size(NAME)), this.#files.folder);
      if (end < HEAD_BYTES) await file.write(head(), 0);
      this.#end = Math.max(end, HEAD_BYTES);
      await file.truncate(this.#end);
      this.#compactedEnd = HEAD_BYTES;
      return records;
    } catch (cause) {
      throw ioError(cause, 'the journal of jobs cannot be read');
    }
  }

  append(record: StoreRecord): void {
    this.#queue.append(encode(record));
  }

  flush(): Promise<void> {
    return this.#queue.flush();
  }

  /** After a failure too: a new file is the way on. */
  get wantsCompaction(): boolean {
    const { isBeginningAnew, isClosed, hasFailed } = this.#queue;
    if (isBeginningAnew || isClosed) return false;
    return hasFailed || this.#end > Math.max(COMPACT_BYTES_MIN, COMPACT_FACTOR * this.#compactedEnd);
  }

  compact(records: readonly StoreRecord[]): void {
    this.#queue.beginAnew(records.map(encode));
  }

  async close(): Promise<void> {
    await this.#queue.close();
    await this.#file?.close();
    this.#file = null;
    await this.#unlock();
  }

  async #keep(records: readonly Buffer[], isAnew: boolean): Promise<void> {
    try {
      const bytes = Buffer.concat(records);
      if (isAnew) return await this.#keepAnew(bytes);
      const file = this.#file!; // loaded first
      await writeAll(file, bytes, this.#end);
      await file.dataSync();
      this.#end += bytes.byteLength;
    } catch (cause) {
      throw ioError(cause, 'the journal of jobs cannot be written');
    }
  }

  /** What does not become the journal is closed; the next attempt begins it anew. */
  async #keepAnew(bytes: Buffer): Promise<void> {
    const file = await this.#create(NEW_NAME);
    try {
      await writeAll(file, bytes, HEAD_BYTES);
      await file.dataSync();
      await this.#adopt(file, HEAD_BYTES + bytes.byteLength);
    } catch (cause) {
      if (this.#file !== file) await file.close();
      throw cause;
    }
  }

  async #create(name: string): Promise<WalFile> {
    const file = await this.#files.create(name);
    try {
      await writeAll(file, head(), 0);
    } catch (cause) {
      await file.close();
      throw cause;
    }
    if (name === NAME) this.#end = HEAD_BYTES;
    return file;
  }

  /** The new file is complete: it takes the old one's name. */
  async #adopt(file: WalFile, end: number): Promise<void> {
    const old = this.#file;
    await this.#files.rename(NEW_NAME, NAME);
    await this.#files.syncFolder();
    this.#file = file;
    this.#end = end;
    this.#compactedEnd = end;
    await old?.close();
  }
}

/** A folder is of one main node. @throws RenderError RENDER_STATE: another process has it; RENDER_IO */
export async function lockedFolder(
  folder: string,
): Promise<{ readonly files: WalFiles; readonly unlock: () => Promise<void> }> {
  try {
    const files = await DiskFiles.open(folder);
    return { files, unlock: await files.lock() };
  } catch (cause) {
    if (cause instanceof KvError && cause.code === 'KV_LOCKED')
      throw new RenderError('RENDER_STATE', cause.message, { cause });
    throw ioError(cause, `the folder ${folder} cannot be had`);
  }
}

function encode(record: StoreRecord): Buffer {
  const text = recordText(record);
  const bytes = Buffer.allocUnsafe(RECORD_HEAD_BYTES + Buffer.byteLength(text));
  bytes.write(text, RECORD_HEAD_BYTES);
  bytes.writeUInt32LE(bytes.length - RECORD_HEAD_BYTES, 0);
  bytes.writeUInt32LE(crc32(bytes.subarray(RECORD_HEAD_BYTES)), 4);
  return bytes;
}

/** Up to the first record that is not whole. @throws RenderError RENDER_STATE: it is not ours, or of another version */
function decode(bytes: Buffer, folder: string): { records: StoreRecord[]; end: number } {
  const records: StoreRecord[] = [];
  if (bytes.length < HEAD_BYTES) return { records, end: 0 };
  const version = bytes.readUInt32LE(MAGIC.length);
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC) || version !== RECORD_VERSION)
    throw new RenderError('RENDER_STATE', `${folder}/${NAME} is no journal of version ${RECORD_VERSION}`);
  let at = HEAD_BYTES;
  while (at + RECORD_HEAD_BYTES <= bytes.length) {
    const from = at + RECORD_HEAD_BYTES;
    const to = from + bytes.readUInt32LE(at);
    if (to > bytes.length) break;
    const body = bytes.subarray(from, to);
    if (crc32(body) !== bytes.readUInt32LE(at + 4)) break;
    records.push(recordOfText(body.toString())); // its check sum is right: `encode` wrote it in this version
    at = to;
  }
  return { records, end: at };
}

function head(): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES);
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(RECORD_VERSION, MAGIC.length);
  return bytes;
}

async function writeAll(file: WalFile, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; )
    done += await file.write(bytes.subarray(done), position + done);
}

function ioError(cause: unknown, message: string): RenderError {
  if (cause instanceof RenderError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new RenderError('RENDER_IO', `${message}: ${why}`, { cause });
}
