// The client's side of one attempt of one call: it ends exactly once, whatever happens.
// client-session.ts opens it and feeds it frames; client/ listens to it and decides about further attempts.

import type { MessageCodec, MethodContract } from '../contract.js';
import { type Executed, RpcError } from '../errors.js';
import type { Metadata } from '../metadata.js';
import { STATUS } from '../status.js';
import { CallStream } from './call-stream.js';
import type { ClientSession } from './client-session.js';
import { PackedMessage } from './packed-message.js';

/** Who made the call. Nothing is called after `callEnded`. */
export interface CallListener<A> {
  /** Messages were received that nobody has read yet. */
  readonly hasUnread: boolean;
  headersReceived(headers: Metadata): void;
  /** Say `call.messageTaken(cost)` once it is read. */
  messageReceived(message: A | PackedMessage<A>, cost: number): void;
  /** More of the requests may be sent. */
  callEnded(error: RpcError | null, trailers: Metadata | null): void;
}

export class ClientCall<Q, A> extends CallStream {
  readonly method: MethodContract<Q, A>;
  readonly #client: ClientSession;
  readonly #listener: CallListener<A>;
  readonly #requests: MessageCodec<Q>;
  readonly #responses: MessageCodec<A>;
  #isEnded = false;
  #timeoutMs = 0;
  #messages = 0;
  #hasHeaders = false;

  constructor(
    session: ClientSession,
    id: number,
    method: MethodContract<Q, A>,
    codecs: { readonly requests: MessageCodec<Q>; readonly responses: MessageCodec<A> },
    listener: CallListener<A>,
  ) {
    super(session, id);
    this.#client = session;
    this.method = method;
    this.#requests = codecs.requests;
    this.#responses = codecs.responses;
    this.#listener = listener;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  protected get hasUnread(): boolean {
    return this.#listener.hasUnread;
  }

  /** Arms the deadline; 0 is none. */
  begin(timeoutMs: number): void {
    this.#timeoutMs = timeoutMs;
    if (timeoutMs > 0 && !this.#isEnded) this.session.loop.timers.schedule(this, timeoutMs);
  }

  /**
   * Sends one more request of a streaming client. False when not all of it could go: wait for `sent()`.
   * @throws RpcError RPC_MESSAGE_INVALID, RPC_MESSAGE_TOO_LARGE
   */
  sendRequest(request: Q): boolean {
    if (this.#isEnded) return true;
    return this.sendMessage(this.#requests.encode(request), 0);
  }

  /** What was sent leaves now, not at the end of the turn. */
  flush(): void {
    this.session.link.flush();
  }

  /** No further request follows; everything sent so far has left. */
  endRequests(): void {
    if (!this.#isEnded) this.#client.sendEnd(this.id);
  }

  /** Ends the call here and tells the server. */
  cancel(error: RpcError): void {
    if (this.#isEnded) return;
    this.#client.sendCancel(this.id, STATUS[error.status], error.message);
    this.end(error, null);
  }

  override fail(error: RpcError): void {
    this.cancel(error);
  }

  /** TimerNode: the deadline has passed. */
  override onTimer(): void {
    this.cancel(
      new RpcError(
        'RPC_DEADLINE_EXCEEDED',
        `${this.method.path} was not answered within ${Math.round(this.#timeoutMs)} ms`,
      ),
    );
  }

  /** @throws RpcError RPC_PROTOCOL */
  headersReceived(headers: Metadata): void {
    if (this.#hasHeaders) throw new RpcError('RPC_PROTOCOL', `headers of stream ${this.id} came twice`);
    this.#hasHeaders = true;
    this.#listener.headersReceived(headers);
  }

  protected override messageReceived(bytes: Buffer, cost: number): void {
    if (this.#isEnded) return;
    this.#countMessage();
    this.#listener.messageReceived(decodeAnswer(this.method, this.#responses, bytes), cost);
  }

  protected override packedReceived(unpack: () => Buffer, cost: number): void {
    if (this.#isEnded) return;
    this.#countMessage();
    const { method } = this;
    const message = new PackedMessage(() => decodeAnswer(method, this.#responses, unpack()));
    this.#listener.messageReceived(message, cost);
  }

  /** @throws RpcError RPC_INTERNAL */
  #countMessage(): void {
    const { kind, path } = this.method;
    if ((kind === 'unary' || kind === 'client-stream') && this.#messages > 0)
      throw new RpcError('RPC_INTERNAL', `${path} was answered with more than one message`);
    this.#messages += 1;
  }

  /** The server ended the call; `message` is the one inside STATUS, lent. */
  statusReceived(error: RpcError | null, trailers: Metadata | null, message: Buffer | null): void {
    if (error === null && message !== null) {
      this.judgeInline(message);
      this.messageReceived(message, 0);
    }
    if (error === null && this.isInsideMessage) {
      this.end(new RpcError('RPC_INTERNAL', `${this.method.path} was ended inside a message`), null);
      return;
    }
    const { kind } = this.method;
    if (error === null && this.#messages === 0 && (kind === 'unary' || kind === 'client-stream')) {
      this.end(new RpcError('RPC_INTERNAL', `${this.method.path} ended well but without a message`), null);
      return;
    }
    this.end(error, trailers);
  }

  /** The connection, or the server's willingness, ended under the call. */
  lost(error: RpcError, executed: Executed): void {
    this.end(new RpcError(error.code, error.message, { cause: error, executed }), null);
  }

  /** Once. */
  end(error: RpcError | null, trailers: Metadata | null): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.session.loop.timers.cancel(this);
    this.#client.forget(this.id);
    this.releaseCredit();
    this.dropOutbound();
    this.#listener.callEnded(error, trailers);
  }
}

function decodeAnswer<A>(method: MethodContract, codec: MessageCodec<A>, bytes: Buffer): A {
  try {
    return codec.decode(bytes);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RpcError(
      'RPC_INTERNAL',
      `the answer of ${method.path} is no ${method.responseType.fullName}: ${reason}`,
      {
        cause,
      },
    );
  }
}
