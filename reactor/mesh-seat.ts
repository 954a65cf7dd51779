// One thread's place in the mesh: its rings to and from every thread, its wake word, its links.
// thread-mesh.ts makes the seats; task-queue.ts is the only user of one.
// Decides nothing about tasks: it moves bytes, rouses sleepers and tells which incarnation of a peer lives.

import assert from 'node:assert/strict';
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { ReactorError } from './errors.js';
import { type Lane, PeerLink } from './peer-link.js';
import { RING_HEADER_BYTES, TaskRing } from './task-ring.js';
import { EventFdWaker, LinkWaker, type Waker } from './waker.js';

/** A thread as the API names it: a sub-reactor's number, or the thread that created the mesh. */
export type ThreadIndex = number | 'main';

/** What all threads share; structured-cloneable, the memory stays shared. */
export interface MeshShared {
  /** Sub-reactors. 0: main is thread 0 as well. */
  readonly threads: number;
  readonly memory: SharedArrayBuffer;
  readonly laneBytes: Readonly<Record<Lane, number>>;
  /** One per slot, owned by the main thread; null: wakes travel by MessagePort. */
  readonly eventFds: readonly number[] | null;
}

/** What a worker needs to take its seat; goes through `workerData` with its ports in the transfer list. */
export interface MeshSeatData {
  readonly shared: MeshShared;
  readonly slot: number;
  readonly control: MessagePort;
  readonly links: readonly LinkData[];
}

/** A port to one incarnation of the thread in `slot`. */
export interface LinkData {
  readonly slot: number;
  readonly incarnation: number;
  readonly port: MessagePort;
}

/** What the seat tells its user. */
export interface MeshSeatListener {
  /** Another thread pushed something while this one slept. */
  onWake(): void;
  /** A peer was lost or has restarted; compare `incarnationOf` with what was remembered. */
  onPeersChanged(): void;
}

const LINE_BYTES = 64;
const LINE_WORDS = LINE_BYTES / 4;
const SLOT_LINES = 2; // wake word, state word
const EPOCH_WORD = 0;
const AWAKE = 0;
const ARMED = 1;

export class MeshSeat {
  readonly threads: number;
  readonly slot: number;
  readonly slotCount: number;
  /** Which incarnation of its thread this is. */
  readonly incarnation: number;
  /** Rings this thread pushes to, by consumer slot. */
  readonly outgoing: readonly Readonly<Record<Lane, TaskRing>>[];
  /** Rings this thread takes from, by producer slot. */
  readonly incoming: readonly Readonly<Record<Lane, TaskRing>>[];
  readonly #words: Int32Array;
  readonly #links: readonly PeerLink[];
  readonly #waker: Waker;
  readonly #control: MessagePort | null;
  #listener: MeshSeatListener | null = null;
  #seenEpoch: number;

