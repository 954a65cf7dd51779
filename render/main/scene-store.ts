// .blend files by what is in them, within a quota: drivers put one here once, worker nodes fetch it.
// A file is named by its SHA-256 and never changes; above the quota those go first that were used longest ago and that no
// unfinished job needs.

import { createHash } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { RenderError } from '../errors.js';
import type { FarmScene } from './farm.js';

const NAME = /^[0-9a-f]{64}$/;
const PART_BYTES = 256 * 1024;
const PUTS_MAX = 8;

export class SceneStore {
  readonly #folder: string;
  readonly #bytesMax: number;
  readonly #isNeeded: (sha256: string) => boolean;
  /** The one used longest ago first. */
  readonly #scenes = new Map<string, number>();
  #bytes = 0;
  #puts = 0;
  #lastPut = 0;

  private constructor(folder: string, bytesMax: number, isNeeded: (sha256: string) => boolean) {
    this.#folder = folder;
    this.#bytesMax = bytesMax;
    this.#isNeeded = isNeeded;
  }

  /** Takes up what is in the folder; it is made when something is put there. */
  static async open(
    folder: string,
    bytesMax: number,
    isNeeded: (sha256: string) => boolean,
  ): Promise<SceneStore> {
    const store = new SceneStore(folder, bytesMax, isNeeded);
    const found: { name: string; bytes: number; usedAt: number }[] = [];
    for (const name of await namesIn(folder)) {
      const file = path.join(folder, name);
      if (NAME.test(name)) {
        const { size: bytes, mtimeMs: usedAt } = await stat(file);
        found.push({ name, bytes, usedAt });
      } else if (name.endsWith('.part')) await rm(file, { force: true });
    }
    for (const { name, bytes } of found.toSorted((a, b) => a.usedAt - b.usedAt)) store.#add(name, bytes);
    return store;
  }

  list(): readonly FarmScene[] {
    return Array.from(this.#scenes, ([sha256, bytes]) => ({ sha256, bytes }));
  }

  /** Null: it is not here. @throws RenderError RENDER_REQUEST_INVALID */
  find(sha256: string): FarmScene | null {
    checkName(sha256);
    const bytes = this.#scenes.get(sha256);
    return bytes === undefined ? null : { sha256, bytes };
  }

  /** @throws RenderError RENDER_REQUEST_INVALID, RENDER_REQUEST_TOO_LARGE, RENDER_OVERLOAD, RENDER_IO */
  async put(sha256: string, bytes: number, parts: AsyncIterable<Uint8Array>): Promise<FarmScene> {
    const known = this.find(sha256);
    if (known !== null) return known;
    if (!(Number.isSafeInteger(bytes) && bytes > 0))
      throw new RenderError('RENDER_REQUEST_INVALID', `${bytes} is no size of a scene`);
    if (bytes > this.#bytesMax)
      throw new RenderError(
        'RENDER_REQUEST_TOO_LARGE',
        `a scene of ${bytes} bytes; ${this.#bytesMax} are kept`,
      );
    if (this.#puts >= PUTS_MAX)
      throw new RenderError('RENDER_OVERLOAD', `${PUTS_MAX} scenes come already`, { retryAfterMs: 1000 });
    this.#puts += 1;
    this.#lastPut += 1;
    const part = path.join(this.#folder, `${sha256}.${process.pid}.${this.#lastPut}.part`);
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await write(part, sha256, bytes, parts);
      await this.#makeRoom(bytes);
      await rename(part, path.join(this.#folder, sha256));
      if (!this.#scenes.has(sha256)) this.#add(sha256, bytes);
      return { sha256, bytes };
    } catch (error) {
      throw ioError(error, 'the scene cannot be kept');
    } finally {
      await rm(part, { force: true });
      this.#puts -= 1;
    }
  }

  /** @throws RenderError RENDER_NOT_FOUND, RENDER_REQUEST_INVALID, RENDER_IO */
  async *read(sha256: string): AsyncGenerator<Uint8Array> {
    const found = this.find(sha256);
    if (found === null) throw new RenderError('RENDER_NOT_FOUND', `there is no scene ${sha256}`);
    this.#touch(sha256, found.bytes);
    const handle = await open(path.join(this.#folder, sha256), 'r').catch((error: unknown) => {
      throw ioError(error, 'the scene cannot be read');
    });
    try {
      for (;;) {
        const part = Buffer.allocUnsafe(PART_BYTES);
        const { bytesRead } = await handle.read(part, 0, PART_BYTES, null);
        if (bytesRead === 0) return;
        yield part.subarray(0, bytesRead);
      }
    } finally {
      await handle.close();
    }
  }

  #add(sha256: string, bytes: number): void {
    this.#scenes.set(sha256, bytes);
    this.#bytes += bytes;
  }

  #touch(sha256: string, bytes: number): void {
    this.#scenes.delete(sha256);
    this.#scenes.set(sha256, bytes);
  }

  async #makeRoom(bytes: number): Promise<void> {
    for (const [sha256, each] of this.#scenes) {
      if (this.#bytes + bytes <= this.#bytesMax) return;
      if (this.#isNeeded(sha256)) continue;
      this.#scenes.delete(sha256);
      this.#bytes -= each;
      await rm(path.join(this.#folder, sha256), { force: true });
    }
    if (this.#bytes + bytes > this.#bytesMax)
      throw new RenderError('RENDER_OVERLOAD', 'unfinished jobs need all the scenes that are kept', {
        retryAfterMs: 10_000,
      });
  }
}

async function write(
  file: string,
  sha256: string,
  bytes: number,
  parts: AsyncIterable<Uint8Array>,
): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    const hash = createHash('sha256');
    let written = 0;
    for await (const part of parts) {
      written += part.byteLength;
      if (written > bytes) throw wrongBytes(`more than the ${bytes} bytes that were told`);
      hash.update(part);
      await handle.writeFile(part);
    }
    if (written < bytes) throw wrongBytes(`${written} bytes, not the ${bytes} that were told`);
    const found = hash.digest('hex');
    if (found !== sha256) throw wrongBytes(`the bytes of ${found}`);
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

function wrongBytes(what: string): RenderError {
  return new RenderError('RENDER_REQUEST_INVALID', `the scene came with ${what}`);
}

function checkName(sha256: string): void {
  if (!NAME.test(sha256))
    throw new RenderError('RENDER_REQUEST_INVALID', 'a scene is named by 64 lower-case hex digits');
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw ioError(error, 'the folder of scenes cannot be read');
  }
}

function ioError(cause: unknown, message: string): Error {
  if (cause instanceof RenderError || (cause as NodeJS.ErrnoException).syscall === undefined)
    return cause instanceof Error ? cause : new Error(String(cause));
  return new RenderError('RENDER_IO', `${message}: ${(cause as Error).message}`, { cause });
}
