// Images as PNG files, whole or small, for image-routes.ts: made on a thread of their own, kept while there is room, and
// made once when several ask at once.

import { createHash } from 'node:crypto';
import { WorkerPool } from '../../reactor/index.js';
import { RenderError } from '../errors.js';
import type { Farm } from '../main/farm.js';
import { PixelFormat } from '../proto/render.js';
import type { PngJob } from './image-job.js';
import { PngCache } from './png-cache.js';

export interface PngFile {
  readonly bytes: Uint8Array;
  /** Of the content, in quotes. */
  readonly etag: string;
}

const CACHE_BYTES_MAX = 32 * 1024 * 1024;
/** Made at once or waiting for it: each holds its pixels. */
const MAKING_MAX = 32;
const PNG_TIMEOUT_MS = 30_000;

export class FarmImages {
  readonly #farm: Farm;
  readonly #cache = new PngCache(CACHE_BYTES_MAX);
  readonly #making = new Map<string, Promise<PngFile>>();
  readonly #unsubscribe: () => void;
  #pool: WorkerPool | null = null;

  constructor(farm: Farm) {
    this.#farm = farm;
    this.#unsubscribe = farm.subscribe((event) => {
      if (event.kind === 'job-removed') this.#cache.forget(event.job);
    });
  }

  figures(): { readonly bytes: number; readonly files: number } {
    return this.#cache.figures();
  }

  /**
   * @param widthMax 0: the whole image
   * @throws RenderError RENDER_NOT_FOUND: no such job or image, or its pixels are not there; RENDER_REQUEST_INVALID: an EXR
   *   file; RENDER_OVERLOAD: again later
   */
  async png(job: number, index: number, widthMax: number): Promise<PngFile> {
    const key = `${index} ${widthMax}`;
    const kept = this.#cache.get(job, key);
    if (kept !== undefined) return kept;
    const name = `${job} ${key}`;
    const making = this.#making.get(name);
    if (making !== undefined) return await making;
    if (this.#making.size >= MAKING_MAX)
      throw new RenderError('RENDER_OVERLOAD', `${MAKING_MAX} images are being prepared already`, {
        retryAfterMs: 1000,
      });
    const made = this.#make(job, index, widthMax);
    this.#making.set(name, made);
    try {
      const file = await made;
      this.#cache.put(job, key, file);
      return file;
    } finally {
      this.#making.delete(name);
    }
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    await this.#pool?.close({ deadlineMs: 1000 });
  }

  async #make(job: number, index: number, widthMax: number): Promise<PngFile> {
    const image = await this.#farm.pixels(job, index);
    if (image === null)
      throw new RenderError('RENDER_NOT_FOUND', `image ${index} of job ${job} is not here, yet or any more`);
    if (image.format === PixelFormat.EXR)
      throw new RenderError('RENDER_REQUEST_INVALID', 'EXR images are not shown: fetch the job to have them');
    const isFile = image.format === PixelFormat.PNG && (widthMax === 0 || image.width <= widthMax);
    const bytes = isFile ? image.pixels : await this.#onThread({ image, widthMax });
    const digest = createHash('sha256').update(bytes).digest('base64url').slice(0, 22);
    return { bytes, etag: `"${digest}"` };
  }

  async #onThread(args: PngJob): Promise<Uint8Array> {
    this.#pool ??= new WorkerPool({
      module: new URL('./image-job.js', import.meta.url),
      threadsMax: 1,
      queueMax: MAKING_MAX,
      full: 'refuse',
    });
    // The function it names gives bytes.
    return (await this.#pool.submit('png', args, {
      timeoutMs: PNG_TIMEOUT_MS,
      terminate: true,
    })) as Uint8Array;
  }
}
