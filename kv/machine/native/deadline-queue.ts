// Which of many things is due first, where deadlines move back far more often than anything ends.
// sessions.ts and leases.ts ask it. An entry may be early or gone: the owner's word counts, and is asked for when the
// entry comes to the top, so that a keep-alive costs nothing here. Order: deadline, then id; no clock, no chance.

/** The deadline of an id as of now; undefined when it is gone. */
export type DeadlineOf = (id: number) => number | undefined;

export class DeadlineQueue {
  readonly #deadlineOf: DeadlineOf;
  /** A binary heap: pairs of deadline and id. */
  readonly #heap: number[] = [];

  constructor(deadlineOf: DeadlineOf) {
    this.#deadlineOf = deadlineOf;
  }

  /** @param live how many ids there are, for leaving out those that are gone once they are the most */
  add(id: number, deadlineMs: number, live: number): void {
    if (this.#heap.length / 2 > 2 * live + 64) this.#sweep();
    this.#push(deadlineMs, id);
  }

  /** The earliest deadline; null when there is none. */
  nextMs(): number | null {
    return this.#settle() ? this.#heap[0]! : null;
  }

  /** The first id that is due by `nowMs`; null when none is. It stays until its owner lets it go or moves its deadline. */
  due(nowMs: number): number | null {
    return this.#settle() && this.#heap[0]! <= nowMs ? this.#heap[1]! : null;
  }

  /** Brings an entry to the top that is as its owner says. */
  #settle(): boolean {
    while (this.#heap.length > 0) {
      const [deadlineMs, id] = [this.#heap[0]!, this.#heap[1]!];
      const realMs = this.#deadlineOf(id);
      if (realMs === deadlineMs) return true;
      this.#pop();
      if (realMs !== undefined) this.#push(realMs, id);
    }
    return false;
  }

  #sweep(): void {
    const ids = new Set<number>();
    for (let at = 1; at < this.#heap.length; at += 2) ids.add(this.#heap[at]!);
    this.#heap.length = 0;
    for (const id of ids) {
      const deadlineMs = this.#deadlineOf(id);
      if (deadlineMs !== undefined) this.#push(deadlineMs, id);
    }
  }

  #push(deadlineMs: number, id: number): void {
    const heap = this.#heap;
    let at = heap.length / 2;
    heap.push(deadlineMs, id);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const id = heap.pop()!;
    const deadlineMs = heap.pop()!;
    const count = heap.length / 2;
    if (count === 0) return;
    heap[0] = deadlineMs;
    heap[1] = id;
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < count && this.#isBefore(child, least)) least = child;
      }
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #isBefore(a: number, b: number): boolean {
    const heap = this.#heap;
    const difference = heap[2 * a]! - heap[2 * b]!;
    return difference < 0 || (difference === 0 && heap[2 * a + 1]! < heap[2 * b + 1]!);
  }

  #swap(a: number, b: number): void {
    const heap = this.#heap;
    for (const part of [0, 1]) {
      const kept = heap[2 * a + part]!;
      heap[2 * a + part] = heap[2 * b + part]!;
      heap[2 * b + part] = kept;
    }
  }
}
