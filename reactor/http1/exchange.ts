// One request and its answer, from the call of the handler to the last byte given to the connection.
// session.ts has those of a connection in order and calls `proceed` on the oldest; `respond` is its other side.
// Whatever is ready before its turn waits here. A whole answer also waits for the end of its request, so that a
// request that turns out to be malformed is refused and not answered.

import type { Connection } from '../connection.js';
import { ReactorError } from '../errors.js';
import { NOT_SAMPLED } from '../request-sample.js';
import type { SendOutcome } from '../sending-half.js';
import type { Http1Respond } from './handlers.js';
import type { BodyPlan } from './head-rules.js';
import { Payload } from './payload.js';
import { Refusal } from './refusal.js';
import type { RequestBody } from './request-body.js';
import type { Http1Request } from './request.js';
import {
  checkHeaders,
  checkStatus,
  CLOSE_LINE,
  type Framing,
  type HeaderFacts,
  type Http1ResponseHeaders,
  isBodiless,
  renderHead,
} from './response-head.js';
import { Http1Writer, type WriterOwner } from './writer.js';

/** What an exchange asks of its session. */
export interface ExchangeOwner {
  readonly connection: Connection;
  readonly isGone: boolean;
  readonly isFull: boolean;
  readonly dateLine: string;
  readonly keepAliveLines: string;
  /** Whether it is this exchange's turn to send. */
  isOldest(exchange: Exchange): boolean;
  /** Whether the connection ends with this exchange, because a side wants it and nothing follows. */
  isLast(exchange: Exchange): boolean;
  /** Something is ready to go out, or is complete. */
  ready(exchange: Exchange): void;
  /** Counts and tells a failure of the user's code or of the answer. */
  failed(error: ReactorError): void;
}

export interface ExchangeTerms {
  readonly plan: BodyPlan;
  /** The client lets the connection go on. */
  readonly keepsAlive: boolean;
  /** When the handler was called, by the loop's clock. */
  readonly startedMs: number;
  /** Of the request sampler. */
  readonly ticket: number;
}

/**
 * 'open': nobody has answered. 'held': the answer is whole and waits. 'sending': its long body goes out as the
 * client takes it. 'streaming': a writer has it. 'done': all was given to the connection. 'lost': the connection
 * ended before.
 */
type State = 'open' | 'held' | 'sending' | 'streaming' | 'done' | 'lost';

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
const TEXT: Http1ResponseHeaders = { 'content-type': 'text/plain; charset=utf-8' };
const NO_PLAN: BodyPlan = { bytes: 0, expectsContinue: false, isHttp10: false };

export class Exchange implements WriterOwner {
  readonly #owner: ExchangeOwner;
  /** null: nothing was understood that could be called a request. */
  readonly request: Http1Request | null;
  readonly body: RequestBody | null;
  readonly startedMs: number;
  readonly ticket: number;
  readonly #isHttp10: boolean;
  readonly #keepsAlive: boolean;
  #state: State = 'open';
  /** The client still waits for `100 Continue`. */
  #owesContinue: boolean;
  #isContinueAsked = false;
  #status = 0;
  #facts: HeaderFacts | null = null;
  #framing: Framing = 'none';
  #body: string | Uint8Array | null = null;
  /** What is left of it in state 'sending'. */
  #payload: Payload | null = null;
  #writer: Http1Writer | null = null;
  /** We answered: what the handler answers is not heard any more. */
  #isRefused = false;
  /** The head is out and said that the connection ends with this answer. */
  isLast = false;

  constructor(
    owner: ExchangeOwner,
    request: Http1Request | null,
    body: RequestBody | null,
    { plan, keepsAlive, startedMs, ticket }: ExchangeTerms,
  ) {
    this.#owner = owner;
    this.request = request;
    this.body = body;
    this.startedMs = startedMs;
    this.ticket = ticket;
    this.#isHttp10 = plan.isHttp10;
    this.#keepsAlive = keepsAlive;
    this.#owesContinue = plan.expectsContinue;
  }

  /** One that only says why there is no request. */
  static refusing(owner: ExchangeOwner, refusal: Refusal, startedMs: number): Exchange {
    const terms = { plan: NO_PLAN, keepsAlive: false, startedMs, ticket: NOT_SAMPLED };
    const exchange = new Exchange(owner, null, null, terms);
    exchange.#refuse(refusal);
    return exchange;
  }

  get connection(): Connection {
    return this.#owner.connection;
  }

  /** Nobody hears what the handler answers. */
  get isGone(): boolean {
    return this.#state === 'lost' || this.#isRefused || this.#owner.isGone;
  }

