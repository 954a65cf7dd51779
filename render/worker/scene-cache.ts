// The .blend files of a worker node: fetched once from the main node, checked, kept within a quota of the disk.
// The desk acquires a scene for each request that names one, and releases it when the request is over; what nobody has
// acquired goes when room is needed, what was used longest ago first. A folder that is kept is read again at the next start.

import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';

import type { Logger } from '../../reactor/index.js';
import { RenderError } from '../errors.js';
import type { ScenePart } from '../proto/farm.js';
import { holdFolder } from './folder-hold.js';
import type { SceneSource } from './render-desk.js';
import { makeScratchFolder, removeScratchFolder } from '../scratch-folder.js';
import type { SceneOptions } from './worker-options.js';

/** Asks the main node for the parts of a file. */
export type SceneFetch = (sha256: string, signal: AbortSignal) => AsyncIterable<ScenePart>;

interface Scene {
  readonly bytes: number;
  /** Requests that need it. */
  users: number;
  /** One that was found at the start is checked before it is used. */
  isChecked: boolean;
}

interface Fetching {
  readonly done: Promise<void>;
  readonly giveUp: AbortController;
  waiting: number;
}

const FILE = /^([0-9a-f]{64})\.blend$/;
const PART = /^[0-9a-f]{64}\.part$/;

export class SceneCache implements SceneSource {
  readonly #logger: Logger;
  readonly #fetch: SceneFetch;
  readonly #folder: string;
  readonly #bytesMax: number;
  readonly #leave: () => Promise<void>;
  /** Longest unused first. */
  readonly #scenes = new Map<string, Scene>();
  readonly #fetching = new Map<string, Fetching>();
  /** Of files that are here, and of those that are coming. */
  #bytes = 0;
  #fetches = 0;

  private constructor(
    logger: Logger,
    fetch: SceneFetch,
    folder: string,
    bytesMax: number,
    leave: () => Promise<void>,
  ) {
    this.#logger = logger;
    this.#fetch = fetch;
    this.#folder = folder;
    this.#bytesMax = bytesMax;
    this.#leave = leave;
  }

  /** @throws RenderError RENDER_OPTION_INVALID: another process has the folder; RENDER_IO */
  static async open(
    logger: Logger,
    fetch: SceneFetch,
    { folder, bytesMax }: Required<SceneOptions>,
  ): Promise<SceneCache> {
    try {
      if (folder === null) {
        const own = await makeScratchFolder('disk');
        return new SceneCache(logger, fetch, own, bytesMax, () => removeScratchFolder(own));
      }
      await mkdir(folder, { recursive: true });
      const leave = await holdFolder(folder);
      const cache = new SceneCache(logger, fetch, path.resolve(folder), bytesMax, leave);
      await cache.#readFolder();
      return cache;
    } catch (error) {
      throw asRenderError(error, `the folder of scenes ${folder ?? ''}`);
    }
  }

