// A hashed timer wheel with intrusive nodes: one timer per connection costs no object of its own.
// loop-timers.ts owns the one wheel of a thread and drives it; connections and pending calls are its nodes.
// Pure: time comes in as a number of milliseconds, and nothing happens between two calls of `advance`.
// After Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (scheme 6): O(1) schedule and cancel.

import assert from 'node:assert/strict';
import { TIMER_TICK_MS } from './limits.js';

/**
 * One timer. Extend it, so that the owner is its own list entry, and put what should happen in `onTimer`.
 * The fields belong to the wheel. A node waits in at most one wheel, at most once.
 */
export abstract class TimerNode {
  /** @internal */ declare nextTimer: TimerNode | null;
  /** @internal */ declare previousTimer: TimerNode | null;
  /** @internal */ declare dueTick: number;

  constructor() {
    // Assigned rather than initialized: a field that is defined by the base of many classes takes V8's slow path, a
    // microsecond for each RPC call.
    this.nextTimer = null;
    this.previousTimer = null;
    this.dueTick = 0;
  }

  /** Called once per `schedule`, never early; may schedule or cancel any node, itself included. */
  abstract onTimer(): void;

  get isScheduled(): boolean {
    return this.nextTimer !== null;
  }
}

export interface TimerWheelOptions {
  /** Length of one tick, in milliseconds; a timer is late by less than this. Default TIMER_TICK_MS. */
  tickMs?: number;
  /** Ticks in one revolution, a power of two; longer delays wait several revolutions. Default 512. */
  slotCount?: number;
}

const DEFAULTS: Required<TimerWheelOptions> = { tickMs: TIMER_TICK_MS, slotCount: 512 };

export class TimerWheel {
  readonly #tickMs: number;
  readonly #slotMask: number;
  readonly #originMs: number;
  readonly #slots: ListHead[] = [];
  /** Lower bound of `dueTick` in each slot, exact until something is cancelled; Infinity when empty. */
  readonly #slotEarliest: Float64Array;
  /** Nodes whose time has come and that the current or next `advance` will fire. */
  readonly #due: ListHead = new ListHead();
  /** Every slot up to this tick has been emptied of what was due. */
  #tick: number = 0;
  /** Nothing scheduled from now on may fire at or before this tick. */
  #targetTick: number = 0;
  #size: number = 0;
  #advancing: boolean = false;

  /** `nowMs` is any monotonic time; the same clock must be used in every later call. */
  constructor(nowMs: number, options: TimerWheelOptions = {}) {
    const { tickMs, slotCount } = { ...DEFAULTS, ...options };
    assert(tickMs > 0);
    assert(slotCount > 1 && (slotCount & (slotCount - 1)) === 0, 'slotCount is a power of two');
    this.#tickMs = tickMs;
    this.#slotMask = slotCount - 1;
    this.#originMs = nowMs;
    this.#slotEarliest = new Float64Array(slotCount).fill(Infinity);
    for (let slot = 0; slot < slotCount; slot += 1) this.#slots.push(new ListHead());
  }

  /** Timers waiting. */
  get size(): number {
    return this.#size;
  }

