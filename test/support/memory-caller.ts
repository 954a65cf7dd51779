// A Caller without sockets: calls the handlers of a service in this process, each message through the real codec both
// ways. A test may take the server away, make it silent, and put another in its place.

import type {
  Caller,
  CallOptions,
  Messages,
  Peer,
  ResponseStream,
  ServiceImplementation,
} from '../../rpc/call.js';
import type { MessageType, MethodContract } from '../../rpc/contract.js';
import { RpcError } from '../../rpc/errors.js';
import { Metadata } from '../../rpc/metadata.js';

export type LinkState = 'up' | 'down' | 'silent';

export class MemoryLink implements Caller {
  /** What answers; another one after a restart. */
  implementation: ServiceImplementation;
  /** Who the other side takes us for. */
  identity: string | null = null;
  /** Calls begun, by method name. */
  readonly calls: string[] = [];
  #state: LinkState = 'up';
  readonly #open = new Set<AbortController>();

  constructor(implementation: ServiceImplementation) {
    this.implementation = implementation;
  }

  /** 'down' refuses calls and breaks streams; 'silent' answers nothing and says nothing. */
  set(state: LinkState): void {
    this.#state = state;
    if (state !== 'down') return;
    for (const call of this.#open) call.abort(new RpcError('RPC_CONNECTION_LOST', 'the link is down'));
  }

  async unary<Q, A>(method: MethodContract<Q, A>, request: Q, options: CallOptions = {}): Promise<A> {
    const call = this.#begin(method, options);
    try {
      const handler = this.#handler(method);
      const answer = handler(copy(method.requestType, request) as never, call.server) as Promise<A>;
      return copy(method.responseType, await this.#orBroken(answer, call.abort.signal));
    } finally {
      call.end();
    }
  }

  serverStream<Q, A>(method: MethodContract<Q, A>, request: Q, options: CallOptions = {}): ResponseStream<A> {
    return this.#stream(method, options, () => copy(method.requestType, request));
  }

  clientStream(): Promise<never> {
    throw new Error('no registry method is one');
  }

  bidiStream<Q, A>(
    method: MethodContract<Q, A>,
    requests: Messages<Q>,
    options: CallOptions = {},
  ): ResponseStream<A> {
    return this.#stream(method, options, () => this.#sent(method, requests));
  }

  async *#sent<Q>(method: MethodContract<Q>, requests: Messages<Q>): AsyncGenerator<Q> {
    for await (const request of requests) {
      if (this.#state === 'silent') await new Promise(() => {});
      yield copy(method.requestType, request);
    }
  }

  #stream<A>(method: MethodContract<any, A>, options: CallOptions, input: () => unknown): ResponseStream<A> {
    const call = this.#begin(method, options);
    const run = async function* (this: MemoryLink): AsyncGenerator<A> {
      const messages = this.#handler(method)(input() as never, call.server) as AsyncIterable<A>;
      const iterator = messages[Symbol.asyncIterator]();
      try {
        for (;;) {
          const { value, done } = await this.#orBroken(iterator.next(), call.abort.signal);
          if (done === true) return;
          if (this.#state === 'silent') await this.#orBroken(new Promise(() => {}), call.abort.signal);
          yield copy(method.responseType, value);
        }
      } finally {
        call.end();
        call.abort.abort(); // the handler hears that nobody reads any more
        void iterator.return?.();
      }
    };
    const messages = run.call(this);
    return {
      headers: Promise.resolve(new Metadata()),
      trailers: Promise.resolve(new Metadata()),
      cancel: () => call.abort.abort(new RpcError('RPC_CANCELLED', 'cancelled')),
      [Symbol.asyncIterator]: () => messages,
    };
  }

  #begin(method: MethodContract, { signal, metadata }: CallOptions) {
    this.calls.push(method.name);
    const abort = new AbortController();
    if (this.#state === 'down') abort.abort(new RpcError('RPC_CONNECT_FAILED', 'the link is down'));
    const cancel = (): void => abort.abort(new RpcError('RPC_CANCELLED', 'the call was cancelled'));
    if (signal?.aborted === true) cancel();
    signal?.addEventListener('abort', cancel);
    this.#open.add(abort);
    const end = (): void => {
      signal?.removeEventListener('abort', cancel);
      this.#open.delete(abort);
    };
    const peer: Peer = { address: '127.0.0.1', port: 40_000, identity: this.identity };
    const server = {
      method,
      metadata: metadata ?? new Metadata(),
      peer,
      signal: abort.signal,
      previousAttempts: 0,
      trailers: new Metadata(),
      remainingMs: () => Number.POSITIVE_INFINITY,
      sendHeaders: () => {},
    };
    return { abort, server, end };
  }

  #handler(method: MethodContract): ServiceImplementation['handlers'][string] {
    return this.implementation.handlers[method.localName]!;
  }

  #orBroken<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
    const isSilent = this.#state === 'silent';
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Error);
      if (signal.aborted) onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      const settle = (finish: () => void): void => {
        if (isSilent) return;
        signal.removeEventListener('abort', onAbort);
        finish();
      };
      answer.then(
        (value) => settle(() => resolve(value)),
        (error: unknown) => settle(() => reject(error)),
      );
    });
  }
}

function copy<T>(type: MessageType<T>, message: T): T {
  const codec = type.codec('protobuf');
  const encoded = codec.encode(message);
  const bytes = new Uint8Array(encoded.bytes);
  encoded.writeTo(bytes, 0);
  return codec.decode(bytes);
}
