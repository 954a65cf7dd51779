// Which requests are served: what llhttp lets through although it can be read in two ways, what we do not do,
// and what is above a limit. session.ts asks before it calls a handler. Pure.
// Whatever a proxy in front of us may have understood differently is refused, not repaired (RFC 9112 11.2).

import type { Http1Limits } from './options.js';
import { Refusal } from './refusal.js';
import { isLineEnd, type RequestHead } from './request-head.js';

/** What the head says about the rest of the request. */
export interface BodyPlan {
  /** Bytes announced; null: chunked. 0: there is none. */
  readonly bytes: number | null;
  /** The client waits for `100 Continue`. */
  readonly expectsContinue: boolean;
  /** HTTP/1.0: no chunks, and the connection is kept only if both sides say so. */
  readonly isHttp10: boolean;
}

/** Facts of the parser that the text does not show. */
export interface HeadFacts {
  readonly isFolded: boolean;
  readonly isUpgrade: boolean;
}

const VERSION_11 = ' HTTP/1.1\r\n';
const VERSION_10 = ' HTTP/1.0\r\n';
const LINE_AFTER_TARGET = VERSION_11.length;
/** uri-host with an optional port, or an IP literal (RFC 3986 3.2.2). */
const HOST = /^(?:\[[\dA-Fa-f:.]+\]|[\w.\-~!$&'()*+,;=%]+)(?::\d{1,5})?$/;
const ABSOLUTE = /^https?:\/\/([^/?]+)(?:[/?]|$)/i;
/** More digits than any limit has, few enough to be exact. */
const LENGTH = /^\d{1,15}$/;
type JudgedName = 'host' | 'expect' | 'content-length' | 'transfer-encoding';
/** Lengths of the names that are looked at; all other headers are only checked for their form. */
const JUDGED_NAMES: Readonly<Record<number, JudgedName>> = {
  4: 'host',
  6: 'expect',
  14: 'content-length',
  17: 'transfer-encoding',
};

/** Bytes of chunk sizes, extensions and line ends: for a body in general, and for each of its bytes. */
const CHUNK_FRAMING_BYTES_MAX = 16 * 1024;
const CHUNK_FRAMING_FACTOR = 8;

const OTHER_TRANSPORT = "an HTTP server with transport 'net' and a node:http handler does this";
const NO_BODY: BodyPlan = { bytes: 0, expectsContinue: false, isHttp10: false };

/** @throws Refusal */
export function judgeHead(head: RequestHead, facts: HeadFacts, limits: Http1Limits): BodyPlan {
  const { text, targetStart, targetEnd } = head;
  const isHttp10 = text.startsWith(VERSION_10, targetEnd);
  if (!isHttp10 && !text.startsWith(VERSION_11, targetEnd)) throw badRequestLine(text, targetEnd);
  if (text.charCodeAt(targetStart - 1) !== 0x20 || !/^[A-Z-]+$/.test(head.method)) {
    throw new Refusal(400, 'the request line does not begin with a method and one space');
  }
  if (targetEnd - targetStart > limits.targetBytesMax) {
    throw new Refusal(414, `the target is longer than ${limits.targetBytesMax} bytes`);
  }
  if (head.count > limits.headerCountMax) {
    throw new Refusal(431, `more than ${limits.headerCountMax} headers`);
  }
  if (facts.isFolded) throw new Refusal(400, 'a header is folded over several lines');
  if (!isLineEnd(text, text.length - 2) || !isLineEnd(text, text.length - 4)) {
    throw new Refusal(400, 'the headers do not end with an empty line');
  }
  const found = judgeHeaders(head);
  judgeTarget(head, found.host, isHttp10);
  if (facts.isUpgrade) {
    throw new Refusal(501, `upgrades and CONNECT are not supported here; ${OTHER_TRANSPORT}`);
  }
  return bodyPlan(found, isHttp10, limits);
}

interface FoundHeaders {
  host: string | null;
  expect: string | null;
  contentLength: string | null;
  transferEncoding: string | null;
}

function judgeHeaders(head: RequestHead): FoundHeaders {
  const found: FoundHeaders = { host: null, expect: null, contentLength: null, transferEncoding: null };
  const firstHeader = head.targetEnd + LINE_AFTER_TARGET;
  if (head.count > 0 && head.startAt(0) !== firstHeader) {
    throw new Refusal(400, 'something stands between the request line and the first header');
  }
  for (let index = 0; index < head.count; index += 1) {
    if (!head.isWellFormedAt(index)) throw new Refusal(400, 'a header line is not `name: value`');
    const judged = JUDGED_NAMES[head.nameLengthAt(index)];
    if (judged === undefined || !head.isNamed(index, judged)) continue;
    const value = head.valueAt(index);
    switch (judged) {
      case 'host':
        if (found.host !== null) throw new Refusal(400, 'more than one Host header');
        found.host = value;
        break;
      case 'expect':
        if (found.expect !== null) throw new Refusal(417, 'more than one Expect header');
        found.expect = value;
        break;
      case 'content-length':
        if (found.contentLength !== null) throw new Refusal(400, 'more than one Content-Length header');
        found.contentLength = value;
        break;
      case 'transfer-encoding':
        if (found.transferEncoding !== null) throw new Refusal(400, 'more than one Transfer-Encoding header');
        found.transferEncoding = value;
        break;
      default:
        judged satisfies never;
    }
  }
  return found;
}

function judgeTarget(head: RequestHead, host: string | null, isHttp10: boolean): void {
  if (host === null) {
    if (!isHttp10) throw new Refusal(400, 'a Host header is missing');
  } else if (!HOST.test(host)) {
    throw new Refusal(400, 'the Host header is not a host with an optional port');
  }
  const { target } = head;
  if (target.includes('#')) throw new Refusal(400, 'the target has a fragment');
  if (target.startsWith('/') || head.method === 'CONNECT') return;
  if (target === '*' && head.method === 'OPTIONS') return;
  const authority = ABSOLUTE.exec(target)?.[1];
  if (authority === undefined) throw new Refusal(400, 'the target is neither a path nor an http URL');
  if (host !== null && authority.toLowerCase() !== host.toLowerCase()) {
    throw new Refusal(400, 'the target and the Host header name different hosts');
  }
}

function bodyPlan(found: FoundHeaders, isHttp10: boolean, limits: Http1Limits): BodyPlan {
  const { contentLength, transferEncoding, expect } = found;
  if (transferEncoding !== null) {
    if (contentLength !== null) throw new Refusal(400, 'both Content-Length and Transfer-Encoding');
    if (isHttp10) throw new Refusal(400, 'Transfer-Encoding in an HTTP/1.0 request');
    if (transferEncoding.toLowerCase() !== 'chunked') {
      throw new Refusal(501, `only the transfer coding chunked is supported here`);
    }
  }
  if (expect !== null && expect.toLowerCase() !== '100-continue') {
    throw new Refusal(417, 'the only expectation supported is 100-continue');
  }
  if (contentLength === null && transferEncoding === null && !isHttp10) return NO_BODY;
  const bytes = transferEncoding === null ? announcedBytes(contentLength, limits) : null;
  // An HTTP/1.0 client cannot understand 100 (RFC 9110 10.1.1).
  return { bytes, isHttp10, expectsContinue: expect !== null && !isHttp10 && bytes !== 0 };
}

function announcedBytes(contentLength: string | null, limits: Http1Limits): number {
  if (contentLength === null) return 0;
  if (!LENGTH.test(contentLength)) throw new Refusal(400, 'Content-Length is not a number');
  const bytes = Number(contentLength);
  if (bytes > limits.bodyBytesMax) throw bodyTooLarge(limits.bodyBytesMax);
  return bytes;
}

export function bodyTooLarge(bytesMax: number): Refusal {
  return new Refusal(413, `the body has more than ${bytesMax} bytes`);
}

/** Whether what has come of a head is within the limits. @throws Refusal */
export function judgeHeadBytes(
  { headBytes, targetEnd }: { readonly headBytes: number; readonly targetEnd: number },
  { headerBytesMax }: Http1Limits,
): void {
  if (headBytes <= headerBytesMax) return;
  if (targetEnd === 0 || targetEnd > headerBytesMax) {
    throw new Refusal(414, `the request line has more than ${headerBytesMax} bytes`);
  }
  throw new Refusal(431, `the headers have more than ${headerBytesMax} bytes`);
}

/** Chunk sizes and extensions may not outweigh the body. @throws Refusal */
export function judgeChunkFraming(framingBytes: number, bodyBytes: number): void {
  if (framingBytes <= CHUNK_FRAMING_BYTES_MAX + CHUNK_FRAMING_FACTOR * bodyBytes) return;
  throw new Refusal(413, 'the body has more bytes of chunk sizes and extensions than of content');
}

function badRequestLine(text: string, targetEnd: number): Refusal {
  const lineEnd = text.indexOf('\n', targetEnd);
  const version = text.slice(targetEnd, lineEnd === -1 ? undefined : lineEnd).trim();
  return /^HTTP\/\d+(?:\.\d+)?$/.test(version)
    ? new Refusal(505, 'only HTTP/1.1 and HTTP/1.0 are supported here')
    : new Refusal(400, 'the request line does not end with HTTP/1.1');
}
