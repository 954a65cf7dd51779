// The server's side of one RPC connection: admits it, opens a stream per call, says GOAWAY when the server drains.
// server/thread-server.ts makes one per connection and answers what it asks; server-stream.ts is one call.

import type { EventLoop } from '../../reactor/index.js';
import type { Peer, ServerCall } from '../call.js';
import type { MethodContract } from '../contract.js';
import { RpcError } from '../errors.js';
import { GOAWAY_REASON, readCancel, readGoaway } from '../wire/control-frames.js';
import { readRequest, type ReceivedRequest, writeError } from '../wire/call-frames.js';
import { builder } from '../wire/frame-builder.js';
import { FLAG_END, FLAG_MESSAGE, FRAME, VERSION, VERSION_MIN } from '../wire/frame-types.js';
import { type Hello, writeHello } from '../wire/hello.js';
import { PING_STRIKES_MAX } from '../limits.js';
import { ServerStream } from './server-stream.js';
import { Session, type SessionLink } from './session.js';
import type { SessionLimits } from './session-options.js';
import { statusName } from '../status.js';

/** A method with the code that answers it. */
export interface BoundMethod {
  readonly contract: MethodContract;
  /** Of the type that its kind asks for; middleware is inside. */
  readonly handler: (input: never, call: ServerCall) => unknown;
  /** Null when the call may start; else why not. */
  readonly admit: ((call: ServerCall) => RpcError | null) | null;
}

/** What a session asks of the server it belongs to. */
export interface ServerSessionHost {
  readonly agent: string;
  /** No call is taken any more: each is answered with RPC_SHUTTING_DOWN, surely not executed. */
  readonly isDraining: boolean;
  find(path: string): BoundMethod | undefined;
  /** The name the client goes by from now on. @throws RpcError RPC_UNAUTHENTICATED */
  identify(hello: Hello, peer: Peer): string | null;
  callStarted(call: ServerStream): void;
  /** The client has its answer, or will not get one. `status` is the number that was sent. */
  callEnded(call: ServerStream, status: number): void;
  /** A handler failed with something that is no RpcError: the client only learns that it failed. */
  handlerFailed(call: ServerStream, error: unknown): void;
  sessionGreeted(session: ServerSession): void;
  sessionEnded(session: ServerSession, error: RpcError): void;
}

export class ServerSession extends Session<ServerStream> {
  readonly side = 'server';
  readonly peerSide = 'client';
  readonly peerAddress: { readonly address: string | undefined; readonly port: number | undefined };
  /** Replaced when the handler module is reloaded. */
  host: ServerSessionHost;
  /** Whom the client's certificate names, where it showed one that our authorities vouch for. */
  certifiedName: string | null = null;
  identity: string | null = null;
  #lastStreamId = 0;
  #lastPingMs = -Infinity;
  #pingStrikes = 0;
  /** Handlers at work whose calls have ended: opening and cancelling calls must not start handlers without end. */
  #orphans = 0;
  /** goaway() was called: the last call to end ends the connection. */
  #isLeaving = false;

  constructor(
    link: SessionLink,
    loop: EventLoop,
    options: SessionLimits,
    host: ServerSessionHost,
    peerAddress: { readonly address: string | undefined; readonly port: number | undefined },
  ) {
    super(link, loop, options);
    this.host = host;
    this.peerAddress = peerAddress;
  }

  /** Waits for the client's HELLO; ours follows it, because it says what was chosen. */
  start(): void {
    this.awaitHello();
  }

  get callsInFlight(): number {
    return this.streams.size;
  }

