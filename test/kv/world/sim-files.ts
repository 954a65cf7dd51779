// The folder of a simulated member, as one life of it sees it: a disk that tells cache from platter (FaultyDisk), and that
// takes its time. Syncs and new files take long, the rest mostly no time at all. When the life ends, nothing that it still waited for
// ever comes back, and of what was on its way to the disk any part may have arrived.

import type { WalFile, WalFiles } from '../../../kv/wal/wal-files.js';
import type { FaultyDisk } from '../support/faulty-disk.js';
import type { SeededRandom } from '../../support/seeded-random.js';

export interface DiskPace {
  /** How long the next sync, or the next other call, takes; 0: no time. */
  delayMs(kind: 'sync' | 'write' | 'other'): number;
  /** Calls `run` after so long, if the life still goes on. */
  later(delayMs: number, run: () => void): void;
  /** Whether the life has not ended. */
  isAlive(): boolean;
  /** The platter of a drive that lies. */
  skipsFolderSync(): boolean;
}

type Call<T> = () => Promise<T>;

export class SimFiles implements WalFiles {
  readonly folder: string;
  readonly #disk: FaultyDisk;
  readonly #pace: DiskPace;
  readonly #underWay = new Set<Call<unknown>>();

  constructor(folder: string, disk: FaultyDisk, pace: DiskPace) {
    this.folder = folder;
    this.#disk = disk;
    this.#pace = pace;
  }

  /** The life ends now: some of what was on its way gets to the disk. */
  end(random: SeededRandom): void {
    for (const call of this.#underWay) {
      if (random.chance(0.5)) call().catch(() => undefined); // nobody is there to hear of it
    }
    this.#underWay.clear();
  }

  list(): Promise<string[]> {
    return this.#call('other', () => this.#disk.list());
  }

  size(name: string): Promise<number> {
    return this.#call('other', () => this.#disk.size(name));
  }

  async open(name: string): Promise<WalFile> {
    return this.#slowed(await this.#call('other', () => this.#disk.open(name)));
  }

  async create(name: string): Promise<WalFile> {
    return this.#slowed(await this.#call('sync', () => this.#disk.create(name)));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call('write', () => this.#disk.rename(from, to));
  }

  remove(name: string): Promise<void> {
    return this.#call('write', () => this.#disk.remove(name));
  }

  syncFolder(): Promise<void> {
    return this.#call('sync', async () => {
      if (!this.#pace.skipsFolderSync()) await this.#disk.syncFolder();
    });
  }

  async lock(): Promise<() => Promise<void>> {
    return this.#disk.lock();
  }

  #slowed(file: WalFile): WalFile {
    return {
      write: (bytes, position) => this.#call('write', () => file.write(bytes, position)),
      read: (position, byteCount) => this.#call('other', () => file.read(position, byteCount)),
      allocate: (byteCount) => this.#call('write', () => file.allocate(byteCount)),
      truncate: (byteCount) => this.#call('write', () => file.truncate(byteCount)),
      dataSync: () => this.#call('sync', () => file.dataSync()),
      close: () => this.#call('other', () => file.close()),
    };
  }

  #call<T>(kind: 'sync' | 'write' | 'other', call: Call<T>): Promise<T> {
    if (!this.#pace.isAlive()) return new Promise(() => {}); // never, and of its own: a shared one would keep all that wait for it
    const delayMs = this.#pace.delayMs(kind);
    if (delayMs === 0) return call();
    return new Promise((resolve, reject) => {
      this.#underWay.add(call);
      this.#pace.later(delayMs, () => {
        this.#underWay.delete(call);
        call().then(resolve, reject);
      });
    });
  }
}
