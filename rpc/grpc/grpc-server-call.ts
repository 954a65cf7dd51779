// The server's side of one call from a gRPC client: reads requests, runs the handler, sends answers and the status once.
// grpc-server.ts makes one per call and answers what it asks; it is the ServerCall that handlers are given.
// It stands directly on grpc-js's call, below its streams: one request is read ahead and bytes are counted, so that
// neither a slow handler nor a slow client piles messages up here.

import {
  type Metadata as GrpcMetadata,
  type ServerInterceptingCallInterface,
  status as grpcStatus,
} from '@grpc/grpc-js';
import type { Peer } from '../call.js';
import { type EnclosingCall, runInCall } from '../call-scope.js';
import type { MethodContract } from '../contract.js';
import { RpcError } from '../errors.js';
import { Metadata } from '../metadata.js';
import { InboundQueue } from '../session/inbound-queue.js';
import type { BoundMethod } from '../session/server-session.js';
import { STATUS } from '../status.js';
import { encodeMessage, UnsentBytes } from './grpc-message.js';
import { fromGrpcMetadata, previousAttemptsOf, toGrpcMetadata } from './grpc-metadata.js';
import { type GrpcStatus, statusOfError } from './grpc-status.js';

/** What a call asks of the server it belongs to. */
export interface GrpcCallHost {
  /** No call is taken any more: each is answered with RPC_SHUTTING_DOWN, surely not executed. */
  readonly isDraining: boolean;
  /** Largest message that is sent. */
  readonly sentBytesMax: number;
  /** The name the client goes by. @throws RpcError RPC_UNAUTHENTICATED */
  identify(metadata: Metadata, peer: Peer, call: ServerInterceptingCallInterface): string | null;
  callStarted(call: GrpcServerCall): void;
  /** The status was sent, or nobody is there to get it. */
  callEnded(call: GrpcServerCall, status: number): void;
  /** A handler failed with something that is no RpcError. */
  handlerFailed(call: GrpcServerCall, error: unknown): void;
}

/** Answers of one call that may wait for the client to read. */
const UNSENT_BYTES_MAX = 256 * 1024;
const NOTHING = Symbol('no message yet');
/** grpc-js's own timer of the deadline may be this much ahead of our clock. */
const CLOCK_SLACK_MS = 2;

export class GrpcServerCall implements EnclosingCall {
  readonly startedMs: number = performance.now();
  readonly #host: GrpcCallHost;
  readonly #bound: BoundMethod;
  readonly #call: ServerInterceptingCallInterface;
  readonly #unsent = new UnsentBytes(UNSENT_BYTES_MAX);
  #metadata = new Metadata();
  #trailers: Metadata | null = null;
  #previousAttempts = 0;
  #identity: string | null = null;
  #timeoutMs = Infinity;
  #timer: NodeJS.Timeout | null = null;
  #controller: AbortController | null = null;
  #abortReason: RpcError | null = null;
  #queue: InboundQueue<unknown> | null = null;
  /** The one request of a client that does not stream. */
  #single: unknown = NOTHING;
  #headersSent = false;
  /** Errors of calls the handler made say nothing about whether this one was carried out. */
  #hasMadeCalls = false;
  #isEnded = false;

  constructor(host: GrpcCallHost, bound: BoundMethod, call: ServerInterceptingCallInterface) {
    this.#host = host;
    this.#bound = bound;
    this.#call = call;
  }

  // ServerCall.

  get method(): MethodContract {
    return this.#bound.contract;
  }

  get metadata(): Metadata {
    return this.#metadata;
  }

