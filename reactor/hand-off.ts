// Gives accepted connections from the main reactor to the sub-reactors, by descriptor number.
// The acceptor's sink on the main thread calls `give`; sub-reactor.ts adopts and counts what it adopted.
// A number on its way belongs to us until the adoption is counted: when a thread dies first, its
// descriptors go to another thread, and are recognised by their inode so that a number which the dying
// thread had taken over already, and which may be somebody else's by now, is never touched.

import type { Addon } from '../addon/index.js';
import { createDispatch, type DispatchFunction, type PeerAddress, type ThreadLoad } from './dispatch.js';
import { ReactorError } from './errors.js';
import type { EventLoop } from './event-loop.js';
import { HAND_OFFS_WAITING_MAX } from './limits.js';
import type { OccupancyLimits, SharedOccupancy } from './shared-occupancy.js';

/** Name of the task that carries one descriptor; sub-reactor.ts registers it. */
export const ADOPT_TASK = 'reactor.adopt';

export interface HandOffRecord {
  readonly serviceId: number;
  readonly fd: number;
  /** Incarnation of the thread it was sent to; a successor ignores records of its predecessor. */
  readonly incarnation: number;
  readonly address: string;
}

export interface HandOffSink {
  /** A connection was closed instead of handed over. */
  refused(error: ReactorError): void;
  /** Something went wrong and was dealt with. */
  troubled(error: ReactorError): void;
}

interface OnItsWay {
  readonly serviceId: number;
  readonly fd: number;
  readonly inode: number;
  readonly peer: PeerAddress;
  readonly limits: OccupancyLimits;
  /** Chosen for it while that thread's queue was full: waiting does not cost a thread its turn. */
  thread: number | null;
}

interface Lane {
  incarnation: number;
  isUp: boolean;
  /** Sent and not known to be adopted, oldest first. */
  sent: OnItsWay[];
  adoptedSeen: number;
}

const RECORD_BYTES = 12;
const RETRY_MS = 5;

export class HandOff {
  readonly #addon: Addon;
  readonly #loop: EventLoop;
  readonly #occupancy: SharedOccupancy;
  readonly #dispatch: DispatchFunction;
  /** Decides where a user's function does not. */
  readonly #fallback: DispatchFunction = createDispatch('round-robin');
  readonly #sink: HandOffSink;
  readonly #lanes: Lane[];
  /** One word per thread: descriptors its current incarnation has adopted. Written by that thread. */
  readonly #adopted: Int32Array;
  /** Accepted while no queue had room or no thread was up. */
  #waiting: OnItsWay[] = [];
  #isRetryDue = false;

  constructor(
    addon: Addon,
    loop: EventLoop,
    occupancy: SharedOccupancy,
    adopted: Int32Array,
    dispatch: DispatchFunction,
    sink: HandOffSink,
  ) {
    this.#addon = addon;
    this.#loop = loop;
    this.#occupancy = occupancy;
    this.#adopted = adopted;
    this.#dispatch = dispatch;
    this.#sink = sink;
    this.#lanes = Array.from(adopted, () => ({ incarnation: 0, isUp: false, sent: [], adoptedSeen: 0 }));
  }

  /** So many wait that accepting had better pause: beyond the bound newcomers are closed. */
  get isCrowded(): boolean {
    return this.#waiting.length >= HAND_OFFS_WAITING_MAX / 2;
  }

