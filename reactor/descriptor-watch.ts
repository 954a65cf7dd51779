// How many descriptors this process has left, looked at the more often the fewer they are.
// acceptor.ts asks after every connection, and while it pauses. Numbers say nothing here: low ones become
// free while high ones stay, so the open files are counted.

import { readdirSync, statSync } from 'node:fs';

import type { Addon } from '../addon/index.js';

const OPEN_FILES = '/proc/self/fd';

export class DescriptorWatch {
  readonly #addon: Addon;
  readonly #threads: number;
  /** Connections that may be accepted before the next count. */
  #allowance = 0;

  /** `threads` accept at the same time, each with a watch of its own. */
  constructor(addon: Addon, threads: number) {
    this.#addon = addon;
    this.#threads = Math.max(1, threads);
  }

  /** One connection was accepted: whether it was one of the last that should be. */
  isScarceAfterAccept(): boolean {
    this.#allowance -= 1;
    if (this.#allowance > 0) return false;
    const spare = this.#spare();
    // All threads together may use up half of what is spare before they count again.
    this.#allowance = Math.floor(spare / (2 * this.#threads));
    return spare <= 0;
  }

  /** Whether accepting had better not begin again; a few more must be free than when it stopped. */
  isScarce(): boolean {
    this.#allowance = 0;
    return this.#spare() <= this.#headroom() / 4;
  }

  /** Free descriptors beyond those we keep. */
  #spare(): number {
    return this.#addon.descriptorLimit().soft - openFiles() - this.#headroom();
  }

  /** Kept for files, logs, threads that start, and what the threads accept between two counts. */
  #headroom(): number {
    const { soft } = this.#addon.descriptorLimit();
    return Math.max(16, 4 * this.#threads, Math.min(256, Math.floor(soft / 16)));
  }
}

/** Descriptors this process has open; 0 where there is no /proc. */
function openFiles(): number {
  try {
    // Linux 6.2 and later tell the number as the folder's size; before, it was 0.
    return statSync(OPEN_FILES).size || readdirSync(OPEN_FILES).length;
  } catch {
    return 0; // then nothing can be foreseen, and accept(2) tells when it is too late
  }
}