  get peer(): Peer {
    const { remoteAddress: address, remotePort: port } = this.#call.getConnectionInfo();
    return { address, port, identity: this.#identity };
  }

  get previousAttempts(): number {
    return this.#previousAttempts;
  }

  get isRepetition(): boolean {
    return this.#previousAttempts > 0;
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
    return Math.max(0, this.startedMs + this.#timeoutMs - performance.now());
  }

  sendHeaders(headers: Metadata): void {
    if (this.#isEnded) return;
    if (this.#headersSent)
      throw new RpcError('RPC_INTERNAL', `the headers of ${this.method.path} were sent already`);
    const metadata = toGrpcMetadata(headers, 'response');
    this.#headersSent = true;
    this.#call.sendMetadata(metadata);
  }

  // What grpc-js tells.

  /** Begins the call. One that was cancelled already is never heard of again. */
  start(): void {
    this.#call.start({
      onReceiveMetadata: (metadata) => this.#metadataReceived(metadata),
      onReceiveMessage: (bytes) => this.#messageReceived(bytes as Buffer), // grpc-server.ts registers it to stay bytes
      onReceiveHalfClose: () => {
        // Node's HTTP/2 ends a stream before it resets it, so a client of Node that cancels an upload seems to end it
        // well. The reset comes right behind: looking again a turn later keeps a half from being taken for the whole.
        if (this.#queue === null) this.#endReceived();
        else setImmediate(() => this.#endReceived());
      },
      onCancel: () => this.#cancelled(),
    });
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Ends the call with `error` and stops its handler. */
  fail(error: RpcError): void {
    if (this.#isEnded) return;
    this.#sendStatus(statusOfError(error, this.#trailers, this.#hasMadeCalls ? 'unknown' : error.executed));
    this.#stop(error);
  }

  #metadataReceived(received: GrpcMetadata): void {
    this.#host.callStarted(this);
    this.#previousAttempts = previousAttemptsOf(received);
    this.#metadata = fromGrpcMetadata(received);
    const deadline = Number(this.#call.getDeadline());
    if (Number.isFinite(deadline)) {
      this.#timeoutMs = deadline - Date.now();
      this.#timer = setTimeout(() => this.fail(this.#deadlineError()), Math.max(0, this.#timeoutMs));
    }
    const refusal = this.#refusal();
    if (refusal !== null) {
      this.fail(refusal);
      return;
    }
    const { kind } = this.method;
    if (kind === 'client-stream' || kind === 'bidi-stream') {
      this.#queue = new InboundQueue(
        () => this.#call.startRead(),
        () => {}, // a handler may answer without reading everything; its answer ends the call
      );
    }
    this.#call.startRead();
    if (this.#queue !== null) this.#run(this.#queue);
  }

  /** Null when the call may start. */
  #refusal(): RpcError | null {
    try {
      this.#identity = this.#host.identify(this.#metadata, this.peer, this.#call);
    } catch (error) {
      return error instanceof RpcError ? error : new RpcError('RPC_UNAUTHENTICATED', String(error));
    }
    if (this.#host.isDraining) {
      return new RpcError('RPC_SHUTTING_DOWN', 'the server is shutting down', { executed: 'no' });
    }
    return null;
  }

  #messageReceived(bytes: Buffer): void {
    if (this.#isEnded) return;
    const { requestType, path } = this.method;
    let request: unknown;
    try {
      request = requestType.codec('protobuf').decode(bytes);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      this.fail(
        new RpcError(
          'RPC_MESSAGE_INVALID',
          `the request of ${path} is no ${requestType.fullName}: ${reason}`,
          {
            cause,
            executed: this.#queue === null ? 'no' : 'unknown',
          },
        ),
      );
      return;
    }
    if (this.#queue !== null) {
      this.#queue.push(request, 0);
      return;
    }
    if (this.#single !== NOTHING) {
      this.fail(
        new RpcError('RPC_INVALID_ARGUMENT', `${path} takes one request, a second one came`, {
          executed: 'no',
        }),
      );
      return;
    }
    this.#single = request;
    this.#call.startRead(); // the client's end
  }

  #endReceived(): void {
    if (this.#isEnded) return;
    if (this.#queue !== null) {
      this.#queue.finish();
      return;
    }
    const request = this.#single;
    this.#single = undefined;
    if (request !== NOTHING) {
      this.#run(request);
      return;
    }
    this.fail(
      new RpcError('RPC_INVALID_ARGUMENT', `${this.method.path} needs one request, none came`, {
        executed: 'no',
      }),
    );
  }

  /** The client went away, grpc-js ended the call by itself, or it is over anyway. */
  #cancelled(): void {
    if (this.#isEnded) return;
    this.#stop(
      this.remainingMs() <= CLOCK_SLACK_MS
        ? this.#deadlineError()
        : new RpcError('RPC_CANCELLED', 'the client cancelled the call, or its connection was lost'),
    );
  }

  // The handler.

  #run(input: unknown): void {
    const refusal = this.#bound.admit?.(this) ?? null; // asked here, because handlers at work are what is counted
    if (refusal !== null) {
      this.fail(refusal);
      return;
    }
    let result: unknown;
    try {
      result = runInCall(this, this.#bound.handler, input as never, this); // of the type its kind asks for
    } catch (error) {
      this.#handlerFailed(error);
      return;
    }
    const { kind } = this.method;
    if (kind === 'server-stream' || kind === 'bidi-stream') {
      void this.#sendAll(result as AsyncIterable<unknown> | Iterable<unknown>); // never rejects
      return;
    }
    Promise.resolve(result).then(
      (answer) => this.#answer(answer),
      (error: unknown) => this.#handlerFailed(error),
    );
  }

  #answer(answer: unknown): void {
    if (this.#isEnded) return;
    try {
      this.#send(answer);
    } catch (error) {
      this.#handlerFailed(error);
      return;
    }
    this.#finishOk(); // goes out behind the message
  }

  async #sendAll(answers: AsyncIterable<unknown> | Iterable<unknown>): Promise<void> {
    try {
      for await (const answer of answers) {
        if (!this.#isEnded && !this.#send(answer)) await this.#unsent.room();
        if (this.#isEnded) return; // leaving the loop tells the handler's generator
      }
    } catch (error) {
      this.#handlerFailed(error);
      return;
    }
    this.#finishOk();
  }

  /** @returns whether the next one may follow at once */
  #send(answer: unknown): boolean {
    const codec = this.method.responseType.codec('protobuf');
    const bytes = encodeMessage(codec, answer, this.#host.sentBytesMax, 'server');
    this.#headersSent = true; // grpc-js sends them with the first message
    const hasRoom = this.#unsent.add(bytes.length);
    this.#call.sendMessage(bytes, () => this.#unsent.left(bytes.length));
    return hasRoom;
  }

  #finishOk(): void {
    if (this.#isEnded) return;
    let metadata: GrpcMetadata;
    try {
      metadata = toGrpcMetadata(this.#trailers, 'response');
    } catch (error) {
      this.#trailers = null;
      this.#handlerFailed(error);
      return;
    }
    this.#sendStatus({ code: grpcStatus.OK, details: 'OK', metadata });
    this.#ended(STATUS.OK);
  }

  #handlerFailed(error: unknown): void {
    if (this.#isEnded) return;
    if (error instanceof RpcError) {
      this.fail(error);
      return;
    }
    this.#host.handlerFailed(this, error);
    const text = error instanceof Error ? error.message : String(error);
    this.fail(new RpcError('RPC_UNKNOWN', `${this.method.path} failed: ${text}`, { cause: error }));
  }

  #sendStatus(status: GrpcStatus): void {
    this.#isEnded = true; // grpc-js tells of a cancellation when the status has gone
    this.#call.sendStatus(status);
  }

  #deadlineError(): RpcError {
    return new RpcError(
      'RPC_DEADLINE_EXCEEDED',
      `${this.method.path} was not answered within ${Math.round(this.#timeoutMs)} ms`,
    );
  }

  #stop(error: RpcError): void {
    this.#abortReason = error;
    this.#ended(STATUS[error.status]);
    this.#queue?.fail(error);
    this.#controller?.abort(error);
  }

  #ended(status: number): void {
    this.#isEnded = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#unsent.end();
    this.#host.callEnded(this, status);
  }
}
