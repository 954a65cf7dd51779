// One RPC connection, either side: greeting, many calls at once, credit, pings, going away.
// client-session.ts and server-session.ts add what their side does with calls; call-stream.ts is one call.
// It knows no socket: bytes leave by a link, which the reactor's Connection is, and come in by `receive`.

import type { EventLoop, SendOutcome, TimerHandle } from '../../reactor/index.js';
import { RpcError } from '../errors.js';
import { FRAME_HEAD_BYTES } from '../limits.js';
import type { SerializerName } from '../contract.js';
import {
  GOAWAY_REASON,
  readPing,
  readWindow,
  writeGoaway,
  writePing,
  writeWindow,
} from '../wire/control-frames.js';
import { builder, type FrameBuilder } from '../wire/frame-builder.js';
import {
  DATA_FLAGS,
  FLAG_END,
  FLAG_SKIPPABLE,
  FRAME,
  HEADERS_FLAGS,
  STATUS_FLAGS,
} from '../wire/frame-types.js';
import { type Hello, readHello } from '../wire/hello.js';
import type { CallStream } from './call-stream.js';
import { GatherBudget } from './gather-budget.js';
import type { SessionLimits } from './session-options.js';

/** What a session asks of its connection. */
export interface SessionLink {
  /** `body` is copied before it returns. */
  send(msgId: number, body: Uint8Array): SendOutcome;
  /** What was sent leaves now, not at the end of the turn. */
  flush(): void;
  /** Delivers what was sent, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

export type SessionState =
  | 'greeting' // the other side's HELLO has not come
  | 'open'
  | 'draining' // one side said GOAWAY: calls under way go on
  | 'closed';

const PING_TOKEN_BYTES = 8;

export abstract class Session<S extends CallStream> {
  readonly link: SessionLink;
  readonly loop: EventLoop;
  readonly options: SessionLimits;
  readonly streams: Map<number, S> = new Map();
  /** Whose limits are ours, in errors. */
  abstract readonly side: 'client' | 'server';
  abstract readonly peerSide: 'client' | 'server';
  /** Long messages that have come in part. @internal */
  readonly gathering: GatherBudget;
  serializer: SerializerName = 'protobuf';
  #state: SessionState = 'greeting';
  #peer: Hello | null = null;
  #compresses = false;
  #sendCredit = 0;
  /** The link is above its high-water mark. */
  #isFull = false;
  /** Streams with something to send, in the order in which they began to wait. */
  #waiting = new Set<CallStream>();
  #receiveCredit: number;
  #owed = 0;
  #helloTimer: TimerHandle | null = null;
  #keepalive: TimerHandle | null = null;
  #heardMs: number;
  /** Tokens of pings that were not answered yet, oldest first. */
  readonly #pings = new Map<number, { resolve(): void; reject(error: RpcError): void }>();
  #nextPing = 1;

  constructor(link: SessionLink, loop: EventLoop, options: SessionLimits) {
    this.link = link;
    this.loop = loop;
    this.options = options;
    this.#receiveCredit = options.connectionWindowBytes;
    this.#heardMs = loop.nowMs;
    this.gathering = new GatherBudget(options.connectionWindowBytes);
  }

  // What a side supplies.

  /** The other side's HELLO: takes it or throws. @throws RpcError */
  protected abstract greeted(hello: Hello): void;
  protected abstract headersReceived(flags: number, streamId: number, body: Buffer): void;
  protected abstract statusReceived(flags: number, streamId: number, body: Buffer): void;
  protected abstract endReceived(streamId: number): void;
  protected abstract cancelReceived(streamId: number, body: Buffer): void;
  protected abstract goawayReceived(body: Buffer): void;
  /** Whether a frame may still come for this stream although it is not there any more. */
  protected abstract wasKnown(streamId: number): boolean;
  /** A PING has come and was answered. @throws RpcError RPC_PROTOCOL */
  protected abstract pinged(): void;
  /** The connection is lost or given up, with every call on it. */
  protected abstract ended(error: RpcError): void;

