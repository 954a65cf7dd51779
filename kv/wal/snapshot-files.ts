// The snapshots of a folder: written beside the log, kept some deep, checked before they are relied upon.
// The member's driver owns the folder (its lock is the log's). A damaged snapshot is refused and the one before it offered.

import { createHash } from 'node:crypto';
import { KvError } from '../errors.js';
import type { LogPosition } from './log-image.js';
import {
  damagedSnapshot,
  decodeHead,
  decodeTrailer,
  FRAME_HEAD_BYTES,
  parseSnapshotName,
  SNAPSHOT_HEAD_BYTES,
  type SnapshotHead,
  snapshotName,
  TRAILER_BYTES,
} from './snapshot-format.js';
import { crc32c } from './crc32c.js';
import { frameStart, ioError, type SnapshotInfo, SnapshotWriter } from './snapshot-writer.js';
import type { WalFile, WalFiles } from './wal-files.js';

export interface SnapshotFilesOptions {
  /** Snapshots to keep, the newest ones. Default 2: one to go on from if the newest is damaged. */
  keep?: number;
  /** Content bytes that are checked together, and read at once. Default 256 KiB; 1 KiB to 16 MiB. */
  chunkBytes?: number;
  /** Those that somebody reads and that stay however old they are. Default none. */
  inUse?: () => readonly LogPosition[];
}

export interface NewestSnapshot {
  /** The newest good one; null when there is none. */
  readonly snapshot: SnapshotInfo | null;
  /** Newer ones that are damaged: worth a line in the log each. */
  readonly refused: readonly KvError[];
}

const TEMPORARY_NAME = /^snapshot-\d+\.tmp$/;

export class SnapshotFiles {
  readonly #files: WalFiles;
  readonly #clusterId: number;
  readonly #keep: number;
  readonly #chunkBytes: number;
  readonly #inUse: () => readonly LogPosition[];
  #begun = 0;

  /** Removes what writers left that died. @throws KvError KV_OPTION_INVALID, KV_IO */
  static async open(
    files: WalFiles,
    clusterId: number,
    options: SnapshotFilesOptions = {},
  ): Promise<SnapshotFiles> {
    const { keep = 2, chunkBytes = 262_144, inUse = (): readonly LogPosition[] => [] } = options;
    check('keep', keep, 1, 1000);
    check('chunkBytes', chunkBytes, 1024, 16 * 2 ** 20);
    try {
      const leftovers = (await files.list()).filter((name) => TEMPORARY_NAME.test(name));
      for (const name of leftovers) await files.remove(name);
    } catch (error) {
      throw ioError(error, files.folder);
    }
    return new SnapshotFiles(files, clusterId, keep, chunkBytes, inUse);
  }

  private constructor(
    files: WalFiles,
    clusterId: number,
    keep: number,
    chunkBytes: number,
    inUse: () => readonly LogPosition[],
  ) {
    this.#files = files;
    this.#clusterId = clusterId;
    this.#keep = keep;
    this.#chunkBytes = chunkBytes;
    this.#inUse = inUse;
  }

