// Which key's time comes next: a binary heap of (deadline, key).
// Places are not looked for when a deadline changes. Every key with a deadline has a place at or before it; what is out
// of date is put right when it reaches the top, or all at once when places outnumber the keys they are for.

export class Deadlines {
  readonly #deadlineOf: (key: string) => number;
  #times: number[] = [];
  #keys: string[] = [];
  /** Keys that have a deadline. */
  #live = 0;

  /** `deadlineOf` gives a key's deadline as it is, 0 for none or no such key. */
  constructor(deadlineOf: (key: string) => number) {
    this.#deadlineOf = deadlineOf;
  }

  /** Keys that have a deadline. */
  get live(): number {
    return this.#live;
  }

  /** Places in the heap, for tests of its bound. */
  get places(): number {
    return this.#times.length;
  }

  /** Tells of a key's deadline before and after a change, 0 for none. `deadlineOf` must give the later one by now. */
  move(key: string, before: number, after: number): void {
    if (before === 0 && after === 0) return;
    if (before === 0) this.#live += 1;
    if (after === 0) this.#live -= 1;
    // Later than before: the place that there is will do until it is at the top.
    else if (before === 0 || after < before) this.#push(after, key);
    if (this.#times.length > 2 * this.#live + PLACES_SPARE) this.#rebuild();
  }

  /** The earliest deadline there is; null without any. */
  next(): number | null {
    this.#settle();
    return this.#times.length === 0 ? null : this.#times[0]!;
  }

  /** The key whose deadline is earliest, the lowest of several, if it is at or before `nowMs`. Remove it, then ask again. */
  due(nowMs: number): string | null {
    this.#settle();
    return this.#times.length > 0 && this.#times[0]! <= nowMs ? this.#keys[0]! : null;
  }

  clear(): void {
    this.#times = [];
    this.#keys = [];
    this.#live = 0;
  }

  /** Lets the top be true. */
  #settle(): void {
    while (this.#times.length > 0) {
      const deadline = this.#deadlineOf(this.#keys[0]!);
      if (deadline === this.#times[0]) return;
      const key = this.#pop();
      if (deadline !== 0) this.#push(deadline, key);
    }
  }

  #rebuild(): void {
    const keys = [...new Set(this.#keys)].filter((key) => this.#deadlineOf(key) !== 0);
    this.#times = [];
    this.#keys = [];
    for (const key of keys) this.#push(this.#deadlineOf(key), key);
  }

  #push(time: number, key: string): void {
    const times = this.#times;
    const keys = this.#keys;
    let at = times.length;
    times.push(time);
    keys.push(key);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!isBefore(time, key, times[parent]!, keys[parent]!)) break;
      times[at] = times[parent]!;
      keys[at] = keys[parent]!;
      at = parent;
    }
    times[at] = time;
    keys[at] = key;
  }

  #pop(): string {
    const times = this.#times;
    const keys = this.#keys;
    const top = keys[0]!;
    const time = times.pop()!;
    const key = keys.pop()!;
    const length = times.length;
    if (length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && isBefore(times[child + 1]!, keys[child + 1]!, times[child]!, keys[child]!)) {
        child += 1;
      }
      if (!isBefore(times[child]!, keys[child]!, time, key)) break;
      times[at] = times[child]!;
      keys[at] = keys[child]!;
      at = child;
    }
    times[at] = time;
    keys[at] = key;
    return top;
  }
}

/** Places beyond twice the keys that have one before the heap is cleaned. */
const PLACES_SPARE = 1024;

function isBefore(time: number, key: string, otherTime: number, otherKey: string): boolean {
  return time < otherTime || (time === otherTime && key < otherKey);
}
