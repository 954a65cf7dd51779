// One request and its answer, from the call of the handler to the last byte given to the connection.
// session.ts has those of a connection in order and calls `proceed` on the oldest; `respond` is its other side.
// Whatever is ready before its turn waits here. A whole answer also waits for the end of its request, so that a
// request that turns out to be malformed is refused and not answered.

import type { Connection } from '../connection.js';
import { ReactorError } from '../errors.js';
import { OUTPUT_HIGH_WATER_BYTES } from '../limits.js';
import { NOT_SAMPLED } from '../request-sample.js';
import type { SendOutcome } from '../sending-half.js';
import type { Http1Respond } from './handlers.js';
import type { BodyPlan } from './head-rules.js';
import { Refusal } from './refusal.js';
import type { RequestBody } from './request-body.js';
import type { Http1Request } from './request.js';
import {
  type AnswerFrame,
  checkHeaders,
  checkStatus,
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
 * 'open': the handler has not answered. 'held': the answer is whole and waits. 'sending': its large body goes out
 * as the client takes it. 'streaming': a writer has it. 'done': all was given to the connection. 'lost': the connection ended before.
 */
type State = 'open' | 'held' | 'sending' | 'streaming' | 'done' | 'lost';

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
/** A body above this goes out in pieces of this size, as the client takes them. */
const PIECE_BYTES = OUTPUT_HIGH_WATER_BYTES;
const TEXT: Http1ResponseHeaders = { 'content-type': 'text/plain; charset=utf-8' };
const NO_PLAN: BodyPlan = { bytes: 0, expectsContinue: false, isHttp10: false };

export class Exchange implements WriterOwner {
  readonly #owner: ExchangeOwner;
  /** null: nothing was understood that could be called a request. */
  readonly request: Http1Request | null;
  readonly body: RequestBody | null;
  readonly #plan: BodyPlan;
  readonly #keepsAlive: boolean;
  readonly startedMs: number;
  /** Of the request sampler. */
  readonly ticket: number;
  #state: State = 'open';
  #hasTurn = false;
  #owesContinue: boolean;
  #isContinueAsked = false;
  #isHeadOut = false;
  #status = 0;
  #facts: HeaderFacts | null = null;
  #framing: Framing = 'none';
  #payload: string | Uint8Array | null = null;
  #payloadOffset = 0;
  #writer: Http1Writer | null = null;
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
    this.#plan = plan;
    this.#keepsAlive = keepsAlive;
    this.startedMs = startedMs;
    this.ticket = ticket;
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

  get isGone(): boolean {
    return this.#state === 'lost' || this.#owner.isGone;
  }

  get isFull(): boolean {
    return this.#owner.isFull;
  }

  get isDone(): boolean {
    return this.#state === 'done';
  }

  /** The handler has said nothing. */
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

  /** The client or the handler wants the connection to end after this. */
  get wantsEnd(): boolean {
    return (
      !this.#keepsAlive ||
      this.#facts?.isClose === true ||
      this.#owesContinue ||
      this.#framing === 'until-close'
    );
  }

  /** What a handler answers with. */
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
    if (cause instanceof Refusal && this.#state !== 'held') {
      if (this.body?.error !== cause) this.#owner.failed(cause); // else it was told when it happened
      if (this.#state === 'open') this.#refuseNow(cause);
      else if (this.#state === 'streaming') this.#breakOff();
      return;
    }
    if (this.isGone && cause instanceof ReactorError && cause.code === 'REACTOR_CONNECTION_CLOSED') return;
    const message = cause instanceof Error ? cause.message : String(cause);
    const error = new ReactorError('REACTOR_HANDLER_FAILED', `the request handler failed: ${message}`, {
      cause,
    });
    this.#owner.failed(error);
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
  bodyFailed(error: ReactorError): void {
    this.body?.fail(error);
    this.#owesContinue = false;
    if (this.#state === 'held' && error instanceof Refusal) {
      this.#state = 'open';
      this.#refuse(error);
    }
    this.#owner.ready(this);
  }

  /** The handler asked for the body, maybe before it is this exchange's turn. */
  bodyAskedFor(): void {
    this.#isContinueAsked = true;
    if (this.#hasTurn) this.#continue();
  }

  /** It is this exchange's turn, or still is: sends what is ready. */
  proceed(): void {
    this.#hasTurn = true;
    switch (this.#state) {
      case 'open':
        if (this.#isContinueAsked) this.#continue();
        break;
      case 'held':
        if (this.#isRequestOver) this.#sendHeld();
        break;
      case 'sending':
        this.#sendPieces();
        break;
      case 'streaming':
        if (!this.#isHeadOut) this.#beginStream();
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
    if (this.#state === 'sending') this.proceed();
    else this.#writer?.wake();
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
    const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    const facts = this.#check(status, headers);
    const isHead = this.request?.method === 'HEAD';
    const { contentLength } = facts;
    if (contentLength !== null && contentLength !== bytes && !isHead && !isBodiless(status)) {
      throw invalid(`content-length ${contentLength} is not the body's ${bytes} bytes`);
    }
    if (isBodiless(status)) this.#framing = status === 304 && contentLength !== null ? contentLength : 'none';
    else this.#framing = contentLength ?? bytes;
    this.#begin(status, facts, 'held');
    if (bytes > 0 && !isHead && !isBodiless(status)) this.#payload = body;
    this.body?.discard();
    this.#owner.ready(this);
    if (this.#owner.isGone) return 'closed';
    return this.#owner.isFull ? 'full' : 'sent';
  }

  #stream(status: number, headers: Http1ResponseHeaders | undefined): Http1Writer {
    const facts = this.#check(status, headers);
    if (isBodiless(status)) this.#framing = status === 304 ? (facts.contentLength ?? 'none') : 'none';
    else if (facts.contentLength !== null) this.#framing = facts.contentLength;
    else this.#framing = this.#plan.isHttp10 ? 'until-close' : 'chunked';
    const hasBody = this.request?.method !== 'HEAD' && !isBodiless(status);
    this.#begin(status, facts, 'streaming');
    this.#writer = new Http1Writer(this, this.#framing, hasBody);
    this.#owner.ready(this);
    return this.#writer;
  }

  #check(status: number, headers: Http1ResponseHeaders | undefined): HeaderFacts {
    if (this.#facts !== null) throw invalid('this request was answered before');
    checkStatus(status);
    return checkHeaders(headers);
  }

  #begin(status: number, facts: HeaderFacts, state: State): void {
    this.#status = status;
    this.#facts = facts;
    if (this.#state === 'open') this.#state = state;
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
    this.#payload = this.request?.method === 'HEAD' ? null : text;
    this.#begin(refusal.status, facts, 'held');
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
    if (this.body?.receivedBytes === 0) this.connection.write(CONTINUE);
  }

  #beginStream(): void {
    this.#isHeadOut = true;
    const head = this.#renderHead();
    this.connection.writeText(head, head.length, 'latin1');
    this.#writer!.begin();
  }

  #renderHead(): string {
    this.isLast = this.#owner.isLast(this);
    const answer: AnswerFrame = {
      status: this.#status,
      framing: this.#framing,
      isLast: this.isLast,
      saysKeepAlive: this.#plan.isHttp10,
    };
    return renderHead(answer, this.#facts!, this.#owner.dateLine);
  }

  #sendHeld(): void {
    const head = this.#renderHead();
    const payload = this.#payload;
    const { connection } = this;
    const bytes = this.#framing;
    if (payload === null) {
      connection.writeText(head, head.length, 'latin1');
    } else if (typeof payload === 'string' && payload.length === bytes && bytes <= PIECE_BYTES) {
      connection.writeText(head + payload, head.length + bytes, 'latin1'); // as many bytes as characters: ASCII
    } else {
      connection.writeText(head, head.length, 'latin1');
      this.#payload = typeof payload === 'string' ? Buffer.from(payload) : payload;
      this.#state = 'sending';
      this.#sendPieces();
      return;
    }
    this.#state = 'done';
  }

  #sendPieces(): void {
    const payload = this.#payload as Uint8Array; // a text was made bytes when sending began
    while (this.#payloadOffset < payload.length && !this.#owner.isFull) {
      const end = Math.min(payload.length, this.#payloadOffset + PIECE_BYTES);
      const outcome = this.connection.write(payload.subarray(this.#payloadOffset, end));
      if (outcome === 'closed') return; // the connection tells us too
      this.#payloadOffset = end;
      if (outcome === 'full') break;
    }
    if (this.#payloadOffset === payload.length) {
      this.#payload = null;
      this.#state = 'done';
    }
  }

  /** Half an answer must not look like a whole one. */
  #breakOff(): void {
    this.#state = 'lost';
    if (this.#framing === 'until-close') this.connection.reset();
    else this.connection.destroy();
  }
}

function invalid(message: string): ReactorError {
  return new ReactorError('REACTOR_ANSWER_INVALID', message);
}
