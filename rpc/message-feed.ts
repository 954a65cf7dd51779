// Requests of a client that streams, given when there are some, in place of an iterable that is asked for each of them:
// no generator, no promise per message. client/request-source.ts takes what is given within the call that gives it.
// Whoever else is handed one, middleware say, reads it as the async iterable that it is as well.

import { RpcError } from './errors.js';

/** Whoever takes the messages. @internal */
export interface FeedTaker<T> {
  /** One message. It says `feed.taken()` once it can have the next, at once or later. */
  take(message: T): void;
  /** What was taken leaves now, not at the end of the turn. */
  flush(): void;
  end(): void;
}

/** One call's; holds no message itself. */
export class MessageFeed<T> implements AsyncIterable<T> {
  readonly #onReady: () => void;
  #taker: FeedTaker<T> | null = null;
  #isReady = false;
  #isGiving = false;
  #state: 'open' | 'ending' | 'closed' = 'open';

  /** @param onReady `isReady` has become true, other than within `send` */
  constructor(onReady: () => void = () => {}) {
    this.#onReady = onReady;
  }

  /** The call takes a message now. Not before it has a connection, nor while the last message has not all left. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** The call is over, or `end` was said. */
  get isClosed(): boolean {
    return this.#state !== 'open';
  }

  /**
   * Gives one message to the call, which has encoded it when this returns. One that cannot be sent ends the call.
   * @throws RpcError RPC_QUEUE_FULL it is not ready; RPC_CANCELLED the call is over, or `end` was said
   */
  send(message: T): void {
    if (this.#state !== 'open')
      throw new RpcError('RPC_CANCELLED', 'this call takes no message any more', { executed: 'no' });
    if (!this.#isReady)
      throw new RpcError('RPC_QUEUE_FULL', 'this call takes no message now', { executed: 'no' });
    this.#isReady = false;
    this.#isGiving = true;
    try {
      this.#taker!.take(message); // ready, so there is one
    } finally {
      this.#isGiving = false;
    }
  }

  /** What was sent leaves now, not at the end of this turn: for messages that somebody waits for. */
  flush(): void {
    this.#taker?.flush();
  }

  /** No further message follows. */
  end(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    if (this.#isReady) this.#finish();
  }

  /** From here on messages go to `taker`, which can have one. An attempt that never took one may be followed by another. @internal */
  giveTo(taker: FeedTaker<T>): void {
    this.#taker = taker;
    this.#isReady = false;
    this.taken();
  }

  /** The taker can have the next one. @internal */
  taken(): void {
    if (this.#state === 'closed' || this.#isReady) return;
    this.#isReady = this.#state === 'open';
    if (this.#state === 'ending') this.#finish();
    else if (!this.#isGiving) this.#onReady();
  }

  /** The call is over. @internal */
  close(): void {
    this.#state = 'closed';
    this.#isReady = false;
    this.#taker = null;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    const NOTHING = Symbol('no message yet');
    let given: T | typeof NOTHING = NOTHING;
    let wake: () => void = () => {};
    let isOver = false;
    try {
      for (;;) {
        const woken = new Promise<void>((resolve) => (wake = resolve));
        const taker: FeedTaker<T> = {
          take: (message) => {
            given = message;
            wake();
          },
          flush: () => {},
          end: () => {
            isOver = true;
            wake();
          },
        };
        this.giveTo(taker);
        await woken;
        if (isOver) return;
        yield given as T; // woken by the one or the other
      }
    } finally {
      this.close();
    }
  }

  #finish(): void {
    const taker = this.#taker;
    this.close();
    taker?.end();
  }
}
