// PNG files that were made lately, within a bound of bytes: those that nobody has asked for the longest make room. Pure.

import type { PngFile } from './farm-images.js';

interface Entry {
  readonly job: number;
  readonly key: string;
  readonly file: PngFile;
}

/** No single file may take more than this share of the room. */
const FILE_SHARE = 1 / 4;

export class PngCache {
  readonly #bytesMax: number;
  /** The one asked for last is the last. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  figures(): { readonly bytes: number; readonly files: number } {
    return { bytes: this.#bytes, files: this.#entries.size };
  }

  get(job: number, key: string): PngFile | undefined {
    const name = `${job} ${key}`;
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    return entry.file;
  }

  put(job: number, key: string, file: PngFile): void {
    const name = `${job} ${key}`;
    this.#drop(name);
    if (file.bytes.byteLength > this.#bytesMax * FILE_SHARE) return;
    this.#entries.set(name, { job, key, file });
    this.#bytes += file.bytes.byteLength;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#drop(oldest);
    }
  }

  /** All of a job: its id may be another's one day. */
  forget(job: number): void {
    for (const [name, entry] of this.#entries) if (entry.job === job) this.#drop(name);
  }

  #drop(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    this.#entries.delete(name);
    this.#bytes -= entry.file.bytes.byteLength;
  }
}
