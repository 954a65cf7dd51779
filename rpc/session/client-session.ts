// The client's side of one RPC connection: opens calls, hands answers to them, and hears when the server goes away.
// client/dial.ts makes one per TCP connection; the pool keeps it; client-call.ts is one attempt of a call.

import type { EventLoop } from '../../reactor/index.js';
import type { MethodContract } from '../contract.js';
import { RpcError } from '../errors.js';
import { INLINE_BYTES_MAX } from '../limits.js';
import { GOAWAY_REASON, readGoaway, writeCancel } from '../wire/control-frames.js';
import {
  checkRequestHead,
  readResponseHeaders,
  readStatus,
  type RequestHead,
  writeRequest,
} from '../wire/call-frames.js';
import { builder } from '../wire/frame-builder.js';
import { FLAG_END, FLAG_MESSAGE, FRAME, VERSION, VERSION_MIN } from '../wire/frame-types.js';
import { type Hello, writeHello } from '../wire/hello.js';
import { type CallListener, ClientCall } from './client-call.js';
import type { PoolableConnection, PoolListener } from '../pool/poolable.js';
import { Session, type SessionLink } from './session.js';
import type { SessionLimits } from './session-options.js';

const STREAM_ID_MAX = 0xffff_fff0;
const COMPRESSIONS: readonly string[] = ['gzip'];

export class ClientSession extends Session<ClientCall<never, never>> implements PoolableConnection {
  readonly side = 'client';
  readonly peerSide = 'server';
  poolListener: PoolListener | null = null;
  /** Told when the server goes away as a whole, rather than this connection. */
  onServerLeaving: (() => void) | null = null;
  onEnded: (() => void) | null = null;
  readonly #agent: string;
  readonly #token: string;
  #nextStreamId = 1;
  /** The last call that the server says it took; it has said nothing as long as it is Infinity. */
  #lastTakenId = Infinity;
  #ready: { resolve(): void; reject(error: RpcError): void } | null = null;
  #error: RpcError | null = null;
  /** close() was called: the last call to end ends the connection. */
  #isClosing = false;

  constructor(
    link: SessionLink,
    loop: EventLoop,
    options: SessionLimits,
    identity: { readonly agent: string; readonly token: string },
  ) {
    super(link, loop, options);
    this.#agent = identity.agent;
    this.#token = identity.token;
  }

  /** A call may be opened on it. */
  get isUsable(): boolean {
    return this.state === 'open' && !this.#isClosing;
  }

  get callsInFlight(): number {
    return this.streams.size;
  }

  /** Calls the server takes at a time. */
  get callsMax(): number {
    return this.peer?.streamsMax ?? 0;
  }

  /**
   * Greets. Resolves once the server has.
   * @throws RpcError RPC_HELLO_TIMEOUT, RPC_VERSION_MISMATCH, RPC_UNAUTHENTICATED, RPC_SHUTTING_DOWN, RPC_PROTOCOL,
   *   RPC_CONNECTION_LOST
   */
  greet(): Promise<void> {
    const { options } = this;
    writeHello(builder, {
      version: VERSION,
      versionMin: VERSION_MIN,
      messageBytesMax: options.messageBytesMax,
      metadataBytesMax: options.metadataBytesMax,
      streamWindowBytes: options.streamWindowBytes,
      connectionWindowBytes: options.connectionWindowBytes,
      streamsMax: 0,
      pingIntervalMsMin: 0,
      serializers: options.serializers,
      compressions: COMPRESSIONS,
      token: this.#token,
      agent: this.#agent,
    });
    const ready = new Promise<void>((resolve, reject) => {
      this.#ready = { resolve, reject };
    });
    this.sendBuilt(FRAME.HELLO, builder);
    this.awaitHello();
    return ready;
  }

