// The shared topology of the reactor's threads: made once by the main thread, outliving every worker.
// For each ordered pair of threads one task ring per lane in shared memory, for each thread one eventfd,
// for each pair of living threads one MessagePort. Main connects a worker before it starts and declares it
// lost after it ended; each thread's task-queue.ts works on the seat it is given.

import assert from 'node:assert/strict';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { loadAddon } from '../addon/index.js';
import { ReactorError } from './errors.js';
import { THREADS_MAX } from './limits.js';
import { type LinkData, MeshSeat, type MeshSeatData, type MeshShared, meshMemoryBytes } from './mesh-seat.js';
import { TaskRing } from './task-ring.js';

export interface ThreadMeshOptions {
  /** Sub-reactors beside the calling thread, 0 to 256. Default 0: the calling thread is thread 0 too. */
  threads?: number;
  /** Bytes of each normal lane, a power of two from 16 KiB to 512 KiB. Default 64 KiB. */
  normalLaneBytes?: number;
  /** Bytes of each urgent lane, a power of two from 16 KiB to 512 KiB. Default 16 KiB. */
  urgentLaneBytes?: number;
  /** How sleepers are roused. Default: eventfd when the addon is there, else port. */
  wake?: 'eventfd' | 'port';
}

/** What to give to `new Worker`: `workerData: { mesh: seatData, … }, transferList`. */
export interface MeshConnection {
  readonly seatData: MeshSeatData;
  readonly transferList: readonly MessagePort[];
}

const KIB = 1024;

export class ThreadMesh {
  readonly shared: MeshShared;
  /** The main thread's own place. */
  readonly seat: MeshSeat;
  /** Main's ends of the control ports, by slot; they bring a living thread the ports of restarted peers. */
  readonly #controls: (MessagePort | null)[];
  #isClosed: boolean = false;

  private constructor(shared: MeshShared) {
    this.shared = shared;
    this.seat = MeshSeat.main(shared);
    this.#controls = Array.from({ length: shared.threads }, () => null);
  }

  /**
   * @throws ReactorError REACTOR_OPTION_INVALID, REACTOR_ADDON_MISSING (`wake: 'eventfd'` asked for);
   *   AddonError when there is no descriptor left.
   */
  static create(options: ThreadMeshOptions = {}): ThreadMesh {
    const threads = options.threads ?? 0;
    const laneBytes = {
      urgent: options.urgentLaneBytes ?? 16 * KIB,
      normal: options.normalLaneBytes ?? 64 * KIB,
    };
    if (!Number.isInteger(threads) || threads < 0 || threads > THREADS_MAX) {
      throw new ReactorError('REACTOR_OPTION_INVALID', `threads is ${threads}, not 0 to ${THREADS_MAX}`);
    }
    for (const [lane, bytes] of Object.entries(laneBytes)) {
      if (TaskRing.isCapacity(bytes)) continue;
      throw new ReactorError(
        'REACTOR_OPTION_INVALID',
        `${lane}LaneBytes is ${bytes}, not a power of two from 16 to 512 KiB`,
      );
    }
    const memory = new SharedArrayBuffer(meshMemoryBytes(threads, laneBytes));
    const eventFds = options.wake === 'port' ? null : createEventFds(threads + 1, options.wake === 'eventfd');
    return new ThreadMesh({ threads, memory, laneBytes, eventFds });
  }

  /**
   * Prepares the seat of one sub-reactor that is about to start, the first time or again after `lost`:
   * ports between it and every living thread, which those receive at once. From here on tasks for it
   * queue up and calls to it wait. The worker takes the seat with `MeshSeat.join(seatData)`.
   */
  connect(thread: number): MeshConnection {
    assert(!this.#isClosed);
    assert(thread >= 0 && thread < this.shared.threads);
    const links: LinkData[] = [];
    const incarnation = this.seat.nextIncarnation(thread);
    for (let peer = 0; peer < this.seat.slotCount; peer += 1) {
      const peerIncarnation = this.seat.incarnationOf(peer);
      if (peer === thread || peerIncarnation === null) continue;
      const { port1, port2 } = new MessageChannel();
      links.push({ slot: peer, incarnation: peerIncarnation, port: port1 });
      const toThread: LinkData = { slot: thread, incarnation, port: port2 };
      if (peer === this.seat.mainSlot) this.seat.setLink(toThread);
      else this.#controls[peer]!.postMessage(toThread, [port2]);
    }
    const control = new MessageChannel();
    control.port1.unref();
    this.#controls[thread] = control.port1;
    this.seat.markUp(thread);
    const seatData = { shared: this.shared, slot: thread, control: control.port2, links };
    return { seatData, transferList: [control.port2, ...links.map((link) => link.port)] };
  }

  /**
   * Says that the worker of this thread has ended (its 'exit' event). Calls waiting for it reject with
   * REACTOR_THREAD_LOST, those of this thread before `lost` returns; tasks it had not begun stay in its
   * rings for its successor. Returns false when the thread was not connected.
   */
  lost(thread: number): boolean {
    assert(thread >= 0 && thread < this.shared.threads);
    if (this.seat.incarnationOf(thread) === null) return false;
    this.#controls[thread]?.close();
    this.#controls[thread] = null;
    this.seat.markLost(thread);
    return true;
  }

  /** Gives the descriptors back. Every worker must have ended and the main queue be closed. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    for (let thread = 0; thread < this.shared.threads; thread += 1) {
      assert(this.seat.incarnationOf(thread) === null, 'no thread may signal a descriptor that is closed');
    }
    this.#isClosed = true;
    this.seat.close();
    for (const fd of this.shared.eventFds ?? []) loadAddon()?.closeFd(fd);
  }
}

/** One eventfd per slot, or null when the addon is missing and not insisted on. */
function createEventFds(count: number, isRequired: boolean): number[] | null {
  const addon = loadAddon();
  if (addon === null) {
    if (isRequired)
      throw new ReactorError('REACTOR_ADDON_MISSING', 'waking by eventfd needs the native addon');
    return null;
  }
  const fds: number[] = [];
  try {
    while (fds.length < count) fds.push(addon.eventFd());
  } catch (error) {
    for (const fd of fds) addon.closeFd(fd);
    throw error;
  }
  return fds;
}
