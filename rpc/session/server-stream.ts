// The server's side of one call: reads requests, runs the handler, sends answers and the status, exactly once.
// server-session.ts opens it and feeds it frames. It is the ServerCall that handlers are given.

import type { Peer } from '../call.js';
import { type EnclosingCall, runInCall } from '../call-scope.js';
import type { EncodedMessage, MessageCodec, MethodContract } from '../contract.js';
import { RpcError } from '../errors.js';
import { INLINE_BYTES_MAX } from '../limits.js';
import { Metadata } from '../metadata.js';
import { STATUS } from '../status.js';
import {
  CALL_NO_RETRY,
  type ReceivedRequest,
  writeError,
  writeOk,
  writeResponseHeaders,
} from '../wire/call-frames.js';
import { builder } from '../wire/frame-builder.js';
import { FLAG_MESSAGE, FRAME } from '../wire/frame-types.js';
import { checkMetadata, metadataBytes } from '../wire/metadata-block.js';
import { CallStream } from './call-stream.js';
import { InboundQueue } from './inbound-queue.js';
import type { BoundMethod, ServerSession } from './server-session.js';

const NOTHING = Symbol('no message yet');

export class ServerStream extends CallStream implements EnclosingCall {
  readonly #server: ServerSession;
  readonly #bound: BoundMethod;
  readonly #request: ReceivedRequest;
  readonly #responses: MessageCodec;
  readonly startedMs: number;
  #metadata: Metadata | null;
  #trailers: Metadata | null = null;
  #controller: AbortController | null = null;
  #abortReason: RpcError | null = null;
  #queue: InboundQueue<unknown> | null = null;
  /** The one request of a client that does not stream. */
  #single: unknown = NOTHING;
  #requestsEnded = false;
  #headersSent = false;
  /** The status was sent, or nobody is there to get it. */
  #isEnded = false;

  constructor(session: ServerSession, id: number, bound: BoundMethod, request: ReceivedRequest) {
    super(session, id);
    this.#server = session;
    this.#bound = bound;
    this.#request = request;
    this.#metadata = request.metadata;
    this.#responses = bound.contract.responseType.codec(session.serializer);
    this.startedMs = session.loop.nowMs;
  }

  // ServerCall.

  get method(): MethodContract {
    return this.#bound.contract;
  }

  get metadata(): Metadata {
    this.#metadata ??= new Metadata();
    return this.#metadata;
  }