  /** Tells the client to go elsewhere; calls under way go on, and the connection ends with the last of them. */
  goaway(reason: number, text: string, drainMs: number): void {
    if (this.state === 'closed' || this.#isLeaving) return;
    this.#isLeaving = true;
    this.sendGoaway(reason, text, drainMs);
    this.startDraining();
    if (this.streams.size === 0) this.#leave();
  }

  /** Ends every call that is under way; returns how many that were. */
  cut(error: RpcError): number {
    const calls = [...this.streams.values()];
    for (const call of calls) call.abort(error);
    return calls.length;
  }

  /** A call ended without its handler, which goes on: it counts until it is done. @internal */
  orphaned(): void {
    this.#orphans += 1;
  }

  /** @internal */
  orphanSettled(): void {
    this.#orphans -= 1;
  }

  /** A call has its answer. @internal */
  forget(streamId: number): void {
    this.streams.delete(streamId);
    if (this.#isLeaving && this.streams.size === 0 && this.state !== 'closed') this.#leave();
  }

  protected override greeted(hello: Hello): void {
    const { certifiedName } = this;
    const peer = { ...this.peerAddress, identity: certifiedName, certificate: certifiedName };
    this.identity = this.host.identify(hello, peer);
    const serializer = hello.serializers.find((name) => this.options.serializers.includes(name));
    if (serializer === undefined) {
      throw new RpcError('RPC_VERSION_MISMATCH', 'client and server have no serializer in common', {
        executed: 'no',
      });
    }
    this.serializer = serializer;
    const { options } = this;
    writeHello(builder, {
      version: VERSION,
      versionMin: VERSION_MIN,
      messageBytesMax: options.messageBytesMax,
      metadataBytesMax: options.metadataBytesMax,
      streamWindowBytes: options.streamWindowBytes,
      connectionWindowBytes: options.connectionWindowBytes,
      streamsMax: options.streamsMax,
      pingIntervalMsMin: options.pingIntervalMsMin,
      serializers: [serializer],
      compressions: ['gzip'],
      token: '',
      agent: this.host.agent,
    });
    this.sendBuilt(FRAME.HELLO, builder);
    this.host.sessionGreeted(this);
  }

  protected override headersReceived(flags: number, streamId: number, body: Buffer): void {
    if (streamId <= this.#lastStreamId)
      throw new RpcError('RPC_PROTOCOL', `stream ${streamId} came after stream ${this.#lastStreamId}`);
    let request: ReceivedRequest;
    try {
      request = readRequest(body, this.options.metadataBytesMax);
    } catch (error) {
      if (!(error instanceof RpcError) || error.code === 'RPC_PROTOCOL') throw error;
      this.#refuse(streamId, error);
      return;
    }
    const method = this.#admit(streamId, request);
    if (method === null) return;
    const stream = new ServerStream(this, streamId, method, request);
    this.streams.set(streamId, stream);
    this.host.callStarted(stream);
    const refusal = method.admit === null ? null : method.admit(stream);
    if (refusal !== null) {
      stream.fail(refusal);
      return;
    }
    const isEnd = (flags & FLAG_END) !== 0;
    const message = (flags & FLAG_MESSAGE) === 0 ? null : body.subarray(request.messageAt);
    try {
      stream.start(message, isEnd);
    } catch (error) {
      if (!(error instanceof RpcError) || error.code === 'RPC_PROTOCOL') throw error;
      stream.fail(error);
    }
  }

  #admit(streamId: number, { path }: ReceivedRequest): BoundMethod | null {
    if (this.host.isDraining || this.#isLeaving) {
      this.#refuse(streamId, refusal('RPC_SHUTTING_DOWN', 'the server is shutting down'));
      return null;
    }
    this.#lastStreamId = streamId;
    if (this.streams.size >= this.options.streamsMax) {
      const text = `${this.options.streamsMax} calls are under way on this connection`;
      this.#refuse(streamId, refusal('RPC_TOO_MANY_STREAMS', text));
      return null;
    }
    if (this.#orphans >= this.options.streamsMax) {
      const text = `${this.#orphans} handlers of calls that ended early are still at work for this connection`;
      this.#refuse(streamId, refusal('RPC_TOO_MANY_STREAMS', text));
      return null;
    }
    const method = this.host.find(path);
    if (method === undefined) {
      this.#refuse(streamId, refusal('RPC_METHOD_UNKNOWN', `there is no method ${path} here`));
      return null;
    }
    return method;
  }

  /** Answers a call that is not begun. */
  #refuse(streamId: number, error: RpcError): void {
    this.#lastStreamId = Math.max(this.#lastStreamId, streamId);
    writeError(builder, streamId, error, null);
    this.sendBuilt(FRAME.STATUS, builder);
  }

  protected override endReceived(streamId: number): void {
    const stream = this.streams.get(streamId);
    if (stream !== undefined) stream.endReceived();
    else if (!this.wasKnown(streamId))
      throw new RpcError('RPC_PROTOCOL', `END for stream ${streamId}, which was never opened`);
  }

  protected override cancelReceived(streamId: number, body: Buffer): void {
    const { status, text } = readCancel(body);
    const name = statusName(status);
    this.streams
      .get(streamId)
      ?.cancelled(
        name === 'DEADLINE_EXCEEDED'
          ? new RpcError('RPC_DEADLINE_EXCEEDED', text)
          : new RpcError('RPC_CANCELLED', text === '' ? 'the client cancelled the call' : text),
      );
  }

  protected override statusReceived(): void {
    throw new RpcError('RPC_PROTOCOL', 'STATUS came from a client');
  }

  protected override goawayReceived(body: Buffer): void {
    const { text } = readGoaway(body);
    this.finish(new RpcError('RPC_CONNECTION_LOST', `the client went away: ${text}`));
  }

  protected override wasKnown(streamId: number): boolean {
    return streamId > 0 && streamId <= this.#lastStreamId;
  }

  protected override pinged(): void {
    const { nowMs } = this.loop;
    const isEarly = nowMs - this.#lastPingMs < this.options.pingIntervalMsMin;
    this.#lastPingMs = nowMs;
    this.#pingStrikes = isEarly ? this.#pingStrikes + 1 : 0;
    if (this.#pingStrikes <= PING_STRIKES_MAX) return;
    const text = `pings came less than ${this.options.pingIntervalMsMin} ms apart`;
    this.sendGoaway(GOAWAY_REASON.tooManyPings, text, 0);
    this.finish(new RpcError('RPC_CONNECTION_LOST', text));
  }

  protected override get pingsWhenIdle(): boolean {
    return true; // a client that is gone without a word must not keep its place
  }

  protected override get lastStreamId(): number {
    return this.#lastStreamId;
  }

  protected override ended(error: RpcError): void {
    for (const call of this.streams.values()) call.connectionLost(error);
    this.host.sessionEnded(this, error);
  }

  #leave(): void {
    this.finish(new RpcError('RPC_SHUTTING_DOWN', 'the server has answered everything and goes away'));
  }
}

function refusal(
  code: 'RPC_SHUTTING_DOWN' | 'RPC_TOO_MANY_STREAMS' | 'RPC_METHOD_UNKNOWN',
  text: string,
): RpcError {
  return new RpcError(code, text, { executed: 'no' });
}
