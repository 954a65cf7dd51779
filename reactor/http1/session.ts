// One connection's HTTP/1.1: feeds the parser, calls the handlers, keeps the answers in order, and knows when to stop.
// http1-service.ts makes one for each connection and passes on what the connection tells; the bytes come through a
// FrameAssembler, which keeps what is not parsed yet while the session does not want more.

import { inOwnScope } from '../async-scope.js';
import type { FrameSink } from '../codec.js';
import type { Delivery, Framing } from '../codecs/frame-assembler.js';
import type { Connection } from '../connection.js';
import type { ReactorError } from '../errors.js';
import { isThenable } from '../handler-calls.js';
import type { Handlers } from '../handlers.js';
import { OUTPUT_HIGH_WATER_BYTES } from '../limits.js';
import { Exchange, type ExchangeOwner } from './exchange.js';
import { judgeChunkFraming, judgeHead, judgeHeadBytes } from './head-rules.js';
import { Refusal } from './refusal.js';
import { type BodyOwner, RequestBody } from './request-body.js';
import { RequestHead } from './request-head.js';
import { RequestParser } from './request-parser.js';
import { Http1Request } from './request.js';
import type { SessionHost } from './session-host.js';
import { SessionTimer, type TimedSession } from './session-timer.js';
import type { SessionActivity, SessionDeadlineKind } from './session-deadlines.js';

/** What connections tell goes to their sessions. */
export const SESSION_HOOKS: Handlers = {
  onConnect: (connection) => sessionOf(connection).opened(),
  onHalfClose: (connection) => sessionOf(connection).peerEnded(),
  onDrain: (connection) => sessionOf(connection).drained(),
  onClose: (connection) => sessionOf(connection).closed(),
  onError: (connection, error) => sessionOf(connection).troubled(error),
};

export function sessionOf(connection: Connection): Session {
  return connection.context as Session; // `Session.of` put it there, and handlers do not see the connection before
}

// Reasons for not parsing on; it goes on when none is left.
const PAUSED_BY_BODY = 1;
const PAUSED_BY_EXCHANGES = 2;
const PAUSED_BY_OUTPUT = 4;
const PAUSED_FOR_GOOD = 8;

export class Session implements Framing, ExchangeOwner, BodyOwner, TimedSession {
  readonly isSearching = true;
  readonly connection: Connection;
  readonly #host: SessionHost;
  /** @internal */
  readonly timer: SessionTimer;
  /** null before the first byte and after the end. */
  #parser: RequestParser | null = null;
  /** Those whose answers are not out, oldest first. */
  readonly #exchanges: Exchange[] = [];
  /** Its body is being received. */
  #receiving: Exchange | null = null;
  /** Bytes since its head, chunk sizes included. */
  #receivedBytes = 0;
  #pauses = 0;
  /** Further requests are served; what follows the last one is not looked at. */
  #takesMore = true;
  #isDelivering = false;
  #isAdvancing = false;
  #isDraining = false;
  #isGone = false;
  /** When the request that is being received began. */
  #requestSinceMs: number;
  /** When something last came, or was answered. */
  #idleSinceMs: number;

  private constructor(connection: Connection, host: SessionHost) {
    this.connection = connection;
    this.#host = host;
    this.timer = new SessionTimer(connection.loop, this, host.limits);
    this.#idleSinceMs = connection.loop.nowMs;
    this.#requestSinceMs = this.#idleSinceMs;
  }

  /** Gives a connection its session; the hooks above find it. */
  static of(connection: Connection, host: SessionHost): Session {
    const session = new Session(connection, host);
    connection.context = session;
    return session;
  }

  // Framing.