  /**
   * Opens a call. `request` is given where the client sends one message: it is encoded before this returns.
   * Otherwise requests follow by `call.sendRequest` and `call.endRequests`.
   * @throws RpcError with nothing sent, executed 'no': RPC_MESSAGE_INVALID, RPC_MESSAGE_TOO_LARGE,
   *   RPC_METADATA_TOO_LARGE, RPC_TOO_MANY_STREAMS, RPC_CONNECTION_LOST
   */
  open<Q, A>(
    method: MethodContract<Q, A>,
    head: RequestHead,
    request: Q | undefined,
    listener: CallListener<A>,
  ): ClientCall<Q, A> {
    if (!this.isUsable) {
      throw (
        this.#error ??
        new RpcError('RPC_CONNECTION_LOST', 'the connection takes no calls', { executed: 'no' })
      );
    }
    if (this.streams.size >= this.callsMax) {
      throw new RpcError('RPC_TOO_MANY_STREAMS', `${this.callsMax} calls are under way on this connection`, {
        executed: 'no',
      });
    }
    if (head.metadata !== null || head.path.length > 255) checkRequestHead(head, this.peer!.metadataBytesMax);
    const codecs = {
      requests: method.requestType.codec(this.serializer),
      responses: method.responseType.codec(this.serializer),
    };
    const id = this.#nextStreamId;
    const call = new ClientCall(this, id, method, codecs, listener);
    const isSingle = method.kind === 'unary' || method.kind === 'server-stream';
    const message = isSingle ? codecs.requests.encode(request as Q) : null; // given for these kinds
    if (message !== null && message.bytes > this.peerMessageBytesMax) call.sendMessage(message, 0); // throws, and says why
    this.#nextStreamId = id + 1;
    this.streams.set(id, call as unknown as ClientCall<never, never>); // the map forgets what the methods know
    if (message !== null && message.bytes <= INLINE_BYTES_MAX && !this.compresses(message.bytes)) {
      writeRequest(builder, FLAG_MESSAGE | FLAG_END, id, head, message);
      this.sendBuilt(FRAME.HEADERS, builder);
    } else {
      writeRequest(builder, 0, id, head, null);
      this.sendBuilt(FRAME.HEADERS, builder);
      if (message !== null) call.sendMessage(message, FLAG_END);
    }
    call.begin(head.timeoutMs);
    if (this.#nextStreamId > STREAM_ID_MAX) this.close();
    return call;
  }

  /** Takes no further calls; ends when those under way have. */
  close(): void {
    if (this.state === 'closed' || this.#isClosing) return;
    this.#isClosing = true;
    if (this.streams.size === 0) this.#finish();
    else this.poolListener?.onUnusable();
  }

  /** A call has ended. @internal */
  forget(streamId: number): void {
    this.streams.delete(streamId);
    if (this.state === 'closed') return;
    const isLeaving = this.#isClosing || this.state === 'draining';
    if (isLeaving && this.streams.size === 0) this.#finish();
    else this.poolListener?.onCapacity();
  }

  sendEnd(streamId: number): void {
    this.sendBuilt(FRAME.END, builder.begin(0, streamId));
  }

  sendCancel(streamId: number, status: number, text: string): void {
    if (this.state === 'closed') return;
    writeCancel(builder, streamId, status, text);
    this.sendBuilt(FRAME.CANCEL, builder);
  }

  protected override greeted(hello: Hello): void {
    const [serializer] = hello.serializers;
    if (serializer === undefined || !this.options.serializers.includes(serializer)) {
      throw new RpcError('RPC_VERSION_MISMATCH', 'client and server have no serializer in common', {
        executed: 'no',
      });
    }
    this.serializer = serializer;
    this.#ready?.resolve();
    this.#ready = null;
  }

  protected override headersReceived(flags: number, streamId: number, body: Buffer): void {
    if ((flags & (FLAG_MESSAGE | FLAG_END)) !== 0)
      throw new RpcError('RPC_PROTOCOL', `flags ${flags} mean nothing on HEADERS of a server`);
    const call = this.streams.get(streamId);
    if (call === undefined) return;
    try {
      call.headersReceived(readResponseHeaders(body, this.options.metadataBytesMax));
    } catch (error) {
      failCall(call, error);
    }
  }

  protected override statusReceived(flags: number, streamId: number, body: Buffer): void {
    const call = this.streams.get(streamId);
    if (call === undefined) return; // cancelled here meanwhile
    try {
      const { error, trailers, messageAt } = readStatus(body, this.options.metadataBytesMax);
      const message = (flags & FLAG_MESSAGE) === 0 ? null : body.subarray(messageAt);
      call.statusReceived(error, trailers, message);
    } catch (error) {
      failCall(call, error);
    }
  }

  protected override endReceived(): void {
    throw new RpcError('RPC_PROTOCOL', 'END came from a server');
  }

  protected override cancelReceived(): void {
    throw new RpcError('RPC_PROTOCOL', 'CANCEL came from a server');
  }

  protected override goawayReceived(body: Buffer): void {
    const { lastStreamId, reason, text } = readGoaway(body);
    const error = goawayError(reason, text);
    this.#error ??= error;
    if (this.state === 'greeting') {
      this.finish(error);
      return;
    }
    this.#lastTakenId = Math.min(this.#lastTakenId, lastStreamId);
    if (reason !== GOAWAY_REASON.shutdown && reason !== GOAWAY_REASON.age && reason !== GOAWAY_REASON.idle) {
      this.finish(error); // nothing is answered any more
      return;
    }
    const wasOpen = this.state === 'open';
    this.startDraining();
    if (wasOpen) {
      if (reason === GOAWAY_REASON.shutdown) this.onServerLeaving?.();
      this.poolListener?.onUnusable();
    }
    const left = [...this.streams.values()].filter((call) => call.id > lastStreamId);
    for (const call of left) call.lost(error, 'no');
    if (this.streams.size === 0) this.#finish();
  }

  protected override wasKnown(streamId: number): boolean {
    return streamId > 0 && streamId < this.#nextStreamId;
  }

  protected override pinged(): void {} // a server may look whether we are there as often as it likes

  protected override get pingsWhenIdle(): boolean {
    return false; // the pool pings before it uses a connection again
  }

  protected override get lastStreamId(): number {
    return 0;
  }

  protected override ended(error: RpcError): void {
    this.#error ??= error;
    this.#ready?.reject(error);
    this.#ready = null;
    for (const call of this.streams.values())
      call.lost(error, call.id > this.#lastTakenId ? 'no' : 'unknown');
    this.onEnded?.();
    this.poolListener?.onEnded(
      error.code === 'RPC_CLOSED' || error.code === 'RPC_SHUTTING_DOWN' ? null : error,
    );
  }

  #finish(): void {
    this.finish(new RpcError('RPC_CLOSED', 'the connection was closed', { executed: 'no' }));
  }
}

function failCall(call: ClientCall<never, never>, error: unknown): void {
  if (!(error instanceof RpcError) || error.code === 'RPC_PROTOCOL') throw error;
  // An answer that cannot be read says that the call was carried out rather than that it was not.
  call.cancel(
    error.executed === 'unknown' ? error : new RpcError(error.code, error.message, { cause: error }),
  );
}

function goawayError(reason: number, text: string): RpcError {
  const options = { executed: 'no' } as const;
  switch (reason) {
    case GOAWAY_REASON.version:
      return new RpcError('RPC_VERSION_MISMATCH', text, options);
    case GOAWAY_REASON.unauthenticated:
      return new RpcError('RPC_UNAUTHENTICATED', text, options);
    case GOAWAY_REASON.protocol:
      return new RpcError('RPC_PROTOCOL', `the server gave the connection up: ${text}`);
    case GOAWAY_REASON.tooManyPings:
      return new RpcError('RPC_CONNECTION_LOST', `the server was pinged too often: ${text}`);
    case GOAWAY_REASON.age:
    case GOAWAY_REASON.idle:
      return new RpcError('RPC_CONNECTION_LOST', text, options); // the connection goes, the server stays
    default:
      return new RpcError('RPC_SHUTTING_DOWN', text === '' ? 'the server is going away' : text, options);
  }
}
