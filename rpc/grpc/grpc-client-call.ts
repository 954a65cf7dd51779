// One call to a gRPC server: requests out, answers in, ended exactly once, here or there.
// grpc-caller.ts makes it; listeners turn it into a promise or into a stream. It stands on the call of grpc-js's channel,
// below its streams: an answer is read when the one before was taken, and requests are counted in bytes.

import { type Channel, type StatusObject, status as grpcStatus } from '@grpc/grpc-js';
import { type CallContext, cancelled } from '../client/call-context.js';
import type { RequestSink } from '../client/request-source.js';
import type { MethodContract } from '../contract.js';
import { RpcError } from '../errors.js';
import type { Metadata } from '../metadata.js';
import { encodeMessage, UnsentBytes } from './grpc-message.js';
import { fromGrpcMetadata, PREVIOUS_ATTEMPTS_KEY, toGrpcMetadata } from './grpc-metadata.js';
import { errorOfStatus, trailersOf } from './grpc-status.js';

type ChannelCall = ReturnType<Channel['createCall']>;

export interface GrpcCallListener<A> {
  headersReceived(headers: Metadata): void;
  /** `messageTaken` asks for the next one. */
  messageReceived(message: A): void;
  /** Once. Trailers where the call went well. */
  callEnded(error: RpcError | null, trailers: Metadata | null): void;
}

export class GrpcClientCall<Q, A> implements RequestSink<Q> {
  readonly method: MethodContract<Q, A>;
  readonly #context: CallContext;
  readonly #sentBytesMax: number;
  readonly #listener: GrpcCallListener<A>;
  readonly #call: ChannelCall;
  /** One at a time: grpc-js's channel loses requests that overtake each other in its filters. */
  readonly #unsent = new UnsentBytes(0);
  readonly #onAbort: (() => void) | null;
  #messages = 0;
  #isEnded = false;

  /** @throws RpcError RPC_INVALID_ARGUMENT: metadata that gRPC has no place for */
  constructor(
    channel: Channel,
    method: MethodContract<Q, A>,
    context: CallContext,
    token: string,
    sentBytesMax: number,
    listener: GrpcCallListener<A>,
  ) {
    this.method = method;
    this.#context = context;
    this.#sentBytesMax = sentBytesMax;
    this.#listener = listener;
    const metadata = toGrpcMetadata(context.metadata, 'request');
    if (token !== '') metadata.set('authorization', `Bearer ${token}`);
    if (context.previousAttempts > 0) metadata.set(PREVIOUS_ATTEMPTS_KEY, String(context.previousAttempts));
    const { timeoutMs, deadlineMs } = context;
    const deadline = deadlineMs === Infinity ? Infinity : Date.now() + timeoutMs;
    this.#call = channel.createCall(method.path, deadline, null, null, null);
    this.#call.start(metadata, {
      onReceiveMetadata: (headers) => {
        if (!this.#isEnded) this.#listener.headersReceived(fromGrpcMetadata(headers));
      },
      onReceiveMessage: (bytes: Buffer) => this.#messageReceived(bytes),
      onReceiveStatus: (status) => this.#statusReceived(status),
    });
    this.#onAbort = context.signals.length === 0 ? null : () => this.#aborted();
    if (this.#onAbort !== null)
      for (const signal of context.signals) signal.addEventListener('abort', this.#onAbort);
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Asks for the first answer, and after each one for the next. */
  messageTaken(): void {
    if (!this.#isEnded) this.#call.startRead();
  }

  /** @returns whether another one may follow at once. @throws RpcError RPC_MESSAGE_INVALID, RPC_MESSAGE_TOO_LARGE */
  sendRequest(request: Q): boolean {
    if (this.#isEnded) return true;
    const codec = this.method.requestType.codec('protobuf');
    const bytes = encodeMessage(codec, request, this.#sentBytesMax, 'client');
    const hasRoom = this.#unsent.add(bytes.length);
    this.#call.sendMessageWithContext({ callback: () => this.#unsent.left(bytes.length) }, bytes);
    return hasRoom;
  }

  sent(): Promise<void> {
    return this.#unsent.room();
  }

  flush(): void {} // grpc-js holds nothing back

  endRequests(): void {
    if (!this.#isEnded) this.#call.halfClose();
  }

  /** Ends the call here, and at the server. */
  cancel(error: RpcError): void {
    if (this.#isEnded) return;
    this.#end(error, null);
    this.#call.cancelWithStatus(grpcStatus.CANCELLED, error.message);
  }

  #aborted(): void {
    const signal = this.#context.signals.find(({ aborted }) => aborted)!; // one of them called
    this.cancel(cancelled(signal, 'unknown'));
  }

  #messageReceived(bytes: Buffer): void {
    if (this.#isEnded) return;
    const { kind, path, responseType } = this.method;
    this.#messages += 1;
    if ((kind === 'unary' || kind === 'client-stream') && this.#messages > 1) {
      this.cancel(new RpcError('RPC_INTERNAL', `${path} was answered with more than one message`));
      return;
    }
    let message: A;
    try {
      message = responseType.codec('protobuf').decode(bytes);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const text = `the answer of ${path} is no ${responseType.fullName}: ${reason}`;
      this.cancel(new RpcError('RPC_INTERNAL', text, { cause }));
      return;
    }
    this.#listener.messageReceived(message);
  }

  #statusReceived(status: StatusObject): void {
    if (this.#isEnded) return;
    const { kind, path } = this.method;
    if (status.code !== grpcStatus.OK) {
      this.#end(this.#errorOf(status), null);
    } else if (this.#messages === 0 && (kind === 'unary' || kind === 'client-stream')) {
      this.#end(new RpcError('RPC_INTERNAL', `${path} ended well but without a message`), null);
    } else {
      this.#end(null, trailersOf(status));
    }
  }

  #errorOf(status: StatusObject): RpcError {
    const error = errorOfStatus(status);
    if (error.code !== 'RPC_DEADLINE_EXCEEDED' || error.trailers !== null) return error;
    const text = `${this.method.path} was not answered within ${Math.round(this.#context.timeoutMs)} ms`;
    return new RpcError('RPC_DEADLINE_EXCEEDED', `${text} (${error.message})`);
  }

  #end(error: RpcError | null, trailers: Metadata | null): void {
    this.#isEnded = true;
    if (this.#onAbort !== null)
      for (const signal of this.#context.signals) signal.removeEventListener('abort', this.#onAbort);
    this.#unsent.end();
    this.#listener.callEnded(error, trailers);
  }
}