  /** When the other side was last heard, on the loop's clock. */
  get lastReceivedMs(): number {
    return this.#heardMs;
  }

  get state(): SessionState {
    return this.#state;
  }

  get peer(): Hello | null {
    return this.#peer;
  }

  get peerMessageBytesMax(): number {
    return this.#peer?.messageBytesMax ?? 0;
  }

  get peerWindowBytes(): number {
    return this.#peer?.streamWindowBytes ?? 0;
  }

  get sendCredit(): number {
    return this.#sendCredit;
  }

  /** Cost of DATA that has come and was not given back: it waits to be read, or belongs to unfinished messages. */
  get heldBytes(): number {
    return this.options.connectionWindowBytes - this.#receiveCredit - this.#owed;
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  // What the connection tells.

  /** Waits for the other side's HELLO, but not long, and looks after silence from then on. */
  protected awaitHello(): void {
    const { helloTimeoutMs, keepaliveIntervalMs } = this.options;
    this.#helloTimer = this.loop.runAfter(helloTimeoutMs, () => {
      const text = `the ${this.peerSide} did not say HELLO within ${helloTimeoutMs} ms`;
      this.destroy(new RpcError('RPC_HELLO_TIMEOUT', text, { executed: 'no' }));
    });
    if (keepaliveIntervalMs > 0) this.#watchSilence(keepaliveIntervalMs);
  }

  /** One TLV frame; `body` is only lent. Never throws. */
  receive(msgId: number, body: Buffer): void {
    if (this.#state === 'closed') return;
    this.#heardMs = this.loop.nowMs;
    try {
      this.#dispatch(msgId, body);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error; // a defect of ours: the connection's handler is to blame
      this.fail(error);
    }
  }

  /** The link is below its low-water mark again. */
  drained(): void {
    this.#isFull = false;
    this.#pumpWaiting();
  }

  /** The connection is gone. */
  lost(error: RpcError): void {
    this.#close(error);
  }

  // Ending.

  /** The other side broke the protocol or may not be here: it is told, and the connection ends. */
  fail(error: RpcError): void {
    if (this.#state === 'closed') return;
    const reason =
      error.code === 'RPC_VERSION_MISMATCH'
        ? GOAWAY_REASON.version
        : error.code === 'RPC_UNAUTHENTICATED'
          ? GOAWAY_REASON.unauthenticated
          : GOAWAY_REASON.protocol;
    this.sendGoaway(reason, error.message, 0);
    this.link.end();
    this.#close(error);
  }

  /** Gives the connection up at once: whoever is there does not answer. */
  destroy(error: RpcError): void {
    if (this.#state === 'closed') return;
    this.link.destroy();
    this.#close(error);
  }

  /** Ends the connection in order; nothing is under way. */
  protected finish(error: RpcError): void {
    if (this.#state === 'closed') return;
    this.link.end();
    this.#close(error);
  }

  protected startDraining(): void {
    if (this.#state !== 'closed') this.#state = 'draining';
  }

  sendGoaway(reason: number, text: string, drainMs: number): void {
    writeGoaway(builder, { lastStreamId: this.lastStreamId, reason, text, drainMs });
    this.sendBuilt(FRAME.GOAWAY, builder);
  }

  /** The last call of the other side that was taken; 0 on clients. */
  protected abstract get lastStreamId(): number;

  /** @throws RpcError RPC_KEEPALIVE_TIMEOUT: no answer; or why the connection ended first */
  async ping(timeoutMs: number): Promise<void> {
    if (this.#state === 'closed') throw new RpcError('RPC_CONNECTION_LOST', 'the connection is closed');
    const number = this.#nextPing;
    this.#nextPing += 1;
    const answered = new Promise<void>((resolve, reject) => this.#pings.set(number, { resolve, reject }));
    const token = Buffer.alloc(PING_TOKEN_BYTES);
    token.writeUInt32LE(number, 0);
    writePing(builder, token);
    this.sendBuilt(FRAME.PING, builder);
    const timer = this.loop.runAfter(timeoutMs, () => {
      const text = `the ${this.peerSide} did not answer a ping within ${timeoutMs} ms`;
      this.#pings.get(number)?.reject(new RpcError('RPC_KEEPALIVE_TIMEOUT', text));
      this.#pings.delete(number);
    });
    try {
      await answered;
    } finally {
      this.loop.cancel(timer);
    }
  }

  // What streams ask.

  /** Sends the frame that the builder holds. Never throws: without memory for a frame the connection is given up. */
  sendBuilt(msgId: number, built: FrameBuilder): void {
    let outcome: SendOutcome;
    try {
      outcome = this.link.send(msgId, built.body());
    } catch (cause) {
      const text = cause instanceof Error ? cause.message : String(cause);
      this.destroy(new RpcError('RPC_CONNECTION_LOST', `a frame could not be sent: ${text}`, { cause }));
      return;
    }
    if (outcome === 'full') this.#isFull = true;
  }

  /** Whether a message of this length is to be compressed. */
  compresses(bytes: number): boolean {
    return this.#compresses && bytes >= this.options.compressBytesMin;
  }

  /** False when the connection's credit or its output does not allow it now. */
  takeSendCredit(cost: number): boolean {
    if (this.#isFull || cost > this.#sendCredit) return false;
    this.#sendCredit -= cost;
    return true;
  }

  /** `stream.pump()` is called when it may be able to go on. */
  waitForCredit(stream: CallStream): void {
    this.#waiting.add(stream);
  }

  /** `stream` has nothing to send any more. */
  stopWaiting(stream: CallStream): void {
    this.#waiting.delete(stream);
  }

  /** The reader of some stream took bytes that counted against the connection. */
  giveCredit(cost: number): void {
    this.#owed += cost;
    if (this.#owed * 2 < this.options.connectionWindowBytes || this.#state === 'closed') return;
    this.#receiveCredit += this.#owed;
    this.sendWindow(0, this.#owed);
    this.#owed = 0;
  }

  sendWindow(streamId: number, bytes: number): void {
    if (this.#state === 'closed') return;
    writeWindow(builder, streamId, bytes);
    this.sendBuilt(FRAME.WINDOW, builder);
  }

  // Frames.

  #dispatch(msgId: number, body: Buffer): void {
    if (body.length < FRAME_HEAD_BYTES) throw protocol(`a frame of ${body.length} bytes has no head`);
    const flags = body[0]!;
    const streamId = body.readUInt32LE(4);
    if (this.#state === 'greeting') {
      if (msgId === FRAME.GOAWAY) this.goawayReceived(body);
      else if (msgId === FRAME.HELLO) this.#greet(body);
      else throw protocol(`message ${msgId} came before HELLO`);
      return;
    }
    switch (msgId) {
      case FRAME.HEADERS:
        checkFlags(flags, HEADERS_FLAGS);
        this.headersReceived(flags, streamId, body);
        return;
      case FRAME.DATA:
        checkFlags(flags, DATA_FLAGS);
        this.#data(flags, streamId, body);
        return;
      case FRAME.STATUS:
        checkFlags(flags, STATUS_FLAGS);
        this.statusReceived(flags, streamId, body);
        return;
      case FRAME.END:
        this.endReceived(streamId);
        return;
      case FRAME.CANCEL:
        this.cancelReceived(streamId, body);
        return;
      case FRAME.WINDOW:
        this.#window(streamId, readWindow(body));
        return;
      case FRAME.PING:
        writePing(builder, readPing(body));
        this.sendBuilt(FRAME.PONG, builder);
        this.pinged();
        return;
      case FRAME.PONG:
        this.#pong(readPing(body).readUInt32LE(0));
        return;
      case FRAME.GOAWAY:
        this.goawayReceived(body);
        return;
      case FRAME.HELLO:
        throw protocol('a second HELLO came');
      default:
        if ((flags & FLAG_SKIPPABLE) === 0) throw protocol(`message ${msgId} is unknown and not skippable`);
    }
  }

  #greet(body: Buffer): void {
    const hello = readHello(body);
    this.#peer = hello;
    this.#sendCredit = hello.connectionWindowBytes;
    this.#compresses = this.options.compression === 'gzip' && hello.compressions.includes('gzip');
    if (this.#helloTimer !== null) this.loop.cancel(this.#helloTimer);
    this.#state = 'open';
    this.greeted(hello);
  }

  #data(flags: number, streamId: number, body: Buffer): void {
    this.#receiveCredit -= body.length;
    if (this.#receiveCredit < 0) throw protocol('more DATA came than the window of the connection');
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (!this.wasKnown(streamId)) throw protocol(`DATA for stream ${streamId}, which was never opened`);
      this.giveCredit(body.length); // the call ended meanwhile
      return;
    }
    try {
      stream.dataReceived(flags, body);
      if ((flags & FLAG_END) !== 0 && !stream.isEnded) this.endReceived(streamId);
    } catch (error) {
      // Errors that are of the call only end the call.
      if (!(error instanceof RpcError) || error.code === 'RPC_PROTOCOL') throw error;
      stream.fail(error);
    }
  }

  #window(streamId: number, bytes: number): void {
    if (streamId !== 0) {
      this.streams.get(streamId)?.creditGranted(bytes);
      return;
    }
    this.#sendCredit += bytes;
    if (this.#sendCredit > 2 ** 31) throw protocol('the connection was given too much credit');
    this.#pumpWaiting();
  }

  #pumpWaiting(): void {
    const waiting = this.#waiting;
    if (waiting.size === 0) return;
    this.#waiting = new Set();
    for (const stream of waiting) {
      if (this.#isFull || this.#state === 'closed') this.#waiting.add(stream);
      else stream.pump();
    }
  }

  #pong(number: number): void {
    this.#pings.get(number)?.resolve();
    this.#pings.delete(number);
  }

  #watchSilence(delayMs: number): void {
    this.#keepalive = this.loop.runAfter(delayMs, () => this.#checkSilence());
  }

  /** Nothing has come for a whole interval: asks whether anybody is there, and gives up when not. */
  #checkSilence(): void {
    if (this.#state === 'closed') return;
    const { keepaliveIntervalMs } = this.options;
    // A server looks after its clients as it sees fit; a client pings no more often than its server puts up with.
    const intervalMs =
      this.side === 'client'
        ? Math.max(keepaliveIntervalMs, this.#peer?.pingIntervalMsMin ?? 0)
        : keepaliveIntervalMs;
    const restMs = intervalMs - (this.loop.nowMs - this.#heardMs);
    this.#watchSilence(restMs > 0 ? restMs : intervalMs);
    const isIdle = this.streams.size === 0 && !this.pingsWhenIdle;
    if (restMs > 0 || isIdle || this.#pings.size > 0 || this.#state === 'greeting') return;
    this.ping(this.options.keepaliveTimeoutMs).catch((error: unknown) => {
      if (error instanceof RpcError && error.code === 'RPC_KEEPALIVE_TIMEOUT') this.destroy(error);
    });
  }

  /** Whether silence is looked into although no call is under way. */
  protected abstract get pingsWhenIdle(): boolean;

  #close(error: RpcError): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    if (this.#helloTimer !== null) this.loop.cancel(this.#helloTimer);
    if (this.#keepalive !== null) this.loop.cancel(this.#keepalive);
    for (const ping of this.#pings.values()) ping.reject(error);
    this.#pings.clear();
    this.#waiting.clear();
    this.ended(error);
  }
}

function checkFlags(flags: number, allowed: number): void {
  if ((flags & ~allowed) !== 0) throw protocol(`flags ${flags} mean nothing on this frame`);
}

function protocol(message: string): RpcError {
  return new RpcError('RPC_PROTOCOL', message);
}
