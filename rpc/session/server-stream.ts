// The server's side of one call: reads requests, runs the handler, sends answers and the status, exactly once.
// server-session.ts opens it and feeds it frames. It is the ServerCall that handlers are given.

import type { Peer } from '../call.js';
import { type EnclosingCall, runInCall } from '../call-scope.js';
import type { EncodedMessage, MessageCodec, MethodContract } from '../contract.js';
import { type Executed, RpcError } from '../errors.js';
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
import { PackedMessage } from './packed-message.js';
import type { BoundMethod, ServerSession } from './server-session.js';

const NOTHING = Symbol('no message yet');

export class ServerStream extends CallStream implements EnclosingCall {
  readonly #server: ServerSession;
  readonly #bound: BoundMethod;
  readonly #request: ReceivedRequest;
  readonly #responses: MessageCodec;
  readonly startedMs: number;
  /** The handler has begun and not settled. */
  #isAtWork = false;
  /** The handler made calls of its own: their errors say nothing about whether this call was carried out. */
  #hasMadeCalls = false;
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
    this.startedMs = session.lastReceivedMs; // now: the frame that opens it has just come
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
    const { peerAddress, identity, certifiedName } = this.#server;
    return { ...peerAddress, identity, certificate: certifiedName };
  }

  get previousAttempts(): number {
    return this.#request.previousAttempts;
  }

  get isRepetition(): boolean {
    return this.#request.previousAttempts > 0 || (this.#request.callFlags & CALL_NO_RETRY) !== 0;
  }

  callMade(): void {
    this.#hasMadeCalls = true;
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
        (error) => {
          // A handler may answer without reading everything: its answer ends the call.
          if (error instanceof RpcError) this.fail(error);
        },
      );
    }
    if (message !== null) {
      this.judgeInline(message);
      this.messageReceived(message, 0);
    }
    if (this.#queue !== null) this.#run(this.#queue);
    if (isEnd && !this.#isEnded) this.endReceived();
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  protected get hasUnread(): boolean {
    return this.#queue !== null && !this.#queue.isEmpty;
  }

  override dataReceived(flags: number, body: Buffer): void {
    if (this.#requestsEnded)
      throw new RpcError('RPC_PROTOCOL', `a message came behind the end of stream ${this.id}`);
    super.dataReceived(flags, body);
  }

  protected override messageReceived(bytes: Buffer, cost: number): void {
    const request = this.#decode(bytes);
    if (this.#queue !== null) this.#queue.push(request, cost);
    else this.#takeSingle(request);
  }

  protected override packedReceived(unpack: () => Buffer, cost: number): void {
    if (this.#queue === null) {
      this.messageReceived(unpack(), cost);
      return;
    }
    this.#queue.push(new PackedMessage(() => this.#decode(unpack())), cost);
  }

  /** @throws RpcError RPC_MESSAGE_INVALID */
  #decode(bytes: Buffer): unknown {
    const { requestType, path } = this.#bound.contract;
    try {
      return requestType.codec(this.session.serializer).decode(bytes);
    } catch (cause) {
      const text = `the request of ${path} is no ${requestType.fullName}: ${textOf(cause)}`;
      // Of several requests some were handled before this one.
      throw new RpcError('RPC_MESSAGE_INVALID', text, { cause, executed: this.#isAtWork ? 'unknown' : 'no' });
    }
  }

  /** @throws RpcError RPC_INVALID_ARGUMENT */
  #takeSingle(request: unknown): void {
    if (this.#single !== NOTHING) {
      const text = `${this.method.path} takes one request, a second one came`;
      throw new RpcError('RPC_INVALID_ARGUMENT', text, { executed: 'no' });
    }
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
    const { kind } = this.#bound.contract;
    this.#isAtWork = true;
    try {
      result = runInCall(this, this.#bound.handler, input as never, this); // of the type its kind asks for
      if (kind === 'unary' || kind === 'client-stream') {
        if (!isThenable(result)) {
          this.#answer(result);
          return;
        }
        // Whatever thenable it is, it settles once from here on.
        void Promise.resolve(result).then(
          (answer) => this.#answer(answer),
          (error: unknown) => this.#handlerFailed(error),
        );
        return;
      }
    } catch (error) {
      this.#handlerFailed(error);
      return;
    }
    void this.#sendAll(result as AsyncIterable<unknown> | Iterable<unknown>); // never rejects
  }

  /** Never throws. */
  #answer(answer: unknown): void {
    this.#settled();
    if (this.#isEnded) return;
    try {
      const message = this.#encode(answer);
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
        void this.sent().then(() => this.#finishOk()); // neither rejects
        return;
      }
    } catch (error) {
      this.#handlerFailed(error);
      return;
    }
    this.#finishOk();
  }

  /** @throws RpcError RPC_INTERNAL: the handler answered with something else than it should */
  #encode(answer: unknown): EncodedMessage {
    try {
      return this.#responses.encode(answer);
    } catch (cause) {
      const { path, responseType } = this.#bound.contract;
      const text = `the answer of ${path} cannot be sent as ${responseType.fullName}: ${textOf(cause)}`;
      throw new RpcError('RPC_INTERNAL', text, { cause });
    }
  }

  async #sendAll(answers: AsyncIterable<unknown> | Iterable<unknown>): Promise<void> {
    try {
      if (isSyncIterable(answers)) {
        for (const answer of answers) {
          if (!this.#sendOne(answer)) await this.sent();
          if (this.#isEnded) break; // leaving the loop tells the handler's generator
        }
      } else {
        for await (const answer of answers) {
          if (!this.#sendOne(answer)) await this.sent();
          if (this.#isEnded) break;
        }
      }
    } catch (error) {
      this.#handlerFailed(error);
      return;
    }
    this.#finishOk();
  }

  #sendOne(answer: unknown): boolean {
    return this.#isEnded || this.sendMessage(this.#encode(answer), 0);
  }

  /** Never throws: it runs where nobody would catch it. */
  #finishOk(): void {
    this.#settled();
    if (this.#isEnded) return;
    try {
      this.#sendOk(null);
    } catch (error) {
      this.#handlerFailed(error); // trailers above the client's limit
      return;
    }
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

  /** Never throws. */
  #handlerFailed(error: unknown): void {
    this.#settled();
    if (this.#isEnded) return;
    if (error instanceof RpcError) {
      this.fail(error);
      return;
    }
    const text = textOf(error);
    this.#server.host.handlerFailed(this, error instanceof Error ? error : new Error(text));
    this.fail(new RpcError('RPC_UNKNOWN', `${this.method.path} failed: ${text}`, { cause: error }));
  }

  #sendError(error: RpcError): void {
    const limits = { executed: this.#executed(error), trailersBytesMax: this.#server.peer!.metadataBytesMax };
    try {
      writeError(builder, this.id, error, error.trailers ?? this.#trailers, limits);
    } catch (cause) {
      // Details or trailers that are none: the client still has to learn that the call failed.
      const plain = new RpcError(
        'RPC_INTERNAL',
        `the error of ${this.method.path} cannot be sent: ${textOf(cause)}`,
      );
      writeError(builder, this.id, plain, null, limits);
    }
    this.session.sendBuilt(FRAME.STATUS, builder);
  }

  /**
   * What the client may believe about the call. A handler that says 'no' is believed, unless it made calls: the
   * error of one of them is about that one.
   */
  #executed(error: RpcError): Executed {
    return this.#hasMadeCalls ? 'unknown' : error.executed;
  }

  #settled(): void {
    if (!this.#isAtWork) return;
    this.#isAtWork = false;
    if (this.#isEnded) this.#server.orphanSettled();
  }

  /** Nobody waits for the answer: no status is sent. */
  #abandon(error: RpcError): void {
    if (!this.#isEnded) this.#stop(error);
  }

  #stop(error: RpcError): void {
    this.#abortReason = error;
    if (this.#isAtWork) this.#server.orphaned();
    this.#ended(STATUS[error.status]);
    this.#queue?.abandon(error);
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

/** For people, of whatever was thrown; never throws itself. */
function textOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error);
  } catch {
    return 'something that has no text'; // an object without a prototype, say
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
