// The limits of HTTP/1.1 handlers, their defaults and their checks: the one edge where they may be incomplete.
// http-server.ts resolves what the user gave; sessions see complete plain data, because options cross threads.

import assert from 'node:assert/strict';

import type { ConnectionLimits } from '../connection-host.js';
import { ReactorError } from '../errors.js';
import type { HttpTimeouts } from '../http-backend.js';
import { resolveConnectionLimits } from '../tcp-options.js';

/** For handlers of the shape `{ request }`; what node:http serves has limits of its own. */
export interface Http1Options {
  /** Request line and headers together. Default 16 KiB. */
  headerBytesMax?: number;
  /** Default 100. */
  headerCountMax?: number;
  /** The request's target. Default 8 KiB. */
  targetBytesMax?: number;
  /** A request's body; reading it can ask for less. Default 1 MiB. */
  bodyBytesMax?: number;
  /** Requests of one connection whose answers are not out; beyond them it is not read. Default 16. */
  pipelinedMax?: number;
  /** From the call of a handler to its answer's beginning. Default 300 s. 0 is no limit. */
  answerTimeoutMs?: number;
}

/** Complete. */
export interface Http1Limits extends Required<Http1Options> {
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
}

const KIB = 1024;
const DEFAULTS: Http1Limits = {
  headerBytesMax: 16 * KIB,
  headerCountMax: 100,
  targetBytesMax: 8 * KIB,
  bodyBytesMax: KIB * KIB,
  pipelinedMax: 16,
  answerTimeoutMs: 300_000,
  headersTimeoutMs: 60_000,
  requestTimeoutMs: 300_000,
  keepAliveTimeoutMs: 5000,
};
/** The parser keeps an unfinished head in memory. */
const HEADER_BYTES_CEILING = KIB * KIB;

assert(DEFAULTS.targetBytesMax < DEFAULTS.headerBytesMax, 'a longest target leaves room for headers');

/** The names of the options that only handlers of the shape `{ request }` have. */
export const HTTP1_OPTIONS: readonly (keyof Http1Options)[] = [
  'headerBytesMax',
  'headerCountMax',
  'targetBytesMax',
  'bodyBytesMax',
  'pipelinedMax',
  'answerTimeoutMs',
];

/** @throws ReactorError REACTOR_OPTION_INVALID naming the option. */
export function resolveHttp1Limits(options: Http1Options & HttpTimeouts): Http1Limits {
  const limits = Object.fromEntries(
    Object.entries(DEFAULTS).map(([name, value]) => [name, options[name as keyof Http1Limits] ?? value]),
  ) as unknown as Http1Limits; // same keys as DEFAULTS, checked below
  for (const [name, value] of Object.entries(limits) as [string, unknown][]) {
    const isTime = name.endsWith('Ms');
    const isRight = isTime ? Number.isFinite(value) : Number.isInteger(value);
    if (!isRight || (value as number) < 0) {
      throw invalid(`${name} must be ${isTime ? 'a number' : 'an integer'} from 0 up, not ${String(value)}`);
    }
  }
  if (limits.headerBytesMax < 64 || limits.headerBytesMax > HEADER_BYTES_CEILING) {
    throw invalid(`headerBytesMax must be from 64 to ${HEADER_BYTES_CEILING}, not ${limits.headerBytesMax}`);
  }
  if (limits.pipelinedMax < 1) throw invalid('pipelinedMax must be at least 1');
  return limits;
}

/** How an HTTP connection behaves as a connection: sessions have the timeouts, and pause it themselves. */
export function http1ConnectionLimits(handshakeTimeoutMs: number): ConnectionLimits {
  return resolveConnectionLimits({
    codec: { kind: 'raw' },
    allowHalfOpen: true,
    pauseReadingWhenFull: false,
    firstByteTimeoutMs: 0,
    handshakeTimeoutMs,
  });
}

function invalid(message: string): ReactorError {
  return new ReactorError('REACTOR_OPTION_INVALID', message);
}
