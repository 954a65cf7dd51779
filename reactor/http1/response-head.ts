// The head of an answer: checked, and rendered as the text that goes out before the body. Pure.
// exchange.ts says how the body is framed and whether the connection goes on; handlers give the rest.

import { STATUS_CODES } from 'node:http';

import { ReactorError } from '../errors.js';

/** A value, or several lines of one name. Names and values go out as they are, one byte per character. */
export type Http1HeaderValue = string | number | readonly string[];
export type Http1ResponseHeaders = Readonly<Record<string, Http1HeaderValue | undefined>>;

/** How the peer knows where the body ends: by its length, by chunks, by the connection's end, or it has none. */
export type Framing = number | 'chunked' | 'until-close' | 'none';

/** What an answer says about itself, besides what the handler's headers say. */
export interface AnswerFrame {
  readonly status: number;
  readonly framing: Framing;
  /** The header lines about it: CLOSE_LINE, or what `keepAliveLines` gave. */
  readonly connectionLines: string;
}

/** What the handler's headers say about the connection and the body. */
export interface HeaderFacts {
  /** Their lines. */
  lines: string;
  /** content-length; null when it is not there. */
  contentLength: number | null;
  /** `connection: close`. */
  isClose: boolean;
  hasDate: boolean;
}

type NameKind = 'plain' | 'content-length' | 'connection' | 'date' | 'refused';

const TOKEN = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/;
/** What may not stand in a value: controls but the tab, and what is no byte. */
const NOT_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
const LENGTH = /^\d{1,15}$/;
/** The names the framing of the connection belongs to. */
const SPECIAL_NAMES: Readonly<Record<string, NameKind>> = {
  'content-length': 'content-length',
  connection: 'connection',
  date: 'date',
  'transfer-encoding': 'refused',
  'keep-alive': 'refused',
  trailer: 'refused',
  upgrade: 'refused',
};
/** Names that were judged before. Users have few; what is beyond the bound is judged every time. */
const NAME_KINDS_MAX = 512;
const nameKinds = new Map<string, NameKind>();

const NO_HEADERS: HeaderFacts = { lines: '', contentLength: null, isClose: false, hasDate: false };

export const CLOSE_LINE = 'Connection: close\r\n';

/** Tells clients how long an idle connection is kept, so that they do not use it in the last moment. */
export function keepAliveLines(keepAliveTimeoutMs: number): string {
  const seconds = Math.floor(keepAliveTimeoutMs / 1000);
  const hint = seconds === 0 ? '' : `Keep-Alive: timeout=${seconds}\r\n`;
  return `Connection: keep-alive\r\n${hint}`;
}

/** @throws ReactorError REACTOR_ANSWER_INVALID */
export function checkStatus(status: number): void {
  if (Number.isInteger(status) && status >= 200 && status <= 999) return;
  throw invalid(`an answer's status is an integer from 200 to 999, not ${String(status)}`);
}

/** Whether answers of this status never have a body (RFC 9110 15.3.5, 15.4.5). */
export function isBodiless(status: number): boolean {
  return status === 204 || status === 304;
}

/** @throws ReactorError REACTOR_ANSWER_INVALID: a name or value that would change what the client reads. */
export function checkHeaders(headers: Http1ResponseHeaders | undefined): HeaderFacts {
  if (headers === undefined) return NO_HEADERS;
  if (typeof headers !== 'object' || headers === null) throw invalid('headers must be an object');
  const facts: HeaderFacts = { lines: '', contentLength: null, isClose: false, hasDate: false };
  for (const name in headers) {
    if (!Object.hasOwn(headers, name)) continue;
    const value = headers[name];
    if (value === undefined) continue;
    if (typeof value === 'string') addHeader(facts, name, value);
    else if (typeof value === 'number') addHeader(facts, name, String(value));
    else if (Array.isArray(value)) for (const line of value as unknown[]) addHeader(facts, name, line);
    else throw invalid(`the value of header ${name} must be a string, a number or an array of strings`);
  }
  return facts;
}

/** `dateLine` is what `DateLine.at` gave. */
export function renderHead(answer: AnswerFrame, facts: HeaderFacts, dateLine: string): string {
  let text = statusLine(answer.status) + facts.lines;
  if (!facts.hasDate) text += dateLine;
  text += answer.connectionLines;
  if (typeof answer.framing === 'number') text += `Content-Length: ${answer.framing}\r\n`;
  else if (answer.framing === 'chunked') text += 'Transfer-Encoding: chunked\r\n';
  return `${text}\r\n`;
}

/** The Date header's line, made anew once a second (RFC 9110 6.6.1). */
export class DateLine {
  #line = '';
  #second = -1;

  /** `nowMs` since the Unix epoch. */
  at(nowMs: number): string {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#line = `Date: ${new Date(nowMs).toUTCString()}\r\n`;
    }
    return this.#line;
  }
}

function addHeader(facts: HeaderFacts, name: string, value: unknown): void {
  const kind = nameKinds.get(name) ?? judgeName(name);
  if (typeof value !== 'string' || NOT_IN_VALUE.test(value)) {
    throw invalid(`the value of header ${name} has a character that must not be in one`);
  }
  switch (kind) {
    case 'plain':
      break;
    case 'date':
      facts.hasDate = true;
      break;
    case 'content-length':
      if (!LENGTH.test(value) || facts.contentLength !== null) {
        throw invalid(`content-length must be one number, not ${value}`);
      }
      facts.contentLength = Number(value);
      return; // goes out with the framing
    case 'connection':
      facts.isClose ||= judgeConnection(value);
      return;
    case 'refused':
      throw invalid(`header ${name} is not the handler's to send`);
    default:
      kind satisfies never;
  }
  facts.lines += `${name}: ${value}\r\n`;
}

function judgeConnection(value: string): boolean {
  const option = value.toLowerCase();
  if (option === 'close') return true;
  if (option === 'keep-alive') return false;
  throw invalid(`header connection may say close or keep-alive, not ${value}`);
}

function judgeName(name: string): NameKind {
  if (!TOKEN.test(name)) {
    throw invalid(`${JSON.stringify(name.slice(0, 80))} is not the name of a header`);
  }
  const kind = SPECIAL_NAMES[name.toLowerCase()] ?? 'plain';
  if (nameKinds.size < NAME_KINDS_MAX) nameKinds.set(name, kind);
  return kind;
}

const statusLines: string[] = [];

function statusLine(status: number): string {
  statusLines[status] ??= `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\n`;
  return statusLines[status];
}

function invalid(message: string): ReactorError {
  return new ReactorError('REACTOR_ANSWER_INVALID', message);
}
