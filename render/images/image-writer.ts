// Writes images into a folder while more of them come: large ones are deflated on threads, so that a driver goes on beating.
// `render submit` and `render fetch` have one. A few are under way at once; whoever brings one more waits.

import { availableParallelism } from 'node:os';
import { WorkerPool } from '../../reactor/index.js';
import { type Pixels, rawPixels } from './image-encoding.js';
import type { ImageFolder } from './image-folder.js';
import { encodePng } from './png-encoder.js';

export type NumberedImage = Pixels & { readonly index: number };

/** A smaller image is deflated in the time that a thread takes to be told of it. */
const THREAD_BYTES_MIN: number = 128 * 1024;
const UNDER_WAY_MAX: number = Math.max(2, availableParallelism());

export class ImageWriter<Image extends NumberedImage> {
  readonly #folder: ImageFolder;
  readonly #onWritten: (image: Image, file: string) => void;
  readonly #underWay = new Set<Promise<void>>();
  #pool: WorkerPool | null = null;
  #failure: { readonly error: unknown } | null = null;

  /** @param onWritten told of each image, once its file is there; in any order */
  constructor(folder: ImageFolder, onWritten: (image: Image, file: string) => void) {
    this.#folder = folder;
    this.#onWritten = onWritten;
  }

  /** Resolves once there is room for more. @throws RenderError what went wrong with this or an earlier one */
  async add(image: Image): Promise<void> {
    const writing: Promise<void> = this.#write(image)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#underWay.delete(writing));
    this.#underWay.add(writing);
    if (this.#underWay.size >= UNDER_WAY_MAX) await Promise.race(this.#underWay);
    this.#throwFailure();
  }

  /** Resolves once all of them are there. @throws RenderError */
  async finish(): Promise<void> {
    await Promise.all(this.#underWay);
    this.#throwFailure();
  }

  /** Lets what is under way finish, and ends the threads. */
  async close(): Promise<void> {
    await Promise.all(this.#underWay);
    await this.#pool?.close();
  }

  async #write(image: Image): Promise<void> {
    const { index, format, pixels } = image;
    const raw = rawPixels(image);
    const file =
      raw === null ? pixels : raw.data.length < THREAD_BYTES_MIN ? encodePng(raw) : await this.#onThread(raw);
    this.#onWritten(image, await this.#folder.put(index, format, file));
  }

  async #onThread(raw: NonNullable<ReturnType<typeof rawPixels>>): Promise<Uint8Array> {
    this.#pool ??= new WorkerPool({ module: new URL('./png-encoder.worker.js', import.meta.url) });
    return (await this.#pool.submit('encodePng', raw)) as Uint8Array; // of our own function
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }
}
