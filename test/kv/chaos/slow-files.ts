// A real folder on a disk that is slow, stalls or breaks when told to. member.ts puts it under a member.
// Reads and writes are the disk's own; what is late or fails is what makes them durable.

import { setTimeout as pause } from 'node:timers/promises';
import type { WalFile, WalFiles } from '../../../kv/wal/wal-files.js';

export class SlowFiles implements WalFiles {
  readonly #files: WalFiles;
  readonly #random: () => number;
  #minMs = 0;
  #maxMs = 0;
  #fails = false;
  #stall: { readonly over: Promise<void>; readonly end: () => void } | null = null;

  constructor(files: WalFiles, random: () => number) {
    this.#files = files;
    this.#random = random;
  }

  get folder(): string {
    return this.#files.folder;
  }

  /** Every sync from now on takes so much longer, drawn between the two. */
  delay(minMs: number, maxMs: number): void {
    this.#minMs = minMs;
    this.#maxMs = maxMs;
  }

  /** No sync ends, or the ones that wait do now. */
  stall(isStalled: boolean): void {
    if (isStalled === (this.#stall !== null)) return;
    this.#stall?.end();
    this.#stall = isStalled ? gate() : null;
  }

  /** Every sync from now on fails. */
  fail(): void {
    this.#fails = true;
  }

  list(): Promise<string[]> {
    return this.#files.list();
  }

  size(name: string): Promise<number> {
    return this.#files.size(name);
  }

  async open(name: string): Promise<WalFile> {
    return new SlowFile(await this.#files.open(name), () => this.#beforeSync());
  }

  async create(name: string): Promise<WalFile> {
    return new SlowFile(await this.#files.create(name), () => this.#beforeSync());
  }

  rename(from: string, to: string): Promise<void> {
    return this.#files.rename(from, to);
  }

  remove(name: string): Promise<void> {
    return this.#files.remove(name);
  }

  async syncFolder(): Promise<void> {
    await this.#beforeSync();
    await this.#files.syncFolder();
  }

  lock(): Promise<() => Promise<void>> {
    return this.#files.lock();
  }

  async #beforeSync(): Promise<void> {
    if (this.#maxMs > 0) await pause(this.#minMs + this.#random() * (this.#maxMs - this.#minMs));
    while (this.#stall !== null) await this.#stall.over;
    if (this.#fails)
      throw Object.assign(new Error('the disk fails as told'), { code: 'EIO', syscall: 'fdatasync' });
  }
}

class SlowFile implements WalFile {
  readonly #file: WalFile;
  readonly #beforeSync: () => Promise<void>;

  constructor(file: WalFile, beforeSync: () => Promise<void>) {
    this.#file = file;
    this.#beforeSync = beforeSync;
  }

  write(bytes: Uint8Array, position: number): Promise<number> {
    return this.#file.write(bytes, position);
  }

  read(position: number, byteCount: number): Promise<Buffer> {
    return this.#file.read(position, byteCount);
  }

  allocate(byteCount: number): Promise<void> {
    return this.#file.allocate(byteCount);
  }

  truncate(byteCount: number): Promise<void> {
    return this.#file.truncate(byteCount);
  }

  async dataSync(): Promise<void> {
    await this.#beforeSync();
    await this.#file.dataSync();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

function gate(): { over: Promise<void>; end: () => void } {
  let end: () => void = () => {};
  const over = new Promise<void>((resolve) => (end = resolve));
  return { over, end };
}