  /**
   * Fires `node` once, not before `nowMs + delayMs`; a node already waiting is moved.
   * Returns the time, in the caller's milliseconds, at which `advance` will fire it.
   */
  schedule(node: TimerNode, delayMs: number, nowMs: number): number {
    assert(delayMs >= 0 && delayMs < Infinity, 'a delay is a finite number of milliseconds, not negative');
    if (node.nextTimer !== null) this.#remove(node);
    const wantedTick = Math.ceil((nowMs + delayMs - this.#originMs) / this.#tickMs);
    node.dueTick = Math.max(wantedTick, this.#targetTick + 1);
    this.#insert(node);
    this.#size += 1;
    return this.#originMs + node.dueTick * this.#tickMs;
  }

  /** Forgets `node`. Returns false when it was not waiting. */
  cancel(node: TimerNode): boolean {
    if (node.nextTimer === null) return false;
    this.#remove(node);
    return true;
  }

  /**
   * Hands every node due at `nowMs` to `fire`, in order of their ticks, but at most `firesMax` of them:
   * the rest is due at once in the next call. Whatever `fire` schedules waits for a later call.
   * When `fire` throws the wheel stays sound and the remaining nodes fire next time.
   */
  advance(nowMs: number, fire: (node: TimerNode) => void, firesMax: number = Infinity): void {
    assert(!this.#advancing, 'advance is not called from inside fire');
    this.#targetTick = Math.max(this.#targetTick, Math.floor((nowMs - this.#originMs) / this.#tickMs));
    let firesLeft = firesMax;
    this.#advancing = true;
    try {
      while (firesLeft > 0) {
        const node = this.#due.first();
        if (node === null) {
          if (!this.#collectNextTick()) break;
          continue;
        }
        this.#remove(node);
        firesLeft -= 1;
        fire(node);
      }
    } finally {
      this.#advancing = false;
    }
  }

  /**
   * The time at which `advance` has something to do, or null when nothing waits. Never too late; early
   * only when the timer that was due first has been cancelled, and then `advance` corrects it.
   * Looks at every slot: meant for arming the one real timer, not for every event.
   */
  nextDueMs(): number | null {
    if (this.#size === 0) return null;
    if (this.#due.first() !== null) return this.#originMs + this.#tick * this.#tickMs;
    let earliest = Infinity;
    for (const tick of this.#slotEarliest) if (tick < earliest) earliest = tick;
    return this.#originMs + earliest * this.#tickMs;
  }

  /** Moves what one more tick makes due to the due list; false when the target tick is reached. */
  #collectNextTick(): boolean {
    if (this.#size === 0) this.#tick = this.#targetTick;
    if (this.#tick >= this.#targetTick) return false;
    this.#tick += 1;
    const slot = this.#tick & this.#slotMask;
    if (this.#slotEarliest[slot]! <= this.#tick) this.#collectSlot(slot);
    return true;
  }

  #collectSlot(slot: number): void {
    const head = this.#slots[slot]!;
    let earliest = Infinity;
    let node = head.nextTimer!;
    while (node !== head) {
      const next = node.nextTimer!;
      if (node.dueTick <= this.#tick) {
        unlink(node);
        linkBefore(this.#due, node);
      } else if (node.dueTick < earliest) {
        earliest = node.dueTick;
      }
      node = next;
    }
    this.#slotEarliest[slot] = earliest;
  }

  #insert(node: TimerNode): void {
    const slot = node.dueTick & this.#slotMask;
    linkBefore(this.#slots[slot]!, node);
    if (node.dueTick < this.#slotEarliest[slot]!) this.#slotEarliest[slot] = node.dueTick;
  }

  #remove(node: TimerNode): void {
    unlink(node);
    this.#size -= 1;
    const slot = node.dueTick & this.#slotMask;
    if (this.#slots[slot]!.first() === null) this.#slotEarliest[slot] = Infinity;
  }
}

/** The sentinel of a circular list. */
class ListHead extends TimerNode {
  constructor() {
    super();
    this.nextTimer = this;
    this.previousTimer = this;
  }

  first(): TimerNode | null {
    return this.nextTimer === this ? null : this.nextTimer;
  }

  override onTimer(): void {
    assert.fail('a sentinel never fires');
  }
}

function linkBefore(head: ListHead, node: TimerNode): void {
  const last = head.previousTimer!;
  node.nextTimer = head;
  node.previousTimer = last;
  last.nextTimer = node;
  head.previousTimer = node;
}

function unlink(node: TimerNode): void {
  node.previousTimer!.nextTimer = node.nextTimer;
  node.nextTimer!.previousTimer = node.previousTimer;
  node.nextTimer = null;
  node.previousTimer = null;
}