  /** Positions of what is there, newest first, unchecked. Compact the log up to the last of them, not further. */
  async list(): Promise<LogPosition[]> {
    const positions = (await this.#files.list())
      .map(parseSnapshotName)
      .filter((position) => position !== null);
    return positions.toSorted((a, b) => b.index - a.index || b.term - a.term);
  }

  /** Begins a snapshot of the state after `position`. Writers do not disturb each other. @throws KvError KV_DISK_FULL, KV_IO */
  begin(position: LogPosition): Promise<SnapshotWriter> {
    this.#begun += 1;
    const name = `snapshot-${this.#begun}.tmp`;
    return SnapshotWriter.create(this.#files, this.#clusterId, position, this.#chunkBytes, name);
  }

  /**
   * Writes a snapshot as its source gives it, waiting for the disk between pieces, and removes those beyond `keep`.
   * @throws KvError KV_DISK_FULL, KV_IO; what the source throws. In each case the snapshots are as before.
   */
  async write(
    position: LogPosition,
    source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): Promise<SnapshotInfo> {
    const writer = await this.begin(position);
    try {
      for await (const bytes of source) await writer.write(bytes);
      const info = await writer.finish();
      await this.prune();
      return info;
    } finally {
      await writer.abort();
    }
  }

  /** Removes all but the newest `keep` and those in use. Gives how many. @throws KvError KV_IO */
  async prune(): Promise<number> {
    const used = this.#inUse();
    const old = (await this.list())
      .slice(this.#keep)
      .filter(
        (position) => !used.some(({ index, term }) => index === position.index && term === position.term),
      );
    try {
      for (const position of old) await this.#files.remove(snapshotName(position));
      if (old.length > 0) await this.#files.syncFolder();
    } catch (error) {
      throw ioError(error, this.#files.folder);
    }
    return old.length;
  }

  /** Reads snapshots from the newest one on until one is good throughout. @throws KvError KV_LOG_FOREIGN, KV_IO */
  async newest(): Promise<NewestSnapshot> {
    const refused: KvError[] = [];
    for (const position of await this.list()) {
      try {
        return { snapshot: await this.verify(position), refused };
      } catch (error) {
        if (!(error instanceof KvError) || error.code !== 'KV_SNAPSHOT_DAMAGED') throw error;
        refused.push(error);
      }
    }
    return { snapshot: null, refused };
  }

  /** Reads all of a snapshot. @throws KvError KV_SNAPSHOT_DAMAGED with file and offset, KV_LOG_FOREIGN, KV_IO */
  async verify(position: LogPosition): Promise<SnapshotInfo> {
    const name = snapshotName(position);
    const hash = createHash('sha256');
    let contentBytes = 0;
    let end: { contentBytes: number; sha256: Buffer; at: number } | null = null;
    for await (const piece of this.#pieces(position, 0)) {
      if (piece.kind === 'trailer') end = { ...decodeTrailer(piece.bytes, name, piece.at), at: piece.at };
      else hash.update(piece.bytes);
      if (piece.kind === 'frame') contentBytes += piece.bytes.length - FRAME_HEAD_BYTES;
    }
    const sha256 = hash.digest();
    if (end === null || end.contentBytes !== contentBytes || !end.sha256.equals(sha256)) {
      throw damagedSnapshot(name, end?.at ?? 0, 'the content is not what the trailer tells');
    }
    return { ...position, name, contentBytes, sha256: sha256.toString('hex') };
  }

  /**
   * The content from byte `offset` on, in pieces that are the caller's; each was checked by itself. Verify a snapshot before
   * relying on it: reading from 0 does not check the hash of the whole again.
   * @throws KvError KV_SNAPSHOT_DAMAGED, KV_LOG_FOREIGN, KV_IO
   */
  async *read(position: LogPosition, offset = 0): AsyncGenerator<Uint8Array, void, undefined> {
    let skip: number | null = null;
    for await (const piece of this.#pieces(position, offset)) {
      if (piece.kind !== 'frame') continue;
      skip ??= offset % piece.chunkBytes;
      const content = piece.bytes.subarray(FRAME_HEAD_BYTES + skip);
      skip = 0;
      if (content.length > 0) yield content;
    }
  }

  /** Head, frames from the one that holds `offset` on, trailer; frames are checked, the trailer is not. */
  async *#pieces(position: LogPosition, offset: number): AsyncGenerator<Piece, void, undefined> {
    const name = snapshotName(position);
    try {
      const file = await this.#files.open(name);
      try {
        const fileBytes = await this.#files.size(name);
        const bytes = await file.read(0, SNAPSHOT_HEAD_BYTES);
        const head = decodeHead(bytes, name, this.#clusterId);
        if (head.index !== position.index || head.term !== position.term) {
          throw damagedSnapshot(name, 0, `the head names entry ${head.index} of term ${head.term}`);
        }
        yield { kind: 'head', bytes, at: 0, chunkBytes: head.chunkBytes };
        yield* framesOf(file, name, head, frameStart(offset, head.chunkBytes), fileBytes - TRAILER_BYTES);
      } finally {
        await file.close();
      }
    } catch (error) {
      throw ioError(error, name);
    }
  }
}

interface Piece {
  readonly kind: 'head' | 'frame' | 'trailer';
  readonly bytes: Buffer;
  readonly at: number;
  readonly chunkBytes: number;
}

async function* framesOf(
  file: WalFile,
  name: string,
  { chunkBytes }: SnapshotHead,
  start: number,
  end: number,
): AsyncGenerator<Piece, void, undefined> {
  let at = start;
  while (at < end) {
    const bytes = await file.read(at, Math.min(FRAME_HEAD_BYTES + chunkBytes, end - at));
    const isWhole =
      bytes.length > FRAME_HEAD_BYTES &&
      bytes.readUInt32LE(0) === bytes.length - FRAME_HEAD_BYTES &&
      bytes.readUInt32LE(4) === crc32c(bytes, FRAME_HEAD_BYTES);
    if (!isWhole) throw damagedSnapshot(name, at, 'a frame is not what was written, or the file is cut');
    yield { kind: 'frame', bytes, at, chunkBytes };
    at += bytes.length;
  }
  yield { kind: 'trailer', bytes: await file.read(end, TRAILER_BYTES), at: Math.max(0, end), chunkBytes };
}

function check(name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new KvError(
    'KV_OPTION_INVALID',
    `${name} is ${value}: a whole number from ${min} to ${max} is right`,
  );
}