  /** Takes `fd` over: it is adopted by a sub-reactor, or closed. */
  give(serviceId: number, fd: number, peer: PeerAddress, limits: OccupancyLimits): void {
    const item = { serviceId, fd, inode: this.#addon.socketInode(fd), peer, limits, thread: null };
    if (this.#waiting.length > 0 || !this.#send(item)) this.#wait(item);
  }

  /** A new worker is about to start for the thread; returns the number of its incarnation. */
  threadStarting(thread: number): number {
    const lane = this.#lanes[thread]!;
    lane.incarnation += 1;
    lane.adoptedSeen = 0;
    Atomics.store(this.#adopted, thread, 0);
    return lane.incarnation;
  }

  /** The thread has its services and can adopt. */
  threadUp(thread: number): void {
    this.#lanes[thread]!.isUp = true;
    this.#retryLater();
  }

  /** The thread's worker has ended: what it had not adopted goes to others. */
  threadDown(thread: number): void {
    const lane = this.#lanes[thread]!;
    this.#prune(thread);
    const orphans = lane.sent.filter((item) => this.#isStill(item));
    lane.sent = [];
    lane.isUp = false;
    this.#occupancy.forget(thread); // also what it accepted itself, perhaps before it was up
    for (const item of orphans) if (!this.#send(item)) this.#wait(item);
  }

  /** Closes what was accepted and never sent or adopted. */
  close(): void {
    for (const item of this.#waiting) this.#addon.closeFd(item.fd);
    this.#waiting = [];
    for (const lane of this.#lanes) {
      for (const item of lane.sent) this.#addon.closeSocketIf(item.fd, item.inode);
      lane.sent = [];
    }
  }

  /** False when nobody can take it now; a refused connection is closed and counts as dealt with. */
  #send(item: OnItsWay): boolean {
    const candidates = this.#candidates(item.limits.connectionsPerThreadMax);
    if (candidates.length === 0) return false;
    const kept = candidates.find(({ thread }) => thread === item.thread);
    const { thread } = kept ?? candidates[this.#choose(candidates, item.peer)]!;
    item.thread = thread;
    const refusal = this.#occupancy.admit(thread, item.peer.address, item.limits);
    if (refusal !== null) {
      this.#addon.closeFd(item.fd);
      this.#sink.refused(refusal);
      return true;
    }
    const lane = this.#lanes[thread]!;
    const { serviceId, fd, peer } = item;
    const record = { serviceId, fd, incarnation: lane.incarnation, address: peer.address ?? '' };
    try {
      this.#loop.post(thread, ADOPT_TASK, encodeHandOff(record), { priority: 'urgent' });
    } catch (error) {
      this.#occupancy.leave(thread, peer.address);
      if (error instanceof ReactorError && error.code === 'REACTOR_QUEUE_FULL') return false;
      throw error;
    }
    this.#prune(thread);
    lane.sent.push(item);
    item.thread = null;
    return true;
  }

  #wait(item: OnItsWay): void {
    if (this.#waiting.length >= HAND_OFFS_WAITING_MAX) {
      this.#addon.closeFd(item.fd);
      const message = `${HAND_OFFS_WAITING_MAX} accepted connections already wait for a thread`;
      this.#sink.refused(new ReactorError('REACTOR_QUEUE_FULL', message));
      return;
    }
    this.#waiting.push(item);
    this.#retryLater();
  }

  #retryLater(): void {
    if (this.#isRetryDue || this.#waiting.length === 0) return;
    this.#isRetryDue = true;
    this.#loop.runAfter(RETRY_MS, () => {
      this.#isRetryDue = false;
      const waiting = this.#waiting;
      const sent = waiting.findIndex((item) => !this.#send(item));
      this.#waiting = sent === -1 ? [] : waiting.slice(sent);
      this.#retryLater();
    });
  }

  /** The threads that are up and have room; all that are up when none has, so that one of them refuses. */
  #candidates(connectionsPerThreadMax: number): ThreadLoad[] {
    const up: ThreadLoad[] = [];
    for (const [thread, lane] of this.#lanes.entries()) {
      if (lane.isUp) up.push({ thread, connections: this.#occupancy.openOn(thread) });
    }
    const withRoom = up.filter(({ connections }) => connections < connectionsPerThreadMax);
    return withRoom.length > 0 ? withRoom : up;
  }

  /** Position of the thread that gets the connection; a user's function that fails costs nobody theirs. */
  #choose(candidates: readonly ThreadLoad[], peer: PeerAddress): number {
    let message: string;
    try {
      const position: unknown = this.#dispatch(candidates, peer);
      if (Number.isInteger(position)) return modulo(position as number, candidates.length);
      message = `the dispatch function returned ${String(position)}, not an integer`;
    } catch (error) {
      message = `the dispatch function threw: ${error instanceof Error ? error.message : String(error)}`;
    }
    this.#sink.troubled(new ReactorError('REACTOR_HANDLER_FAILED', message));
    return this.#fallback(candidates, peer);
  }

  /** Forgets what the thread has adopted by now; records are adopted in the order they were sent. */
  #prune(thread: number): void {
    const lane = this.#lanes[thread]!;
    const adopted = Atomics.load(this.#adopted, thread);
    const fresh = (adopted - lane.adoptedSeen) | 0; // the word wraps after 2^31 adoptions
    if (fresh <= 0) return;
    lane.adoptedSeen = adopted;
    lane.sent.splice(0, fresh);
  }

  #isStill(item: OnItsWay): boolean {
    try {
      return this.#addon.socketInode(item.fd) === item.inode;
    } catch {
      return false; // the number is free or no socket: the thread had adopted it, and its end closed it
    }
  }
}

export function encodeHandOff(record: HandOffRecord): Uint8Array {
  const bytes = Buffer.allocUnsafe(RECORD_BYTES + record.address.length); // addresses are ASCII
  bytes.writeUInt32LE(record.serviceId, 0);
  bytes.writeInt32LE(record.fd, 4);
  bytes.writeUInt32LE(record.incarnation, 8);
  bytes.write(record.address, RECORD_BYTES, 'latin1');
  return bytes;
}

export function decodeHandOff(payload: Uint8Array): HandOffRecord {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  return {
    serviceId: bytes.readUInt32LE(0),
    fd: bytes.readInt32LE(4),
    incarnation: bytes.readUInt32LE(8),
    address: bytes.toString('latin1', RECORD_BYTES),
  };
}

function modulo(value: number, length: number): number {
  return ((value % length) + length) % length;
}