  get peer(): Peer {
    return { ...this.#server.peerAddress, identity: this.#server.identity };
  }

  get previousAttempts(): number {
    return this.#request.previousAttempts;
  }

  get isRepetition(): boolean {
    return this.#request.previousAttempts > 0 || (this.#request.callFlags & CALL_NO_RETRY) !== 0;
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#abortReason !== null) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  get trailers(): Metadata {
    this.#trailers ??= new Metadata();
    return this.#trailers;
  }

  remainingMs(): number {
    const { timeoutMs } = this.#request;
    if (timeoutMs === 0) return Infinity;
    return Math.max(0, this.startedMs + timeoutMs - this.session.loop.nowMs);
  }

  sendHeaders(headers: Metadata): void {
    if (this.#isEnded) return;
    if (this.#headersSent) {
      throw new RpcError('RPC_INTERNAL', `the headers of ${this.method.path} were sent already`);
    }
    checkMetadata(headers, metadataBytes(headers), this.#server.peer!.metadataBytesMax, 'response');
    this.#headersSent = true;
    writeResponseHeaders(builder, this.id, headers);
    this.session.sendBuilt(FRAME.HEADERS, builder);
  }

  // What the session tells.

  /**
   * Begins the call. `message` is the request inside HEADERS, lent.
   * @throws RpcError RPC_MESSAGE_INVALID…: the call is lost
   */
  start(message: Buffer | null, isEnd: boolean): void {
    const { timeoutMs } = this.#request;
    if (timeoutMs > 0) this.session.loop.timers.schedule(this, timeoutMs);
    const { kind } = this.#bound.contract;
    if (kind === 'client-stream' || kind === 'bidi-stream') {
      this.#queue = new InboundQueue(
        (cost) => this.messageTaken(cost),
        () => {}, // a handler may answer without reading everything; its answer ends the call
      );
    }
    if (message !== null) this.messageReceived(message, 0);
    if (this.#queue !== null) this.#run(this.#queue);
    if (isEnd && !this.#isEnded) this.endReceived();
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  protected get hasUnread(): boolean {
    return this.#queue !== null && !this.#queue.isEmpty;
  }

  protected override messageReceived(bytes: Buffer, cost: number): void {
    if (this.#requestsEnded)
      throw new RpcError('RPC_PROTOCOL', `a message came behind the end of stream ${this.id}`);
    const { requestType, path } = this.#bound.contract;
    let request: unknown;
    try {
      request = requestType.codec(this.session.serializer).decode(bytes);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new RpcError(
        'RPC_MESSAGE_INVALID',
        `the request of ${path} is no ${requestType.fullName}: ${reason}`,
        {
          cause,
          executed: 'no',
        },
      );
    }
    if (this.#queue !== null) {
      this.#queue.push(request, cost);
      return;
    }
    if (this.#single !== NOTHING)
      throw new RpcError('RPC_INVALID_ARGUMENT', `${path} takes one request, a second one came`, {
        executed: 'no',
      });
    this.#single = request;
  }

  /** The client sends no further message. */
  endReceived(): void {
    if (this.#requestsEnded || this.#isEnded) return;
    if (this.isInsideMessage)
      throw new RpcError('RPC_PROTOCOL', `stream ${this.id} was ended inside a message`);
    this.#requestsEnded = true;
    if (this.#queue !== null) {
      this.#queue.finish();
      return;
    }
    if (this.#single === NOTHING) {
      this.fail(
        new RpcError('RPC_INVALID_ARGUMENT', `${this.method.path} needs one request, none came`, {
          executed: 'no',
        }),
      );
      return;
    }
    const request = this.#single;
    this.#single = NOTHING;
    this.#run(request);
  }

  /** The client does not want the answer any more. */
  cancelled(error: RpcError): void {
    this.#abandon(error);
  }

  connectionLost(error: RpcError): void {
    this.#abandon(
      new RpcError('RPC_CANCELLED', `the connection was lost: ${error.message}`, { cause: error }),
    );
  }

  /** Ends the call with `error` and stops its handler. */
  abort(error: RpcError): void {
    this.fail(error);
  }

  /** TimerNode: the client's deadline has passed. It knows by itself; the handler does not. */
  override onTimer(): void {
    this.fail(
      new RpcError(
        'RPC_DEADLINE_EXCEEDED',
        `${this.method.path} was not answered within ${this.#request.timeoutMs} ms`,
      ),
    );
  }

  override fail(error: RpcError): void {
    if (this.#isEnded) return;
    this.#sendError(error);
    this.#stop(error);
  }

  // The handler.

  #run(input: unknown): void {
    let result: unknown;
    try {
      result = runInCall(this, this.#bound.handler, input as never, this); // of the type its kind asks for
    } catch (error) {
      this.#handlerFailed(error);
      return;
    }
    const { kind } = this.#bound.contract;
    if (kind === 'server-stream' || kind === 'bidi-stream') {
      void this.#sendAll(result as AsyncIterable<unknown> | Iterable<unknown>); // never rejects
    } else if (isThenable(result)) {
      result.then(
        (answer) => this.#answer(answer),
        (error: unknown) => this.#handlerFailed(error),
      );
    } else {
      this.#answer(result);
    }
  }

  #answer(answer: unknown): void {
    if (this.#isEnded) return;
    try {
      const message = this.#responses.encode(answer);
      if (
        message.bytes <= INLINE_BYTES_MAX &&
        message.bytes <= this.session.peerMessageBytesMax &&
        !this.session.compresses(message.bytes)
      ) {
        this.#sendOk(message);
        this.#ended(STATUS.OK);
        return;
      }
      if (!this.sendMessage(message, 0)) {
        void this.sent().then(() => this.#finishOk());
        return;
      }
    } catch (error) {
      this.#handlerFailed(error);
      return;
    }
    this.#finishOk();
  }

  async #sendAll(answers: AsyncIterable<unknown> | Iterable<unknown>): Promise<void> {
    try {
      if (isSyncIterable(answers)) {
        for (const answer of answers) {
          if (!this.#sendOne(answer)) await this.sent();
          if (this.#isEnded) return; // leaving the loop tells the handler's generator
        }
      } else {
        for await (const answer of answers) {
          if (!this.#sendOne(answer)) await this.sent();
          if (this.#isEnded) return;
        }
      }
    } catch (error) {
      this.#handlerFailed(error);
      return;
    }
    this.#finishOk();
  }

  #sendOne(answer: unknown): boolean {
    return this.#isEnded || this.sendMessage(this.#responses.encode(answer), 0);
  }

  #finishOk(): void {
    if (this.#isEnded) return;
    this.#sendOk(null);
    this.#ended(STATUS.OK);
  }

  #sendOk(message: EncodedMessage | null): void {
    const trailers = this.#trailers;
    if (trailers !== null) {
      checkMetadata(trailers, metadataBytes(trailers), this.#server.peer!.metadataBytesMax, 'response');
    }
    writeOk(builder, message === null ? 0 : FLAG_MESSAGE, this.id, trailers, message);
    this.session.sendBuilt(FRAME.STATUS, builder);
  }

  #handlerFailed(error: unknown): void {
    if (this.#isEnded) return;
    if (error instanceof RpcError) {
      this.fail(error);
      return;
    }
    this.#server.host.handlerFailed(this, error);
    const text = error instanceof Error ? error.message : String(error);
    this.fail(new RpcError('RPC_UNKNOWN', `${this.method.path} failed: ${text}`, { cause: error }));
  }

  #sendError(error: RpcError): void {
    const trailers = error.trailers ?? this.#trailers;
    writeError(builder, this.id, error, trailers);
    this.session.sendBuilt(FRAME.STATUS, builder);
  }

  /** Nobody waits for the answer: no status is sent. */
  #abandon(error: RpcError): void {
    if (!this.#isEnded) this.#stop(error);
  }

  #stop(error: RpcError): void {
    this.#abortReason = error;
    this.#ended(STATUS[error.status]);
    this.#queue?.fail(error);
    this.#controller?.abort(error);
  }

  #ended(status: number): void {
    this.#isEnded = true;
    this.session.loop.timers.cancel(this);
    this.releaseCredit();
    this.dropOutbound();
    this.#server.forget(this.id);
    this.#server.host.callEnded(this, status);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  );
}

function isSyncIterable(value: object): value is Iterable<unknown> {
  return Symbol.iterator in value && !(Symbol.asyncIterator in value);
}