  /** Path of the file, which stays until `release`. @throws RenderError (as rejection), also when `signal` aborts */
  async acquire(sha256: string, signal: AbortSignal): Promise<string> {
    for (;;) {
      const scene = this.#scenes.get(sha256);
      if (scene === undefined) {
        await this.#join(sha256, signal);
        continue;
      }
      this.#scenes.delete(sha256); // so that it is the last to go
      this.#scenes.set(sha256, scene);
      scene.users += 1;
      if (scene.isChecked || (await this.#check(sha256, scene))) return this.#pathOf(sha256);
    }
  }

  release(sha256: string): void {
    const scene = this.#scenes.get(sha256);
    if (scene !== undefined) scene.users -= 1;
  }

  get figures(): { scenes: number; bytes: number; fetches: number } {
    return { scenes: this.#scenes.size, bytes: this.#bytes, fetches: this.#fetches };
  }

  async close(): Promise<void> {
    for (const { giveUp } of this.#fetching.values()) giveUp.abort();
    await Promise.allSettled(Array.from(this.#fetching.values(), ({ done }) => done));
    await this.#leave();
  }

  /** Several requests wait for one fetch, which ends when none of them waits any more. */
  async #join(sha256: string, signal: AbortSignal): Promise<void> {
    let fetching = this.#fetching.get(sha256);
    if (fetching?.giveUp.signal.aborted === true) {
      await fetching.done.catch(() => {}); // those who wanted it have left: it is begun anew
      return;
    }
    if (fetching === undefined) {
      const giveUp = new AbortController();
      const done = this.#bring(sha256, giveUp.signal).finally(() => this.#fetching.delete(sha256));
      fetching = { done, giveUp, waiting: 0 };
      this.#fetching.set(sha256, fetching);
    }
    fetching.waiting += 1;
    let leave: () => void = () => {};
    const left = new Promise<never>((_, reject) => {
      leave = () => reject(new RenderError('RENDER_CANCELED', 'nobody waits for the scene any more'));
    });
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    try {
      await Promise.race([fetching.done, left]);
    } finally {
      signal.removeEventListener('abort', leave);
      fetching.waiting -= 1;
      if (fetching.waiting === 0) fetching.giveUp.abort(); // without effect when it is done
    }
  }

  async #bring(sha256: string, signal: AbortSignal): Promise<void> {
    const part = path.join(this.#folder, `${sha256}.part`);
    let reserved = 0;
    try {
      const hash = createHash('sha256');
      const file = await open(part, 'w', 0o600);
      let bytes = 0;
      try {
        for await (const { sha256: told, bytes: all, data } of this.#fetch(sha256, signal)) {
          if (reserved === 0) {
            if (told !== sha256) throw new RenderError('RENDER_IO', `the main node sent scene ${told}`);
            reserved = await this.#reserve(Number(all));
          }
          bytes += data.length;
          if (bytes > reserved) throw new RenderError('RENDER_IO', `scene ${sha256} is longer than was said`);
          hash.update(data);
          await file.writeFile(data);
        }
      } finally {
        await file.close();
      }
      if (bytes !== reserved || hash.digest('hex') !== sha256)
        throw new RenderError('RENDER_IO', `what came as scene ${sha256} is something else`);
      await rename(part, this.#pathOf(sha256));
      this.#scenes.set(sha256, { bytes, users: 0, isChecked: true });
      this.#fetches += 1;
      this.#logger.info({ scene: sha256, bytes }, 'a scene was fetched');
    } catch (error) {
      this.#bytes -= reserved;
      await rm(part, { force: true });
      throw asRenderError(error, `scene ${sha256}`);
    }
  }

  /** Makes room, by removing what nobody needs and was used longest ago. */
  async #reserve(bytes: number): Promise<number> {
    if (!(bytes > 0)) throw new RenderError('RENDER_IO', 'the scene is empty');
    this.#bytes += bytes; // at once, so that two that come together do not take the same room
    try {
      await this.#shrink();
    } catch (error) {
      this.#bytes -= bytes;
      throw error;
    }
    return bytes;
  }

  async #shrink(): Promise<void> {
    for (const [sha256, { bytes, users }] of this.#scenes) {
      if (this.#bytes <= this.#bytesMax) return;
      if (users > 0) continue;
      this.#scenes.delete(sha256);
      await rm(this.#pathOf(sha256), { force: true });
      this.#bytes -= bytes;
    }
    if (this.#bytes > this.#bytesMax)
      throw new RenderError(
        'RENDER_QUEUE_FULL',
        `the scenes in use take the ${this.#bytesMax} bytes for scenes`,
      );
  }

  /** Of a file that was here before this process. A spoilt one is removed, and fetched again. */
  async #check(sha256: string, scene: Scene): Promise<boolean> {
    const hash: Hash = createHash('sha256');
    try {
      for await (const data of createReadStream(this.#pathOf(sha256))) hash.update(data as Buffer);
      scene.isChecked = hash.digest('hex') === sha256;
      const now = new Date();
      if (scene.isChecked) await utimes(this.#pathOf(sha256), now, now);
    } catch (error) {
      this.#logger.warn({ scene: sha256, err: error }, 'a scene that was kept cannot be read');
    }
    if (scene.isChecked) return true;
    scene.users -= 1;
    if (this.#scenes.get(sha256) === scene) {
      this.#scenes.delete(sha256);
      this.#bytes -= scene.bytes;
      await rm(this.#pathOf(sha256), { force: true });
    }
    return false;
  }

  async #readFolder(): Promise<void> {
    const found: { sha256: string; bytes: number; usedAt: number }[] = [];
    for (const name of await readdir(this.#folder)) {
      const file = path.join(this.#folder, name);
      if (PART.test(name)) await rm(file, { force: true });
      const sha256 = FILE.exec(name)?.[1];
      if (sha256 === undefined) continue;
      const { size, mtimeMs } = await stat(file);
      found.push({ sha256, bytes: size, usedAt: mtimeMs });
    }
    for (const { sha256, bytes } of found.toSorted((a, b) => a.usedAt - b.usedAt)) {
      this.#scenes.set(sha256, { bytes, users: 0, isChecked: false });
      this.#bytes += bytes;
    }
    await this.#shrink();
  }

  #pathOf(sha256: string): string {
    return path.join(this.#folder, `${sha256}.blend`);
  }
}

function asRenderError(error: unknown, what: string): RenderError {
  if (error instanceof RenderError) return error;
  const { status, message } = error as Error & { status?: string };
  const code =
    status === 'NOT_FOUND' ? 'RENDER_NOT_FOUND' : status === undefined ? 'RENDER_IO' : 'RENDER_UNAVAILABLE';
  return new RenderError(code, `${what}: ${message}`, { cause: error });
}
