// The file in which a registry finds again what it knew: written aside, made durable, then renamed over the last one,
// so that a crash leaves one or the other. registry-server.ts asks for a write after changes; at most one in a while.
// A damaged file is read as far as it is whole, and kept beside for people to look at.

import { copyFile, mkdir, open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from './clock.js';
import { decodeSnapshot, encodeSnapshot } from './snapshot-format.js';
import type { StateDump } from './state.js';

export interface SnapshotFileParts {
  readonly clock: Clock;
  /** A write failed: what was there before is still there, and the next change tries again. */
  readonly onFailure: (error: unknown) => void;
}

export interface Recovered {
  readonly dump: StateDump;
  /** One sentence for each damaged place; the file is then kept under `damagedPath`. */
  readonly damages: readonly string[];
  readonly damagedPath: string;
}

/** Between two writes: a crash forgets the changes of this time, which their instances repeat. */
const WRITE_INTERVAL_MS = 1000;
const RETRY_MS = 5000;
/** Wording a large registry stops everything else for a moment: no more than a twentieth of the time. */
const BUSY_FACTOR = 20;

export class SnapshotFile {
  readonly path: string;
  readonly #parts: SnapshotFileParts;
  #dump: (() => StateDump) | null = null;
  #cancelTimer: (() => void) | null = null;
  #writing: Promise<void> | null = null;
  /** Before the next write. */
  #pauseMs = WRITE_INTERVAL_MS;
  #isClosed = false;
  #writes = 0;
  #failures = 0;

  /** @param folder made when it is missing */
  constructor(folder: string, parts: SnapshotFileParts) {
    this.path = path.join(folder, 'registry.snapshot');
    this.#parts = parts;
  }

  get counts(): { writes: number; failures: number } {
    return { writes: this.#writes, failures: this.#failures };
  }

  /** Null when there is none yet. @throws Error the folder or the file cannot be read */
  async recover(): Promise<Recovered | null> {
    await mkdir(path.dirname(this.path), { recursive: true });
    let text: string;
    try {
      text = await readFile(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    const damagedPath = `${this.path}.damaged`;
    const { dump, damages } = decodeSnapshot(text);
    if (damages.length > 0) await copyFile(this.path, damagedPath);
    return { dump, damages, damagedPath };
  }

  /** Something changed: writes what `dump` answers then, soon. */
  changed(dump: () => StateDump): void {
    this.#dump = dump;
    this.#schedule(this.#pauseMs);
  }

  /** Writes what is not written yet, now. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    await this.#writing;
    if (this.#dump !== null) await this.#write();
  }

  #schedule(delayMs: number): void {
    if (this.#isClosed || this.#cancelTimer !== null) return;
    this.#cancelTimer = this.#parts.clock.after(delayMs, () => {
      this.#writing = this.#write().finally(() => {
        this.#writing = null;
        this.#cancelTimer = null;
        if (this.#dump !== null) this.#schedule(this.#pauseMs);
      });
    });
  }

  async #write(): Promise<void> {
    const dump = this.#dump;
    if (dump === null) return;
    this.#dump = null;
    try {
      const startedMs = this.#parts.clock.nowMs();
      const text = encodeSnapshot(dump());
      const busyMs = this.#parts.clock.nowMs() - startedMs;
      await replaceFile(this.path, text);
      this.#writes += 1;
      this.#pauseMs = Math.max(WRITE_INTERVAL_MS, busyMs * BUSY_FACTOR);
    } catch (error) {
      this.#dump ??= dump;
      this.#failures += 1;
      this.#pauseMs = RETRY_MS;
      this.#parts.onFailure(error);
    }
  }
}

/** Afterwards the file has the new text or, if this throws, still the old one. */
export async function replaceFile(file: string, text: string): Promise<void> {
  const aside = `${file}.tmp`;
  const handle = await open(aside, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(aside, file);
  // The rename itself must outlive a power cut too.
  const folder = await open(path.dirname(file), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
