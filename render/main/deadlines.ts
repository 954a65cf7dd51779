// What is due when: a binary heap from which any entry can be taken back, O(log n), so that it never holds more than what
// is really awaited.
// Pure: `at` is a time in ms of whatever clock the caller has. Entries of the same time are due in the order they were set.

export interface Deadline<T> {
  readonly at: number;
  readonly owner: T;
}

interface Entry<T> extends Deadline<T> {
  readonly order: number;
  /** Where it is in the heap; -1 when it is not any more. */
  index: number;
}

export class Deadlines<T> {
  readonly #heap: Entry<T>[] = [];
  #set = 0;

  set(at: number, owner: T): Deadline<T> {
    this.#set += 1;
    const entry: Entry<T> = { at, owner, order: this.#set, index: this.#heap.length };
    this.#heap.push(entry);
    this.#up(entry);
    return entry;
  }

  /** Takes one back. False when it was due or taken back before. */
  clear(deadline: Deadline<T>): boolean {
    // Only set() makes deadlines, and it makes entries.
    const entry = deadline as Entry<T>;
    const at = entry.index;
    if (at < 0) return false;
    const last = this.#heap.pop()!;
    entry.index = -1;
    if (last !== entry) {
      this.#place(last, at);
      this.#up(last);
      this.#down(last);
    }
    return true;
  }

  /** The first that is due at `now`, taken out; null when none is. */
  takeDue(now: number): T | null {
    const first = this.#heap[0];
    if (first === undefined || first.at > now) return null;
    this.clear(first);
    return first.owner;
  }

  /** When the next one is due. */
  get nextAt(): number | null {
    return this.#heap[0]?.at ?? null;
  }

  get size(): number {
    return this.#heap.length;
  }

  #place(entry: Entry<T>, at: number): void {
    this.#heap[at] = entry;
    entry.index = at;
  }

  #up(entry: Entry<T>): void {
    let at = entry.index;
    while (at > 0) {
      const parent = this.#heap[(at - 1) >> 1]!;
      if (!isBefore(entry, parent)) break;
      this.#place(parent, at);
      at = (at - 1) >> 1;
    }
    this.#place(entry, at);
  }

  #down(entry: Entry<T>): void {
    const { length } = this.#heap;
    let at = entry.index;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && isBefore(this.#heap[child + 1]!, this.#heap[child]!)) child += 1;
      const smaller = this.#heap[child]!;
      if (!isBefore(smaller, entry)) break;
      this.#place(smaller, at);
      at = child;
    }
    this.#place(entry, at);
  }
}

function isBefore<T>(a: Entry<T>, b: Entry<T>): boolean {
  return a.at === b.at ? a.order < b.order : a.at < b.at;
}
