// How a sleeping thread is roused by another: through an eventfd in its libuv loop, or a MessagePort message.
// mesh-seat.ts picks one and asks for a wake only when the sleeper said that it sleeps.
// An eventfd costs one write and one read; the port is the way without the native addon.

import assert from 'node:assert/strict';
import { type Addon, loadAddon } from '../addon/index.js';
import type { PeerLink } from './peer-link.js';

export interface Waker {
  /** Calls `onWake` after each burst of wakes from now on, and for those already sent. */
  listen(onWake: () => void): void;
  /** Rouses the thread in `slot`, never the own one. */
  wake(slot: number): void;
  /** Whether listening keeps the thread alive; it does not until asked. */
  setRef(isRef: boolean): void;
  /** Idempotent. */
  close(): void;
}

/** The descriptors belong to the main thread, which closes them after the last thread that uses them. */
export class EventFdWaker implements Waker {
  readonly #addon: Addon;
  readonly #eventFds: readonly number[];
  readonly #slot: number;
  #poll: InstanceType<Addon['Waker']> | null = null;

  constructor(eventFds: readonly number[], slot: number) {
    const addon = loadAddon();
    assert(addon !== null, 'the thread that made the eventfds had the addon');
    this.#addon = addon;
    this.#eventFds = eventFds;
    this.#slot = slot;
  }

  listen(onWake: () => void): void {
    this.#poll = new this.#addon.Waker(this.#eventFds[this.#slot]!, onWake);
    this.#poll.unref();
  }

  wake(slot: number): void {
    this.#addon.signalEventFd(this.#eventFds[slot]!);
  }

  setRef(isRef: boolean): void {
    if (isRef) this.#poll?.ref();
    else this.#poll?.unref();
  }

  close(): void {
    this.#poll?.close();
    this.#poll = null;
  }
}

/** Wakes through the links between the threads, which their owner closes. */
export class LinkWaker implements Waker {
  readonly #links: readonly PeerLink[];

  constructor(links: readonly PeerLink[]) {
    this.#links = links;
  }

  listen(onWake: () => void): void {
    for (const link of this.#links) link.listen(onWake);
  }

  wake(slot: number): void {
    this.#links[slot]!.wake();
  }

  setRef(isRef: boolean): void {
    for (const link of this.#links) link.setRef(isRef);
  }

  close(): void {
    // Nothing is owned here.
  }
}
