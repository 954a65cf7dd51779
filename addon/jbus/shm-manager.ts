// The rings of one process by key: made, registered and found here, one object per key.
// Decides what a taken key means: a live owner is left alone, what a dead one left behind is replaced.
// ChannelManager and `reactor-net shm` build on it; the system calls are ShmSegment's.

import type { ShmHeader, ShmStatus } from '../index.js';
import { JbusError, native } from './errors.js';
import { keyText } from './keys.js';
import { STATE_POISONED } from './layout.js';
import { monotonicMs } from './link.js';
import { shmAddon } from './native.js';
import { checkOwner, ShmRing, type ShmRingExpectation, type ShmRingOptions } from './shm-ring.js';

export interface ShmManagerOptions {
  /** How often the owners of segments write their heartbeat; three missed ones count as silence. Default 1000. */
  heartbeatMs?: number;
}

const DEFAULTS: Required<ShmManagerOptions> = { heartbeatMs: 1000 };
const BEATS_UNTIL_SILENT = 3;
/** Somebody else may take the key between removing and making; then it is judged anew. */
const CREATE_ROUNDS_MAX = 3;

export class ShmManager {
  readonly #heartbeatMs: number;
  readonly #rings = new Map<number, ShmRing>();

  constructor(options: ShmManagerOptions = {}) {
    this.#heartbeatMs = { ...DEFAULTS, ...options }.heartbeatMs;
  }

  /**
   * Makes a ring under `key`. A segment that a dead owner left there is poisoned, removed and replaced.
   * @throws JbusError JBUS_KEY_IN_USE: this manager, or a live process, has it. JBUS_FORBIDDEN, JBUS_NOT_OURS: what is
   * there is not ours to remove.
   */
  create(key: number, options: ShmRingOptions = {}): ShmRing {
    if (this.#rings.has(key)) throw keyInUse(key, 'this manager');
    for (let round = 1; ; round += 1) {
      try {
        const ring = ShmRing.create(key, options);
        this.#rings.set(key, ring);
        return ring;
      } catch (error) {
        if (!isKeyInUse(error) || round === CREATE_ROUNDS_MAX) throw error;
      }
      this.#removeStale(key);
    }
  }

  /**
   * Attaches to the ring that another process made under `key`; the same object when it is known already.
   * @throws JbusError as ShmRing.attach.
   */
  register(key: number, expected: ShmRingExpectation = {}): ShmRing {
    const known = this.#rings.get(key);
    if (known !== undefined) return known;
    const ring = ShmRing.attach(
      native(() => shmAddon().shmFind(key)),
      expected,
    );
    this.#rings.set(key, ring);
    return ring;
  }

  get(key: number): ShmRing | undefined {
    return this.#rings.get(key);
  }

  keys(): number[] {
    return [...this.#rings.keys()];
  }

  /** Detaches, and with `remove` gives up the key too. Doing it for a key that is not there does nothing. */
  close(key: number, options: { remove?: boolean } = {}): void {
    const ring = this.#rings.get(key);
    if (ring === undefined) return;
    this.#rings.delete(key);
    try {
      if (options.remove === true) ring.remove();
    } finally {
      ring.close();
    }
  }

  closeAll(options: { remove?: boolean } = {}): void {
    for (const key of this.keys()) this.close(key, options);
  }

  /** Removes what is under `key` if its owner is dead. Returns also when it has gone by itself. */
  #removeStale(key: number): void {
    const found = inspectKey(key);
    if (found === undefined) return;
    checkOwner(found.status);
    if (!found.header.isOurs && !isBeingMade(found.status, found.header)) {
      throw new JbusError('JBUS_NOT_OURS', `the segment under key ${keyText(key)} is not a ring`);
    }
    if (!isStale(found.status, found.header, this.#heartbeatMs)) {
      throw keyInUse(key, `process ${found.header.creatorPid || found.status.creatorPid}`);
    }
    removeSegment(found.status.id);
  }
}

/**
 * Whether a ring's owner is gone: nobody is attached, or its creator has ended and both sides have been silent for
 * three heartbeats. What has not our magic is never stale; a creator in another pid namespace is not known to be dead.
 */
export function isStale(status: ShmStatus, header: ShmHeader, heartbeatMs: number): boolean {
  if (!header.isOurs) return false;
  if (status.attachCount === 0) return true;
  if (header.creatorPid === 0 || header.creatorAlive) return false;
  return isSilent(header, heartbeatMs);
}

/** Whether both sides have missed three heartbeats. */
export function isSilent({ producer, consumer }: ShmHeader, heartbeatMs: number): boolean {
  const silentSinceMs = monotonicMs() - heartbeatMs * BEATS_UNTIL_SILENT;
  return producer.heartbeatMs < silentSinceMs && consumer.heartbeatMs < silentSinceMs;
}

/** Poisons the ring, so that whoever still looks at it stops, and removes the segment. */
export function removeSegment(id: number): void {
  try {
    native(() => shmAddon().shmMark(id, STATE_POISONED));
    native(() => shmAddon().shmRemove(id));
  } catch (error) {
    if (!isGone(error)) throw error; // somebody else was faster
  }
}

/** What lies under a key; undefined when nothing does. */
export function inspectKey(key: number): { status: ShmStatus; header: ShmHeader } | undefined {
  try {
    const id = native(() => shmAddon().shmFind(key));
    // In this order: looking at the header attaches for a moment.
    const status = native(() => shmAddon().shmStat(id));
    return { status, header: native(() => shmAddon().shmHeader(id)) };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** A live process is between shmget and the end of formatting. */
function isBeingMade(status: ShmStatus, header: ShmHeader): boolean {
  return header.isEmpty && status.creatorPid !== 0 && shmAddon().processStartTime(status.creatorPid) !== 0;
}

function isKeyInUse(error: unknown): boolean {
  return error instanceof JbusError && error.code === 'JBUS_KEY_IN_USE';
}

function isGone(error: unknown): boolean {
  return error instanceof JbusError && error.code === 'JBUS_NO_SEGMENT';
}

function keyInUse(key: number, owner: string): JbusError {
  return new JbusError('JBUS_KEY_IN_USE', `key ${keyText(key)} is in use by ${owner}`);
}
