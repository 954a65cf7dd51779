// The requests of a client that streams: read one by one as the connection takes them, and let go when the call ends.
// unary-call.ts and stream-call.ts have one. What was read cannot be read again, so such a call is repeated only untouched.

import type { Messages } from '../call.js';
import { RpcError } from '../errors.js';
import { MessageFeed } from '../message-feed.js';

/** The attempt that takes the requests: a ClientCall. */
export interface RequestSink<Q> {
  readonly isEnded: boolean;
  readonly method: { readonly path: string };
  sendRequest(request: Q): boolean;
  sent(): Promise<void>;
  /** What was sent leaves now, not at the end of the turn. */
  flush(): void;
  endRequests(): void;
}

export class RequestSource<Q> {
  /** One or the other. */
  readonly #feed: MessageFeed<Q> | null;
  readonly #iterator: AsyncIterator<Q> | Iterator<Q> | null;
  #isUntouched = true;
  #isClosed = false;
  #isDone = false;

  /** @throws RpcError RPC_MESSAGE_INVALID: they are no iterable */
  constructor(requests: Messages<Q>) {
    if (!isIterable(requests))
      throw new RpcError('RPC_MESSAGE_INVALID', 'the requests of a client that streams must be an iterable', {
        executed: 'no',
      });
    this.#feed = requests instanceof MessageFeed ? requests : null;
    if (this.#feed !== null) {
      this.#iterator = null;
      return;
    }
    this.#iterator =
      Symbol.asyncIterator in requests ? requests[Symbol.asyncIterator]() : requests[Symbol.iterator]();
  }

  get isUntouched(): boolean {
    return this.#isUntouched;
  }

  /** Sends everything there is, at the pace of the connection. `failed` hears of an iterable that throws. */
  sendTo(call: RequestSink<Q>, failed: (error: RpcError) => void): void {
    const onFailure = (cause: unknown): void => {
      this.#isDone = true;
      failed(
        cause instanceof RpcError
          ? cause
          : new RpcError('RPC_CANCELLED', `the requests of ${call.method.path} failed: ${String(cause)}`, {
              cause,
            }),
      );
    };
    if (this.#feed !== null) this.#takeFrom(this.#feed, call, onFailure);
    else void this.#send(call, this.#iterator!).catch(onFailure); // one or the other
  }

  /** The call is over: whoever makes the requests is told to stop. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#feed?.close();
    if (this.#isDone || this.#isUntouched) return;
    // A generator at work learns of it when it yields; what it throws then concerns nobody any more.
    void Promise.resolve(this.#iterator?.return?.()).catch(() => {});
  }

  /** Each message goes to the call within the `send` that gives it. */
  #takeFrom(feed: MessageFeed<Q>, call: RequestSink<Q>, failed: (cause: unknown) => void): void {
    feed.giveTo({
      take: (request) => {
        this.#isUntouched = false;
        if (call.isEnded) return; // of which the answers tell
        let isSent;
        try {
          isSent = call.sendRequest(request);
        } catch (cause) {
          failed(cause);
          return;
        }
        if (isSent) feed.taken();
        else void call.sent().then(() => feed.taken()); // never rejects
      },
      flush: () => {
        if (!call.isEnded) call.flush();
      },
      end: () => {
        this.#isDone = true;
        if (!call.isEnded) call.endRequests();
      },
    });
  }

  async #send(call: RequestSink<Q>, iterator: AsyncIterator<Q> | Iterator<Q>): Promise<void> {
    for (;;) {
      if (call.isEnded || this.#isClosed) return;
      // Nothing is read before there is a connection; from here on the call cannot be repeated.
      this.#isUntouched = false;
      const { value, done } = await iterator.next();
      if (done === true) break;
      if (call.isEnded) return;
      if (!call.sendRequest(value)) await call.sent();
    }
    this.#isDone = true;
    call.endRequests();
  }
}

function isIterable(value: unknown): boolean {
  return (
    Object(value) === value &&
    (Symbol.asyncIterator in (value as object) || Symbol.iterator in (value as object))
  );
}