  deliver(bytes: Buffer, start: number, end: number, _sink: FrameSink, delivery: Delivery): number {
    this.#parser ??= new RequestParser();
    this.#idleSinceMs = this.connection.loop.nowMs;
    if (!this.#parser.isUnderWay) this.#requestSinceMs = this.#idleSinceMs;
    let offset = start;
    this.#isDelivering = true;
    while (offset < end && this.#pauses === 0 && this.connection.state === 'open') {
      if (this.#takesMore || this.#receiving !== null) offset = this.#parse(this.#parser, bytes, offset, end);
      else this.#pauses |= PAUSED_FOR_GOOD;
    }
    this.#isDelivering = false;
    if (this.connection.state !== 'open') return end; // what is left is not answered any more
    if (this.#pauses !== 0) {
      this.connection.pause();
      delivery.continues(false);
    }
    return offset;
  }

  /** Whatever is left over was stopped at: a request is never partial here. */
  missingBytes(): number {
    return 1;
  }

  // What the connection tells.

  /** The connection is usable. */
  opened(): void {
    this.timer.start();
  }

  /** The peer's FIN: requests that are whole are still answered. */
  peerEnded(): void {
    for (const { request } of this.#exchanges) request?.aborted();
    const refusal = new Refusal(400, 'the connection ended inside a request');
    if (this.#receiving !== null) this.#failBody(this.#receiving, refusal);
    else if (this.#takesMore && this.#parser?.isUnderWay === true) this.#refuse(refusal);
    this.#takesMore = false;
    this.#endIfOver();
  }

  /** Senders that had to wait may go on. */
  drained(): void {
    for (const exchange of this.#exchanges) exchange.drained();
    this.#advance();
    this.#unpause(PAUSED_BY_OUTPUT);
  }

  /** A coded error of the connection; it is counted. */
  troubled(error: ReactorError): void {
    this.#host.tell(error);
  }

  closed(): void {
    this.#isGone = true;
    this.timer.stop();
    for (const exchange of this.#exchanges) exchange.lost();
    this.#exchanges.length = 0;
    this.#receiving = null;
    this.#parser?.release();
    this.#parser = null;
  }

  /** The server closes: a request that has begun is still answered, then the connection ends. */
  drain(): void {
    this.#isDraining = true;
    this.#endIfOver();
  }

  /** Parses on, unless something is in the way again. */
  goOn(): void {
    if (this.#pauses === 0 && !this.#isGone) this.connection.resume();
  }

  // BodyOwner.

  bodyWanted(): void {
    const exchange = this.#receiving;
    if (exchange === null || exchange.body === null) return;
    if (exchange.body.wasAskedFor) exchange.bodyAskedFor();
    if (exchange.body.isWanted) this.#unpause(PAUSED_BY_BODY);
  }

  // ExchangeOwner.

  get isGone(): boolean {
    return this.#isGone;
  }

  get isFull(): boolean {
    return this.connection.outputBytes >= OUTPUT_HIGH_WATER_BYTES;
  }

  get dateLine(): string {
    return this.#host.dateLine;
  }

  get keepAliveLines(): string {
    return this.#host.keepAliveLines;
  }

  isOldest(exchange: Exchange): boolean {
    return this.#exchanges[0] === exchange;
  }

  isLast(exchange: Exchange): boolean {
    const isNewest = this.#exchanges.at(-1) === exchange;
    const isEnding = isNewest && (this.#host.isDraining || !this.#takesMore);
    if (!exchange.wantsEnd && !isEnding) return false;
    this.#takesMore = false;
    return true;
  }

  ready(exchange: Exchange): void {
    if (this.isOldest(exchange)) this.#advance();
  }

  failed(error: ReactorError): void {
    this.#host.failed(error);
  }

  // TimedSession.

  get isOver(): boolean {
    return this.#isGone || this.connection.state === 'draining';
  }

  get activity(): SessionActivity {
    const oldest = this.#exchanges[0];
    const isBodyUnderWay = this.#receiving !== null;
    return {
      isHeadUnderWay: !isBodyUnderWay && this.#takesMore && this.#parser?.isUnderWay === true,
      isBodyUnderWay,
      requestSinceMs: this.#requestSinceMs,
      unansweredSinceMs: oldest?.isUnanswered === true ? oldest.startedMs : null,
      isAnswering: oldest !== undefined || this.connection.outputBytes > 0,
      idleSinceMs: this.#idleSinceMs,
      wasHeard: this.#parser !== null,
    };
  }

  late(kind: SessionDeadlineKind): void {
    switch (kind) {
      case 'head':
        this.#refuse(new Refusal(408, 'the headers did not come in time'));
        break;
      case 'request': {
        const refusal = new Refusal(408, 'the request did not come in time');
        if (this.#receiving !== null) this.#failBody(this.#receiving, refusal);
        break;
      }
      case 'answer':
        this.#exchanges[0]?.timedOut();
        break;
      case 'idle':
        this.#takesMore = false;
        this.#endIfOver();
        break;
      default:
        kind satisfies never;
    }
  }

  // Parsing.

  /** Takes the bytes up to the next stop of the parser; returns where that is. */
  #parse(parser: RequestParser, bytes: Buffer, start: number, end: number): number {
    const stop = parser.parse(bytes, start, end);
    const { position } = parser;
    try {
      if (this.#receiving !== null) this.#takeBody(this.#receiving, parser, bytes, position - start);
      if (stop === 'head') this.#takeHead(parser);
      else if (stop === 'end') this.#takeEnd(parser);
      else if (stop === 'error') throw new Refusal(parser.isVersionWrong ? 505 : 400, parser.errorText);
      else if (this.#receiving === null) judgeHeadBytes(parser, this.#host.limits);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (this.#receiving === null) this.#refuse(error);
      else this.#failBody(this.#receiving, error);
    }
    if (this.isFull) this.#pauses |= PAUSED_BY_OUTPUT;
    return position;
  }

  /** @throws Refusal */
  #takeHead(parser: RequestParser): void {
    const { limits } = this.#host;
    judgeHeadBytes(parser, limits);
    const head = new RequestHead(parser);
    const plan = judgeHead(head, parser, limits);
    const body = plan.bytes === 0 ? null : new RequestBody(this, plan.bytes, limits.bodyBytesMax);
    const exchange = new Exchange(this, new Http1Request(head, body, this.connection), body, {
      plan,
      keepsAlive: parser.keepsAlive,
      startedMs: this.#idleSinceMs,
      ticket: this.#host.beginSample(),
    });
    this.#exchanges.push(exchange);
    if (!parser.keepsAlive) this.#takesMore = false;
    if (body === null) {
      this.#nextRequest(parser);
    } else {
      this.#receiving = exchange;
      this.#receivedBytes = 0;
      parser.readBody();
    }
    this.#call(exchange);
    if (this.#receiving === null) this.#pauseIfMany();
    else if (!body!.isWanted) this.#pauses |= PAUSED_BY_BODY;
  }

  /** @throws Refusal */
  #takeBody(exchange: Exchange, parser: RequestParser, bytes: Buffer, takenBytes: number): void {
    const body = exchange.body!; // being received
    const { body: pieces } = parser;
    for (let index = 0; index < pieces.length; index += 2) {
      body.push(bytes.subarray(pieces[index], pieces[index + 1]));
    }
    this.#receivedBytes += takenBytes;
    judgeChunkFraming(this.#receivedBytes - body.receivedBytes, body.receivedBytes);
    if (!body.isWanted) this.#pauses |= PAUSED_BY_BODY;
  }

  /** @throws Refusal */
  #takeEnd(parser: RequestParser): void {
    if (parser.hasTrailers) throw new Refusal(501, 'trailers are not supported here');
    const exchange = this.#receiving!; // its end was parsed
    this.#receiving = null;
    this.#pauses &= ~PAUSED_BY_BODY;
    this.#nextRequest(parser);
    exchange.body!.end();
    this.ready(exchange);
    this.#pauseIfMany();
  }

  /** Between two requests: a body of one that is at work has to come whatever waits. */
  #pauseIfMany(): void {
    if (this.#exchanges.length >= this.#host.limits.pipelinedMax) this.#pauses |= PAUSED_BY_EXCHANGES;
  }

  #nextRequest(parser: RequestParser): void {
    parser.nextRequest();
    this.#requestSinceMs = this.#idleSinceMs;
  }

  #call(exchange: Exchange): void {
    try {
      const result = inOwnScope(this.#host.context, callHandler, this.#host, exchange);
      if (!isThenable(result)) return;
      result.then(
        () => exchange.handlerSettled(),
        (error: unknown) => exchange.handlerFailed(error),
      );
    } catch (error) {
      exchange.handlerFailed(error);
    }
  }

  /** Nothing that comes can be understood any more: says why, after the answers before it, and ends. */
  #refuse(refusal: Refusal): void {
    this.#takesMore = false;
    this.#host.failed(refusal);
    this.#exchanges.push(Exchange.refusing(this, refusal, this.#idleSinceMs));
    this.#advance();
  }

  #failBody(exchange: Exchange, refusal: Refusal): void {
    this.#receiving = null;
    this.#takesMore = false;
    this.#host.failed(refusal);
    exchange.bodyFailed(refusal);
  }

  // Answers.

  /** Sends what is ready, in order. */
  #advance(): void {
    if (this.#isAdvancing || this.#isGone) return;
    this.#isAdvancing = true;
    let isLast = false;
    for (let oldest = this.#exchanges[0]; oldest !== undefined && !isLast; oldest = this.#exchanges[0]) {
      oldest.proceed();
      if (!oldest.isDone) break;
      this.#exchanges.shift();
      isLast = oldest.isLast;
      if (!this.#isDelivering) this.#idleSinceMs = this.connection.loop.nowMs;
      this.#host.answered(oldest);
    }
    this.#isAdvancing = false;
    if (isLast) this.#dropExchanges();
    this.#endIfOver();
    if (this.#exchanges.length < this.#host.limits.pipelinedMax) this.#unpause(PAUSED_BY_EXCHANGES);
  }

  /** The connection ends with the answer before them. */
  #dropExchanges(): void {
    for (const exchange of this.#exchanges) exchange.lost();
    this.#exchanges.length = 0;
    this.#receiving = null;
  }

  /** Ends the connection once nothing is under way that has to be finished first. */
  #endIfOver(): void {
    if (this.#exchanges.length > 0 || (this.#takesMore && !this.#isDraining)) return;
    if (this.#takesMore && this.#parser?.isUnderWay === true) return;
    this.#takesMore = false;
    if (this.#isDraining) this.connection.drain();
    else this.connection.end();
  }

  #unpause(by: number): void {
    if ((this.#pauses & by) === 0) return;
    this.#pauses &= ~by;
    if (this.#pauses === 0 && !this.#isDelivering && !this.#isGone) this.#host.goOnSoon(this);
  }
}

function callHandler({ handlers }: SessionHost, exchange: Exchange): unknown {
  return handlers.request(exchange.request!, exchange.respond()); // only a refusal has no request
}
