// A channel within one thread: two rings in plain memory, and a doorbell that is a turn of the loop.
// For tests, and for code that talks to a part of its own process as if it were another. No addon needed.

import { JbusError } from './errors.js';
import type { SegmentState } from './layout.js';
import { type ChannelLink, type Doorbell, monotonicMs, type PeerFacts } from './link.js';
import { MemoryRing } from './memory-ring.js';

/** A lost ring is impossible here; the timer is for deadlines only. */
const SLEEP_MS_MAX = 50;

/** Both sides of one channel, the owner's first. @throws JbusError JBUS_INVALID_ARGUMENT for a capacity. */
export function memoryLinks(capacity: number, capacityBack: number = capacity): [ChannelLink, ChannelLink] {
  const there = new MemoryRing(capacity);
  const back = new MemoryRing(capacityBack);
  const shared: SharedState = { state: 'ready' };
  const owner = new MemoryLink(there, back, shared);
  const peer = new MemoryLink(back, there, shared);
  owner.doorbell.connect(peer.doorbell);
  peer.doorbell.connect(owner.doorbell);
  return [owner, peer];
}

interface SharedState {
  state: SegmentState;
}

class MemoryLink implements ChannelLink {
  readonly backing = 'memory';
  readonly canBlock = false;
  readonly writer: MemoryRing;
  readonly reader: MemoryRing;
  readonly doorbell = new MemoryDoorbell();
  readonly #shared: SharedState;
  #isClosed = false;

  constructor(writer: MemoryRing, reader: MemoryRing, shared: SharedState) {
    this.writer = writer;
    this.reader = reader;
    this.#shared = shared;
  }

  get outCapacity(): number {
    return this.writer.capacity;
  }

  get inCapacity(): number {
    return this.reader.capacity;
  }

  get memory(): Uint8Array {
    return this.reader.memory;
  }

  state(): SegmentState {
    return this.#shared.state;
  }

  mark(state: 'closing' | 'poisoned'): void {
    if (this.#shared.state === 'poisoned') return;
    this.#shared.state = state;
    if (state === 'closing') return;
    this.writer.giveUp();
    this.reader.giveUp();
  }

  beat(): void {
    // Nobody else could miss it.
  }

  peer(): PeerFacts {
    return { pid: process.pid, isAlive: true, heartbeatMs: monotonicMs() };
  }

  settle(): void {
    // Nothing is left behind.
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.doorbell.close();
  }
}

class MemoryDoorbell implements Doorbell {
  readonly sleepMsMax = SLEEP_MS_MAX;
  #other: MemoryDoorbell | undefined;
  #onRing: (() => void) | undefined;
  #isRung = false;

  connect(other: MemoryDoorbell): void {
    this.#other = other;
  }

  listen(onRing: () => void): void {
    this.#onRing = onRing;
  }

  ring(): void {
    this.#other?.beRung();
  }

  /** Any number of rings before the loop gets there are one call. */
  beRung(): void {
    if (this.#isRung) return;
    this.#isRung = true;
    setImmediate(() => {
      this.#isRung = false;
      this.#onRing?.();
    });
  }

  wait(): never {
    throw new JbusError('JBUS_UNSUPPORTED', 'a channel within one thread cannot block');
  }

  setRef(): void {
    // Holds nothing open: only what waits, with its timer, does.
  }

  close(): void {
    this.#onRing = undefined;
  }
}
