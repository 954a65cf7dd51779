// What RingWriter and RingReader do alike: open their side of a segment, tell its state, wait, and end.
// The native halves have one method each for the hot path; the rest goes by segment id through shm-api.ts.

import { isMainThread } from 'node:worker_threads';

import type { ShmSide } from '../index.js';
import { JbusError, type JbusErrorCode, native } from './errors.js';
import {
  OPEN_FAULT_CAPACITY,
  OPEN_FAULT_FLAGS,
  OPEN_FAULT_MAGIC,
  OPEN_FAULT_POISONED,
  OPEN_FAULT_VERSION,
  OPEN_SIDE_TAKEN,
  POISON_REASONS,
  type SegmentState,
  SIDE_CONSUMER,
  SIDE_PRODUCER,
  STATE_CLOSING,
  STATE_POISONED,
  segmentStateOf,
} from './layout.js';
import { shmAddon } from './native.js';
import { ShmSegment } from './shm-segment.js';

/** Spinning longer than this on the main thread would be blocking. */
const SPIN_MICROS_MAX = 1000;

const OPEN_FAILURES: Readonly<Record<number, readonly [JbusErrorCode, string]>> = {
  [OPEN_FAULT_MAGIC]: ['JBUS_NOT_OURS', 'is not a ring'],
  [OPEN_FAULT_VERSION]: ['JBUS_VERSION', 'has a layout of another version'],
  [OPEN_FAULT_CAPACITY]: ['JBUS_BAD_LAYOUT', 'has an impossible capacity'],
  [OPEN_FAULT_FLAGS]: ['JBUS_BAD_LAYOUT', 'has flags that this version does not know'],
  [OPEN_FAULT_POISONED]: ['JBUS_POISONED', 'was given up'],
  [OPEN_SIDE_TAKEN]: ['JBUS_SIDE_TAKEN', 'has a live process, or thread of this one, on that side'],
};

interface NativeSide {
  poison(): number;
  close(): void;
}

/** Turns what the native `open` answered into an error, unless it is 0. */
export function checkOpened(status: number, id: number): void {
  const failure = OPEN_FAILURES[status];
  if (failure !== undefined) throw new JbusError(failure[0], `segment ${id} ${failure[1]}`);
}

export abstract class RingSide {
  readonly segmentId: number;
  readonly capacity: number;
  /** An attachment of its own, so that the views live as long as this side. */
  protected readonly segment: ShmSegment;
  readonly #native: NativeSide;
  readonly #side: 0 | 1;
  #isClosed = false;

  protected constructor(id: number, side: 0 | 1, nativeSide: NativeSide, open: () => number) {
    this.segmentId = id;
    this.#side = side;
    this.#native = nativeSide;
    this.segment = ShmSegment.attach(id);
    try {
      checkOpened(native(open), id);
      this.capacity = this.segment.header().capacity;
      this.throwIfPoisoned();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get state(): SegmentState {
    return segmentStateOf(native(() => shmAddon().shmState(this.segmentId)));
  }

  /** The other side's process and heartbeat. Reads /proc: not for every message. */
  peer(): ShmSide {
    const side = this.#side === SIDE_PRODUCER ? SIDE_CONSUMER : SIDE_PRODUCER;
    return native(() => shmAddon().shmSide(this.segmentId, side));
  }

  /** This side as the header tells: counters, position, heartbeat. */
  facts(): ShmSide {
    return native(() => shmAddon().shmSide(this.segmentId, this.#side));
  }

  /** Writes this side's heartbeat into the header. */
  beat(): void {
    native(() => shmAddon().shmBeat(this.segmentId, this.#side));
  }

  /** Tells the other side that no more will come, or be read. What is in the ring can still be read. */
  markClosing(): void {
    native(() => shmAddon().shmMark(this.segmentId, STATE_CLOSING));
  }

  /** Gives the ring up: both sides refuse every further call. */
  poison(): void {
    native(() => shmAddon().shmMark(this.segmentId, STATE_POISONED));
  }

  /** @throws JbusError JBUS_POISONED with the reason. */
  throwIfPoisoned(): void {
    const reason = native(() => this.#native.poison());
    if (reason === 0) return;
    throw new JbusError('JBUS_POISONED', `segment ${this.segmentId}: ${POISON_REASONS[reason]}`);
  }

  /** Leaves the side and detaches. Views handed out get length 0 with the last user of the segment in this thread. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#native.close();
    this.segment.close();
  }
}

/** Microseconds of the wait, or JBUS_MAIN_THREAD: a blocked main thread serves nobody. */
export function blockingMicros(timeoutMs: number): number {
  if (!isMainThread) return Math.ceil(timeoutMs * 1000);
  throw new JbusError(
    'JBUS_MAIN_THREAD',
    'blocking waits are for worker threads; wait for the doorbell here',
  );
}

export function checkSpin(spinMicros: number): number {
  if (Number.isInteger(spinMicros) && spinMicros >= 0 && spinMicros <= SPIN_MICROS_MAX) return spinMicros;
  throw new JbusError(
    'JBUS_INVALID_ARGUMENT',
    `spinMicros must be an integer from 0 to ${SPIN_MICROS_MAX}, not ${spinMicros}`,
  );
}