  get isFull(): boolean {
    return this.#owner.isFull;
  }

  get isDone(): boolean {
    return this.#state === 'done';
  }

  get isUnanswered(): boolean {
    return this.#state === 'open';
  }

  get status(): number {
    return this.#status;
  }

  /** Bytes of the request's body that came. */
  get bodyBytes(): number {
    return this.body?.receivedBytes ?? 0;
  }

  /** Bytes of the answer's body. */
  get answerBytes(): number {
    return this.#writer?.writtenBytes ?? (typeof this.#framing === 'number' ? this.#framing : 0);
  }

  /** The client or the handler wants the connection to end after this, or it has to. */
  get wantsEnd(): boolean {
    return (
      !this.#keepsAlive ||
      this.#facts?.isClose === true ||
      this.#owesContinue ||
      this.#framing === 'until-close'
    );
  }

  /** What the handler answers with. */
  respond(): Http1Respond {
    const respond = (
      status: number,
      headers?: Http1ResponseHeaders,
      body?: string | Uint8Array,
    ): SendOutcome => this.#answer(status, headers, body);
    respond.stream = (status: number, headers?: Http1ResponseHeaders): Http1Writer =>
      this.#stream(status, headers);
    return respond;
  }

  /** The handler's promise was fulfilled. */
  handlerSettled(): void {
    if (this.#state === 'open') this.handlerFailed(new Error('its promise settled without an answer'));
  }

  /** The handler threw or rejected. */
  handlerFailed(cause: unknown): void {
    if (this.isGone && cause instanceof ReactorError && cause.code === 'REACTOR_CONNECTION_CLOSED') return;
    if (this.#isRefused && cause === this.body?.error) return; // told and answered when it happened
    if (cause instanceof Refusal && this.#state !== 'held') {
      if (this.body?.error !== cause) this.#owner.failed(cause); // else it was told when it happened
      if (this.#state === 'open') this.#refuseNow(cause);
      else if (this.#state === 'streaming') this.#breakOff();
      return;
    }
    const message = cause instanceof Error ? cause.message : String(cause);
    this.#owner.failed(
      new ReactorError('REACTOR_HANDLER_FAILED', `the request handler failed: ${message}`, { cause }),
    );
    if (this.#state === 'open') this.#refuseNow(new Refusal(500, 'the request could not be handled'));
    else if (this.#state === 'streaming') this.#breakOff();
  }

  /** The handler took too long. */
  timedOut(): void {
    const refusal = new Refusal(503, 'the request was not answered in time');
    this.#owner.failed(refusal);
    this.#refuseNow(refusal);
  }

  /** The body of the request is malformed, too large, too slow, or cut off: no answer to it as if it were whole. */
  bodyFailed(refusal: Refusal): void {
    this.body?.fail(refusal);
    this.#owesContinue = false;
    if (this.#state === 'held') this.#refuse(refusal);
    this.#owner.ready(this);
  }

  /** The handler asked for the body, maybe before it is this exchange's turn. */
  bodyAskedFor(): void {
    this.#isContinueAsked = true;
    if (this.#owner.isOldest(this)) this.#continue();
  }

  /** It is this exchange's turn, or still is: sends what is ready. */
  proceed(): void {
    switch (this.#state) {
      case 'open':
        if (this.#isContinueAsked) this.#continue();
        break;
      case 'held':
        if (this.#isRequestOver) this.#send();
        break;
      case 'sending':
        if (this.#payload!.proceed()) this.#state = 'done';
        break;
      case 'streaming':
        if (!this.#writer!.hasBegun) this.#beginStream();
        break;
      case 'done':
      case 'lost':
        break;
      default:
        this.#state satisfies never;
    }
  }

  /** Output has drained. */
  drained(): void {
    this.#writer?.wake();
  }

  /** The connection has ended. */
  lost(): void {
    this.#state = 'lost';
    this.request?.aborted();
    this.body?.fail(new ReactorError('REACTOR_CONNECTION_CLOSED', 'the client closed the connection'));
    this.#writer?.wake();
  }

  // WriterOwner.

  ended(): void {
    this.#state = 'done';
    this.body?.discard();
    this.#owner.ready(this);
  }

  broken(error: ReactorError): void {
    if (this.isGone) return;
    this.#owner.failed(error);
    this.#breakOff();
  }

  #answer(
    status: number,
    headers: Http1ResponseHeaders | undefined,
    body: string | Uint8Array = '',
  ): SendOutcome {
    if (this.#isRefused) return 'closed';
    const facts = this.#check(status, headers);
    const bytes = bodyLength(body);
    const { contentLength } = facts;
    const hasBody = this.#hasBody(status);
    if (contentLength !== null && contentLength !== bytes && hasBody) {
      throw invalid(`content-length ${contentLength} is not the body's ${bytes} bytes`);
    }
    this.#framing = isBodiless(status) ? bodiless(status, facts) : (contentLength ?? bytes);
    this.#body = hasBody && bytes > 0 ? body : null;
    this.#begin(status, facts, 'held');
    this.body?.discard();
    this.#owner.ready(this);
    if (this.isGone) return 'closed';
    return this.#owner.isFull ? 'full' : 'sent';
  }

  #stream(status: number, headers: Http1ResponseHeaders | undefined): Http1Writer {
    if (this.#isRefused) return new Http1Writer(this, 'none', false);
    const facts = this.#check(status, headers);
    if (isBodiless(status)) this.#framing = bodiless(status, facts);
    else this.#framing = facts.contentLength ?? (this.#isHttp10 ? 'until-close' : 'chunked');
    this.#writer = new Http1Writer(this, this.#framing, this.#hasBody(status));
    this.#begin(status, facts, 'streaming');
    this.#owner.ready(this);
    return this.#writer;
  }

  #check(status: number, headers: Http1ResponseHeaders | undefined): HeaderFacts {
    if (this.#facts !== null) throw invalid('this request was answered before');
    checkStatus(status);
    return checkHeaders(headers);
  }

  /** Whether an answer of this status to this request has a body (RFC 9112 6.3). */
  #hasBody(status: number): boolean {
    return this.request?.method !== 'HEAD' && !isBodiless(status);
  }

  #begin(status: number, facts: HeaderFacts, state: State): void {
    this.#status = status;
    this.#facts = facts;
    if (this.#state !== 'lost') this.#state = state;
  }

  #refuseNow(refusal: Refusal): void {
    this.#refuse(refusal);
    this.body?.discard();
    this.#owner.ready(this);
  }

  /** Answers with the status of an error; the connection ends with it unless the request is known to be whole. */
  #refuse(refusal: Refusal): void {
    const facts = checkHeaders(TEXT);
    facts.isClose = this.request === null || this.body?.isWhole === false;
    const text = `${refusal.message}\n`;
    this.#framing = Buffer.byteLength(text);
    this.#body = this.#hasBody(refusal.status) ? text : null;
    this.#begin(refusal.status, facts, 'held');
    this.#isRefused = true;
  }

  /** Nothing of the request is waited for. */
  get #isRequestOver(): boolean {
    const { body } = this;
    return body === null || body.isWhole || body.error !== null || this.#owesContinue;
  }

  #continue(): void {
    if (!this.#owesContinue) return;
    this.#owesContinue = false;
    // A client that sends its body already does not wait (RFC 9110 10.1.1).
    if (this.bodyBytes === 0) this.connection.write(CONTINUE);
  }

  #send(): void {
    const head = this.#renderHead();
    const bytes = this.#framing as number; // whole answers that have a body have its length
    this.#payload = Payload.send(this.connection, head, this.#body, bytes);
    this.#body = null;
    this.#state = this.#payload === null ? 'done' : 'sending';
  }

  #beginStream(): void {
    const head = this.#renderHead();
    this.connection.writeText(head, head.length, 'latin1');
    this.#writer!.begin();
  }

  #renderHead(): string {
    this.isLast = this.#owner.isLast(this);
    const connectionLines = this.isLast ? CLOSE_LINE : this.#owner.keepAliveLines;
    const answer = { status: this.#status, framing: this.#framing, connectionLines };
    return renderHead(answer, this.#facts!, this.#owner.dateLine);
  }

  /** Half an answer must not look like a whole one. */
  #breakOff(): void {
    this.#state = 'lost';
    if (this.#framing === 'until-close') this.connection.reset();
    else this.connection.destroy();
  }
}

/** @throws ReactorError REACTOR_ANSWER_INVALID */
function bodyLength(body: unknown): number {
  if (typeof body === 'string') return Buffer.byteLength(body);
  if (body instanceof Uint8Array) return body.length;
  throw invalid('the body must be a string or a Uint8Array');
}

/** 304 may say the length of what it stands for. */
function bodiless(status: number, { contentLength }: HeaderFacts): Framing {
  return status === 304 && contentLength !== null ? contentLength : 'none';
}

function invalid(message: string): ReactorError {
  return new ReactorError('REACTOR_ANSWER_INVALID', message);
}
