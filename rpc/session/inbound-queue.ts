// Messages that have come and were not read yet, as an async iterator with one reader; or by a callback, without promises.
// client-call.ts and server-stream.ts fill it; what the reader takes gives its flow-control credit back.
// Bounded by that credit: whoever sends stops when as much as a window waits here.

import { PackedMessage, unpacked } from './packed-message.js';

interface Listener<T> {
  onMessage(message: T): void;
  resolve(): void;
  reject(error: unknown): void;
}

export class InboundQueue<T> implements AsyncIterableIterator<T> {
  readonly #onTaken: (cost: number) => void;
  readonly #onAbandoned: (error: unknown) => void;
  /** Message and cost in turn, from `#head` on. */
  #waiting: unknown[] = [];
  #head = 0;
  #reader: { resolve(result: IteratorResult<T>): void; reject(error: unknown): void } | null = null;
  /** Whoever reads by callback; it takes everything, so nothing waits then. */
  #listener: Listener<T> | null = null;
  /** What the reader was given last. */
  #read: Promise<IteratorResult<T>> | null = null;
  #ending: 'no' | 'finished' | 'failed' = 'no';
  #error: unknown = null;

  /**
   * @param onTaken the reader took a message of that cost
   * @param onAbandoned the reader left before the end (null), or a message could not be unpacked for it
   */
  constructor(onTaken: (cost: number) => void, onAbandoned: (error: unknown) => void) {
    this.#onTaken = onTaken;
    this.#onAbandoned = onAbandoned;
  }

  /** Nothing waits to be read. */
  get isEmpty(): boolean {
    return this.#head === this.#waiting.length;
  }

  /** @throws RpcError what comes packed for a reader that waits cannot be unpacked */
  push(message: T | PackedMessage<T>, cost: number): void {
    if (this.#ending !== 'no') return;
    if (this.#listener !== null) {
      this.#tell(this.#listener, unpacked(message), cost);
      return;
    }
    const reader = this.#reader;
    if (reader === null) {
      this.#waiting.push(message, cost);
      return;
    }
    const value = unpacked(message);
    this.#reader = null;
    this.#onTaken(cost);
    reader.resolve({ value, done: false });
  }

  /** No further message comes; those that wait are still read. */
  finish(): void {
    if (this.#ending !== 'no') return;
    this.#ending = 'finished';
    this.#reader?.resolve({ value: undefined, done: true });
    this.#reader = null;
    this.#dismiss()?.resolve();
  }

  /** The reader is told of `error` behind the messages that wait. */
  fail(error: unknown): void {
    if (this.#ending !== 'no') return;
    this.#ending = 'failed';
    this.#error = error;
    const listener = this.#dismiss();
    if (listener !== null) {
      this.#ending = 'finished';
      listener.reject(error);
      return;
    }
    const reader = this.#reader;
    this.#reader = null;
    if (reader === null) return;
    this.#ending = 'finished';
    mayBeIgnored(this.#read);
    reader.reject(error);
  }

  /** The call is over and its messages are of no use: those that wait are dropped, the reader is told of `error`. */
  abandon(error: unknown): void {
    if (this.#ending === 'no') {
      this.#waiting = [];
      this.#head = 0;
    }
    this.fail(error);
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#head < this.#waiting.length) {
      const message = this.#waiting[this.#head] as T | PackedMessage<T>;
      const cost = this.#waiting[this.#head + 1] as number;
      this.#waiting[this.#head] = undefined;
      this.#head += 2;
      if (this.#head === this.#waiting.length) this.#compact();
      else if (this.#head > 1024 && this.#head * 2 > this.#waiting.length) this.#compact();
      if (message instanceof PackedMessage) return this.#unpackFor(message, cost);
      this.#onTaken(cost);
      return Promise.resolve({ value: message, done: false });
    }
    if (this.#ending === 'failed') {
      this.#ending = 'finished'; // told once
      return Promise.reject(this.#error);
    }
    if (this.#ending === 'finished') return Promise.resolve({ value: undefined, done: true });
    if (this.#reader !== null || this.#listener !== null)
      return Promise.reject(new TypeError('only one next() at a time'));
    this.#read = new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
    return this.#read;
  }

  /**
   * Calls `onMessage` with each message, those that wait first; its credit goes back when it returns. Resolves at the end;
   * rejects with what the stream failed with, or with what `onMessage` threw: the reader leaves then.
   */
  readBy(onMessage: (message: T) => void): Promise<void> {
    if (this.#reader !== null || this.#listener !== null)
      return Promise.reject(new TypeError('a stream has one reader'));
    return new Promise((resolve, reject) => {
      const listener = { onMessage, resolve, reject };
      while (this.#head < this.#waiting.length) {
        const message = this.#waiting[this.#head] as T | PackedMessage<T>;
        const cost = this.#waiting[this.#head + 1] as number;
        this.#waiting[this.#head] = undefined;
        this.#head += 2;
        let value: T;
        try {
          value = unpacked(message);
        } catch (error) {
          this.#leave(error);
          reject(error);
          return;
        }
        if (!this.#tell(listener, value, cost)) return;
      }
      this.#compact();
      if (this.#ending === 'no') {
        this.#listener = listener;
        return;
      }
      if (this.#ending === 'failed') reject(this.#error);
      else resolve();
      this.#ending = 'finished'; // told once
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
    this.#dismiss()?.resolve();
    if (!wasOver) this.#onAbandoned(null);
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #unpackFor(message: PackedMessage<T>, cost: number): Promise<IteratorResult<T>> {
    let value: T;
    try {
      value = message.unpack();
    } catch (error) {
      this.#leave(error);
      return Promise.reject(error);
    }
    this.#onTaken(cost);
    return Promise.resolve({ value, done: false });
  }

  /** False: it threw, and has left. */
  #tell(listener: Listener<T>, value: T, cost: number): boolean {
    try {
      listener.onMessage(value);
    } catch (error) {
      this.#listener = null;
      this.#leave(null);
      listener.reject(error);
      return false;
    }
    this.#onTaken(cost);
    return true;
  }

  /** @param error why what waited could not be unpacked; null: the reader goes by itself */
  #leave(error: unknown): void {
    this.#waiting = [];
    this.#head = 0;
    this.#ending = 'finished';
    this.#onAbandoned(error);
  }

  #dismiss(): Listener<T> | null {
    const listener = this.#listener;
    this.#listener = null;
    return listener;
  }

  #compact(): void {
    this.#waiting = this.#waiting.slice(this.#head);
    this.#head = 0;
  }
}

/** Who does not look at what it asked for loses its call, not the process. */
function mayBeIgnored(read: Promise<unknown> | null): void {
  read?.catch(() => {});
}
