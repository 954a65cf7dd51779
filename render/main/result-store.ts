// Rendered images, kept until their job is dropped: in memory up to a size, beyond it in a file for each job.
// job-runner.ts puts them in and decides what is dropped; result streams, fetches and the web page read them.
// With a journal every image goes to disk, and is told of (`onKept`) once it is there; memory is then a cache.
// Bounded: when it is full (`isFull`) it takes what is on its way, and no more is asked for until `ready()`. What the disk
// refuses stays in memory until it takes it (`retry`); when that fills the memory no new job should be taken either (`isStuck`).

import { mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { RenderError } from '../errors.js';
import { PixelFile, type PixelPlace } from './pixel-file.js';

export interface KeptPlace extends PixelPlace {
  readonly crc: number;
}

export interface ResultStoreOptions {
  readonly folder: string;
  readonly memoryBytesMax: number;
  /** Every image goes to disk. */
  readonly isDurable: boolean;
}

interface Entry {
  readonly job: JobImages;
  readonly index: number;
  readonly bytes: number;
  /** Null: only on disk. */
  pixels: Uint8Array | null;
  place: KeptPlace | null;
  /** It waits for the disk, or for another attempt after the disk refused it. */
  isWriting: boolean;
}

interface JobImages {
  readonly id: number;
  readonly images: Map<number, Entry>;
  bytes: number;
  file: PixelFile | null;
  isDropped: boolean;
}

/** Images that wait for the disk, beyond what memory may hold. */
const WRITING_BYTES_MAX = 64 * 2 ** 20;
const BATCH_IMAGES_MAX = 256;

export class ResultStore {
  readonly #options: ResultStoreOptions;
  readonly #onKept: (job: number, index: number, place: KeptPlace) => void;
  readonly #onFailure: (error: RenderError) => void;
  readonly #jobs = new Map<number, JobImages>();
  /** With pixels in memory, oldest first. */
  readonly #inMemory = new Set<Entry>();
  #memoryBytes = 0;
  #bytes = 0;
  #toWrite: Entry[] = [];
  #toWriteBytes = 0;
  #writing: Promise<void> | null = null;
  #refused: Entry[] = [];
  #refusedBytes = 0;
  /** Of which the disk took nothing lately. */
  readonly #refusedJobs = new Set<JobImages>();
  #removing: Promise<unknown> = Promise.resolve();
  #whenReady: (() => void)[] = [];
  #hasFolder = false;

  constructor(
    onKept: (job: number, index: number, place: KeptPlace) => void,
    onFailure: (error: RenderError) => void,
    options: ResultStoreOptions,
  ) {
    this.#onKept = onKept;
    this.#onFailure = onFailure;
    this.#options = options;
  }

  /** Of all images, wherever they are. */
  get bytes(): number {
    return this.#bytes;
  }

  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  bytesOf(job: number): number {
    return this.#jobs.get(job)?.bytes ?? 0;
  }

  has(job: number, index: number): boolean {
    return this.#jobs.get(job)?.images.has(index) === true;
  }

  /** Where it is on disk, to be found again after a restart; null: it is not there (yet). */
  placeOf(job: number, index: number): KeptPlace | null {
    return this.#jobs.get(job)?.images.get(index)?.place ?? null;
  }

  /** As much waits for the disk as may wait. */
  get isFull(): boolean {
    return this.#toWriteBytes > WRITING_BYTES_MAX || this.isStuck;
  }

  /** Resolves when it is not full; never rejects. */
  async ready(): Promise<void> {
    while (this.isFull) await new Promise<void>((resolve) => this.#whenReady.push(resolve));
  }

  /** The disk takes nothing, and what waits for it is more than memory may have. */
  get isStuck(): boolean {
    return this.#refusedJobs.size > 0 && this.#memoryBytes > this.#options.memoryBytesMax + WRITING_BYTES_MAX;
  }

  /** Gives what the disk refused to it once more. To be called from time to time. */
  retry(): void {
    const again = this.#refused;
    this.#refused = [];
    this.#refusedBytes = 0;
    for (const entry of again) this.#write(entry);
  }

  /** Keeps an image; its bytes belong to the store from now on. */
  put(jobId: number, index: number, pixels: Uint8Array): void {
    const job = this.#job(jobId);
    const entry: Entry = { job, index, bytes: pixels.byteLength, pixels, place: null, isWriting: false };
    job.images.set(index, entry);
    this.#count(job, entry.bytes);
    this.#remember(entry);
    if (this.#options.isDurable) this.#write(entry);
    this.#trim();
  }

  /** Null: it is on disk, or not here. */
  inMemory(jobId: number, index: number): Uint8Array | null {
    return this.#jobs.get(jobId)?.images.get(index)?.pixels ?? null;
  }

  /** Null: it is not here. @throws RenderError RENDER_IO */
  async get(jobId: number, index: number): Promise<Uint8Array | null> {
    const job = this.#jobs.get(jobId);
    const entry = job?.images.get(index);
    if (job === undefined || entry === undefined) return null;
    if (entry.pixels !== null) return entry.pixels;
    try {
      return (await job.file?.read(entry.place!)) ?? null; // what is not in memory has a place
    } catch (cause) {
      if (job.isDropped) return null;
      throw failure(`an image of job ${jobId} cannot be read`, cause);
    }
  }

  /** Of an earlier life: the places of images in the job's file. Returns those that really are there, whole. */
  async restore(jobId: number, places: ReadonlyMap<number, KeptPlace>): Promise<ReadonlySet<number>> {
    const good = new Set<number>();
    const job = this.#job(jobId);
    job.file = await PixelFile.existing(this.#pathOf(jobId));
    for (const [index, { offset, bytes, crc }] of places) {
      if (offset + bytes > job.file.end) continue;
      const pixels = await job.file.read({ offset, bytes });
      if (pixels === null || crc32(pixels) !== crc) continue;
      job.images.set(index, {
        job,
        index,
        bytes,
        pixels: null,
        place: { offset, bytes, crc },
        isWriting: false,
      });
      this.#count(job, bytes);
      good.add(index);
    }
    return good;
  }

  /** Deletes the files of jobs that nobody knows any more: left by a life that ended before it did, or by another main node. */
  async removeOthers(known: ReadonlySet<number>): Promise<void> {
    const { folder } = this.#options;
    const names = await readdir(folder).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return [];
      throw failure(`${folder} cannot be read`, cause);
    });
    for (const name of names) {
      const job = /^job-(\d+)\.pixels$/.exec(name)?.[1];
      if (job === undefined || known.has(Number(job))) continue;
      await rm(path.join(folder, name), { force: true }).catch((cause: unknown) =>
        this.#onFailure(failure(`${name} cannot be removed`, cause)),
      );
    }
  }

  drop(jobId: number): void {
    const job = this.#jobs.get(jobId);
    if (job === undefined) return;
    this.#jobs.delete(jobId);
    job.isDropped = true;
    this.#refusedJobs.delete(job);
    for (const entry of this.#refused) if (entry.job === job) this.#refusedBytes -= entry.bytes;
    this.#refused = this.#refused.filter((entry) => entry.job !== job);
    for (const entry of job.images.values()) this.#forget(entry);
    this.#count(job, -job.bytes);
    const { file } = job;
    if (file !== null) this.#remove(file);
    this.#tellReady();
  }

  /** Waits for what is being written. Files stay: they are their owner's to delete. */
  async close(): Promise<void> {
    this.retry();
    while (this.#writing !== null) await this.#writing;
    await this.#removing;
  }

  #remove(file: PixelFile): void {
    const before = Promise.all([this.#removing, this.#writing]);
    this.#removing = before
      .then(() => file.remove())
      .catch((cause: unknown) => this.#onFailure(failure(`${file.path} cannot be removed`, cause)));
  }

  #job(id: number): JobImages {
    let job = this.#jobs.get(id);
    if (job === undefined) {
      job = { id, images: new Map(), bytes: 0, file: null, isDropped: false };
      this.#jobs.set(id, job);
    }
    return job;
  }

  #count(job: JobImages, bytes: number): void {
    job.bytes += bytes;
    this.#bytes += bytes;
  }

  #remember(entry: Entry): void {
    this.#inMemory.add(entry);
    this.#memoryBytes += entry.bytes;
  }

  #forget(entry: Entry): void {
    if (!this.#inMemory.delete(entry)) return;
    this.#memoryBytes -= entry.bytes;
    entry.pixels = null;
  }

  /** Above the limit: what is on disk is forgotten here, what is not goes there. */
  #trim(): void {
    let excess = this.#memoryBytes - this.#options.memoryBytesMax;
    if (!this.#options.isDurable) excess -= this.#toWriteBytes + this.#refusedBytes;
    for (const entry of this.#inMemory) {
      if (excess <= 0) return;
      if (entry.place !== null) {
        excess -= entry.bytes;
        this.#forget(entry);
      } else if (!entry.isWriting) {
        excess -= entry.bytes;
        this.#write(entry);
      }
    }
  }

  #write(entry: Entry): void {
    entry.isWriting = true;
    this.#toWrite.push(entry);
    this.#toWriteBytes += entry.bytes;
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null;
    });
  }

  async #writeAll(): Promise<void> {
    while (this.#toWrite.length > 0) {
      const batch = this.#toWrite.slice(0, BATCH_IMAGES_MAX);
      for (const job of new Set(batch.map((entry) => entry.job))) {
        const entries = batch.filter((entry) => entry.job === job);
        await this.#writeJob(job, entries);
      }
      this.#toWrite = this.#toWrite.slice(batch.length);
      for (const { bytes } of batch) this.#toWriteBytes -= bytes;
      this.#trim();
      this.#tellReady();
    }
  }

  async #writeJob(job: JobImages, entries: readonly Entry[]): Promise<void> {
    const live = entries.filter(({ pixels }) => pixels !== null && !job.isDropped);
    const images = live.map(({ pixels }) => pixels!); // filtered
    if (images.length === 0) return;
    try {
      await this.#makeFolder();
      job.file ??= PixelFile.create(this.#pathOf(job.id));
      const places = await job.file.append(images);
      if (job.isDropped) {
        this.#remove(job.file);
        return;
      }
      for (const [at, entry] of live.entries()) {
        entry.place = { ...places[at]!, crc: this.#options.isDurable ? crc32(images[at]!) : 0 };
        this.#onKept(job.id, entry.index, entry.place);
      }
      this.#refusedJobs.delete(job);
    } catch (cause) {
      this.#keepInMemory(job, live, failure(`images of job ${job.id} cannot be kept on disk`, cause));
    }
  }

  /** Where they can be had as long as this process lives. Told of once, until the disk takes something of the job again. */
  #keepInMemory(job: JobImages, entries: readonly Entry[], error: RenderError): void {
    if (job.isDropped) return;
    this.#refused.push(...entries);
    for (const { bytes } of entries) this.#refusedBytes += bytes;
    if (this.#refusedJobs.has(job)) return;
    this.#refusedJobs.add(job);
    this.#onFailure(error);
  }

  async #makeFolder(): Promise<void> {
    if (this.#hasFolder) return;
    await mkdir(this.#options.folder, { recursive: true, mode: 0o700 });
    this.#hasFolder = true;
  }

  #pathOf(job: number): string {
    return path.join(this.#options.folder, `job-${job}.pixels`);
  }

  #tellReady(): void {
    if (this.isFull || this.#whenReady.length === 0) return;
    const waiting = this.#whenReady;
    this.#whenReady = [];
    for (const tell of waiting) tell();
  }
}

function failure(message: string, cause: unknown): RenderError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new RenderError('RENDER_IO', `${message}: ${why}`, { cause });
}