  private constructor(shared: MeshShared, slot: number, control: MessagePort | null) {
    const slotCount = shared.threads + 1;
    this.threads = shared.threads;
    this.slot = slot;
    this.slotCount = slotCount;
    this.#words = new Int32Array(shared.memory, 0, controlBytes(slotCount) / 4);
    this.#control = control;
    const slots = Array.from({ length: slotCount }, (_, index) => index);
    this.outgoing = slots.map((consumer) => ringsOf(shared, slot, consumer));
    this.incoming = slots.map((producer) => ringsOf(shared, producer, slot));
    this.incarnation = this.#ownIncarnation();
    this.#links = slots.map((peer) => new PeerLink(peer === slot ? this.incarnation : null));
    this.#waker =
      shared.eventFds === null ? new LinkWaker(this.#links) : new EventFdWaker(shared.eventFds, slot);
    this.#seenEpoch = Atomics.load(this.#words, EPOCH_WORD);
  }

  /** @internal The seat of the thread that creates the mesh; use `ThreadMesh.create(…).seat`. */
  static main(shared: MeshShared): MeshSeat {
    const states = new Int32Array(shared.memory, 0, controlBytes(shared.threads + 1) / 4);
    Atomics.add(states, stateWord(shared.threads), 1);
    return new MeshSeat(shared, shared.threads, null);
  }

  /** Takes the seat that `ThreadMesh.connect` prepared; in the worker, once. */
  static join(data: MeshSeatData): MeshSeat {
    const seat = new MeshSeat(data.shared, data.slot, data.control);
    for (const link of data.links) seat.setLink(link);
    data.control.on('message', (link: LinkData) => seat.#peerRestarted(link));
    data.control.unref();
    return seat;
  }

  get mainSlot(): number {
    return this.threads;
  }

  get thread(): ThreadIndex {
    return this.threadOf(this.slot);
  }

  threadOf(slot: number): ThreadIndex {
    return slot === this.mainSlot ? 'main' : slot;
  }

  /** @throws ReactorError REACTOR_UNKNOWN_THREAD */
  slotOf(thread: ThreadIndex): number {
    if (thread === 'main' || (thread === 0 && this.threads === 0)) return this.mainSlot;
    if (Number.isInteger(thread) && thread >= 0 && thread < this.threads) return thread;
    throw new ReactorError(
      'REACTOR_UNKNOWN_THREAD',
      `there is no thread ${thread}, only main and ${this.threads} more`,
    );
  }

  /** Begins to listen for wakes; before this they are kept. */
  start(listener: MeshSeatListener): void {
    assert(this.#listener === null);
    this.#listener = listener;
    this.#waker.listen(() => listener.onWake());
  }

  /** Number of the incarnation that lives in `slot`, modulo 65536, or null while none does. */
  incarnationOf(slot: number): number | null {
    const state = Atomics.load(this.#words, stateWord(slot));
    return state % 2 === 1 ? state & 0xffff : null;
  }

  /** Consumer: says it is about to sleep. Look at the rings once more afterwards. */
  arm(): void {
    Atomics.store(this.#words, wakeWord(this.slot), ARMED);
  }

  /** Consumer: takes `arm` back. */
  disarm(): void {
    Atomics.store(this.#words, wakeWord(this.slot), AWAKE);
  }

  /** Producer, after a push: rouses the thread in `slot` if it sleeps. Returns whether it had to. */
  wake(slot: number): boolean {
    const word = wakeWord(slot);
    if (Atomics.load(this.#words, word) !== ARMED) return false;
    if (Atomics.exchange(this.#words, word, AWAKE) !== ARMED) return false;
    this.#waker.wake(slot);
    return true;
  }

  /** Whether a payload can be sent beside the ring to the incarnation that lives in `slot`. */
  isLinkedTo(slot: number): boolean {
    const incarnation = this.incarnationOf(slot);
    if (incarnation === null) return false;
    const link = this.#links[slot]!;
    if (link.incarnation !== incarnation && this.#control !== null) this.#receiveControl(this.#control);
    return link.incarnation === incarnation;
  }

  /** Sends a payload that a record of `lane` will announce; ask `isLinkedTo` first. */
  sendBig(slot: number, lane: Lane, sequence: number, payload: Uint8Array): void {
    this.#links[slot]!.send(lane, sequence, payload);
  }

  /** The payload that a record announced; null when it died with the thread it was sent to. */
  takeBig(slot: number, lane: Lane, sequence: number): Uint8Array | null {
    const link = this.#links[slot]!;
    const payload = link.take(lane, sequence);
    if (payload !== null || this.#control === null) return payload;
    // The sender may be a new incarnation whose port still waits in the control port.
    if (!this.#receiveControl(this.#control)) return null;
    return link.take(lane, sequence);
  }

  /** Notices peers that were lost since the last call; call it in every turn. */
  checkPeers(): void {
    const epoch = Atomics.load(this.#words, EPOCH_WORD);
    if (epoch === this.#seenEpoch) return;
    this.#seenEpoch = epoch;
    this.#listener?.onPeersChanged();
  }

  /** Whether waiting for wakes keeps the thread alive; it does not until asked. */
  setRef(isRef: boolean): void {
    this.#waker.setRef(isRef);
  }

  /** Stops listening and closes the ports; the shared memory stays with the mesh. Idempotent. */
  close(): void {
    this.disarm();
    this.#waker.close();
    for (const link of this.#links) link.close();
    this.#control?.close();
  }

  /** @internal The incarnation that the next `markUp` gives. */
  nextIncarnation(slot: number): number {
    return (Atomics.load(this.#words, stateWord(slot)) + 1) & 0xffff;
  }

  /** @internal ThreadMesh, main thread: a thread starts, and the links to it have been sent. */
  markUp(slot: number): void {
    assert(this.incarnationOf(slot) === null, 'a thread is connected again only after it was lost');
    Atomics.add(this.#words, stateWord(slot), 1);
  }

  /** @internal ThreadMesh, main thread: a thread has ended; everyone is told and roused. */
  markLost(slot: number): void {
    Atomics.add(this.#words, stateWord(slot), 1);
    this.#links[slot]!.replacePort(null, null);
    Atomics.add(this.#words, EPOCH_WORD, 1);
    for (let peer = 0; peer < this.slotCount; peer += 1) {
      // Even those not armed: the lost thread may have ended between disarming a sleeper and rousing it.
      if (peer !== this.slot && this.incarnationOf(peer) !== null) this.#waker.wake(peer);
    }
    this.checkPeers();
    this.#listener?.onWake();
  }

  /** @internal */
  setLink(link: LinkData): void {
    this.#links[link.slot]!.replacePort(link.port, link.incarnation);
  }

  #ownIncarnation(): number {
    const incarnation = this.incarnationOf(this.slot);
    assert(incarnation !== null, 'a seat is taken by a thread that is connected');
    return incarnation;
  }

  #peerRestarted(link: LinkData): void {
    this.setLink(link);
    this.#listener?.onPeersChanged();
  }

  #receiveControl(control: MessagePort): boolean {
    const received: { message: LinkData } | undefined = receiveMessageOnPort(control);
    if (received === undefined) return false;
    this.#peerRestarted(received.message);
    this.#receiveControl(control);
    return true;
  }
}

/** Bytes of the shared memory a mesh of `threads` sub-reactors needs. */
export function meshMemoryBytes(threads: number, laneBytes: Readonly<Record<Lane, number>>): number {
  const slotCount = threads + 1;
  return controlBytes(slotCount) + slotCount * slotCount * pairBytes(laneBytes);
}

function ringsOf(shared: MeshShared, producer: number, consumer: number): Record<Lane, TaskRing> {
  const { memory, laneBytes } = shared;
  const slotCount = shared.threads + 1;
  const offset = controlBytes(slotCount) + (producer * slotCount + consumer) * pairBytes(laneBytes);
  return {
    urgent: new TaskRing(memory, offset, laneBytes.urgent),
    normal: new TaskRing(memory, offset + RING_HEADER_BYTES + laneBytes.urgent, laneBytes.normal),
  };
}

function pairBytes(laneBytes: Readonly<Record<Lane, number>>): number {
  return 2 * RING_HEADER_BYTES + laneBytes.urgent + laneBytes.normal;
}

function controlBytes(slotCount: number): number {
  return LINE_BYTES * (1 + slotCount * SLOT_LINES);
}

function wakeWord(slot: number): number {
  return LINE_WORDS * (1 + slot * SLOT_LINES);
}

function stateWord(slot: number): number {
  return wakeWord(slot) + LINE_WORDS;
}
