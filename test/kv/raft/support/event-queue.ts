// Virtual time: what happens next, by time and then in the order it was asked for, so that a seed always gives the same run.

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export class EventQueue {
  readonly #heap: Event[] = [];
  #order = 0;
  #now = 0;

  get now(): number {
    return this.#now;
  }

  get size(): number {
    return this.#heap.length;
  }

  after(delay: number, run: () => void): void {
    this.#order += 1;
    const heap = this.#heap;
    const event = { at: this.#now + delay, order: this.#order, run };
    let slot = heap.length;
    heap.push(event);
    while (slot > 0) {
      const parent = (slot - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[slot] = heap[parent]!;
      slot = parent;
    }
    heap[slot] = event;
  }

  /** Runs the next event, if it is not after `until`. */
  step(until: number = Infinity): boolean {
    const next = this.#heap[0];
    if (next === undefined || next.at > until) return false;
    this.#removeFirst();
    this.#now = next.at;
    next.run();
    return true;
  }

  runUntil(time: number): void {
    while (this.step(time));
    this.#now = Math.max(this.#now, time);
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop()!; // called when there is one
    if (heap.length === 0) return;
    let slot = 0;
    for (;;) {
      let child = 2 * slot + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[slot] = heap[child]!;
      slot = child;
    }
    heap[slot] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
