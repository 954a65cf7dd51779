// Messages that have come and were not read yet, as an async iterator with one reader.
// client-call.ts and server-stream.ts fill it; what the reader takes gives its flow-control credit back.
// Bounded by that credit: whoever sends stops when as much as a window waits here.

export class InboundQueue<T> implements AsyncIterableIterator<T> {
  readonly #onTaken: (cost: number) => void;
  readonly #onAbandoned: () => void;
  /** Message and cost in turn, from `#head` on. */
  #waiting: unknown[] = [];
  #head = 0;
  #reader: { resolve(result: IteratorResult<T>): void; reject(error: unknown): void } | null = null;
  #ending: 'no' | 'finished' | 'failed' = 'no';
  #error: unknown = null;

  /**
   * @param onTaken the reader took a message of that cost
   * @param onAbandoned the reader left before the end
   */
  constructor(onTaken: (cost: number) => void, onAbandoned: () => void) {
    this.#onTaken = onTaken;
    this.#onAbandoned = onAbandoned;
  }

  /** Nothing waits to be read. */
  get isEmpty(): boolean {
    return this.#head === this.#waiting.length;
  }

  push(message: T, cost: number): void {
    if (this.#ending !== 'no') return;
    const reader = this.#reader;
    if (reader === null) {
      this.#waiting.push(message, cost);
      return;
    }
    this.#reader = null;
    this.#onTaken(cost);
    reader.resolve({ value: message, done: false });
  }

  /** No further message comes; those that wait are still read. */
  finish(): void {
    if (this.#ending !== 'no') return;
    this.#ending = 'finished';
    this.#reader?.resolve({ value: undefined, done: true });
    this.#reader = null;
  }

  /** The reader is told of `error` behind the messages that wait. */
  fail(error: unknown): void {
    if (this.#ending !== 'no') return;
    this.#ending = 'failed';
    this.#error = error;
    const reader = this.#reader;
    this.#reader = null;
    if (reader === null) return;
    this.#ending = 'finished';
    reader.reject(error);
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#head < this.#waiting.length) {
      const message = this.#waiting[this.#head] as T;
      const cost = this.#waiting[this.#head + 1] as number;
      this.#waiting[this.#head] = undefined;
      this.#head += 2;
      if (this.#head === this.#waiting.length) this.#compact();
      else if (this.#head > 1024 && this.#head * 2 > this.#waiting.length) this.#compact();
      this.#onTaken(cost);
      return Promise.resolve({ value: message, done: false });
    }
    if (this.#ending === 'failed') {
      this.#ending = 'finished'; // told once
      return Promise.reject(this.#error);
    }
    if (this.#ending === 'finished') return Promise.resolve({ value: undefined, done: true });
    if (this.#reader !== null) return Promise.reject(new TypeError('only one next() at a time'));
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  /** The reader leaves: what waits is dropped, and whoever sends is told. */
  return(): Promise<IteratorResult<T>> {
    const wasOver = this.#ending === 'finished' && this.isEmpty;
    this.#waiting = [];
    this.#head = 0;
    this.#ending = 'finished';
    this.#reader?.resolve({ value: undefined, done: true });
    this.#reader = null;
    if (!wasOver) this.#onAbandoned();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #compact(): void {
    this.#waiting = this.#waiting.slice(this.#head);
    this.#head = 0;
  }
}
