// What comes before anybody asks for it: read one after the other, until its end or its failure.

export class AsyncQueue<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #waiting: { resolve: (result: IteratorResult<T>) => void; reject: (error: Error) => void } | null = null;
  #error: Error | null = null;
  #isEnded = false;

  get isOver(): boolean {
    return this.#isEnded || this.#error !== null;
  }

  push(item: T): void {
    if (this.isOver) return;
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting === null) this.#items.push(item);
    else waiting.resolve({ done: false, value: item });
  }

  end(): void {
    if (this.isOver) return;
    this.#isEnded = true;
    this.#waiting?.resolve({ done: true, value: undefined });
    this.#waiting = null;
  }

  fail(error: Error): void {
    if (this.isOver) return;
    this.#error = error;
    this.#waiting?.reject(error);
    this.#waiting = null;
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return { next: () => this.#next() };
  }

  #next(): Promise<IteratorResult<T>> {
    const value = this.#items.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#error !== null) return Promise.reject(this.#error);
    if (this.#isEnded) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }));
  }
}
