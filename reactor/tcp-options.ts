// The options of a TCP service, their defaults and their checks: the one edge where they may be incomplete.
// tcp-server.ts and tcp-client.ts resolve what the user gave; everything inside sees complete plain data,
// because options cross threads.

import type { CodecOptions } from './codecs/create-codec.js';
import type { ConnectionLimits } from './connection-host.js';
import { ReactorError } from './errors.js';
import {
  DRAIN_TIMEOUT_MS,
  FIRST_BYTE_TIMEOUT_MS,
  HANDSHAKE_TIMEOUT_MS,
  OUTPUT_HARD_CAP_BYTES,
  OUTPUT_HIGH_WATER_BYTES,
  OUTPUT_LOW_WATER_BYTES,
  PENDING_HANDLERS_MAX,
  WRITE_TIMEOUT_MS,
} from './limits.js';

/** How a connection behaves; every field optional. Times in milliseconds, 0 switches a timeout off. */
export interface ConnectionOptions {
  /** Framing. Default TLV with bodies up to 1 MiB. */
  codec?: CodecOptions;
  /** Output waiting at which `send` answers 'full'. Default 64 KiB. */
  highWaterBytes?: number;
  /** Output waiting at which a full connection may go on. Default 32 KiB. */
  lowWaterBytes?: number;
  /** Output that is never passed. Default 8 MiB. */
  hardCapBytes?: number;
  /**
   * What a send that would pass the hard cap does: 'close' resets the connection, 'drop' refuses this send
   * alone, 'pause' refuses it and stops reading from this peer until its output has drained. Default 'close'.
   */
  overflow?: 'close' | 'drop' | 'pause';
  /** Stop reading from a peer while its output is above the high-water mark. Default true. */
  pauseReadingWhenFull?: boolean;
  /** Async handlers of one connection run one after the other, so that answers keep order. Default false. */
  sequential?: boolean;
  /** Async handlers at work for one connection before its input waits. Default 1024. */
  pendingHandlersMax?: number;
  /** Keep a connection whose peer has closed its side until `end` is called. Default false. */
  allowHalfOpen?: boolean;
  /** From accepted to the first byte. Default 60 s. */
  firstByteTimeoutMs?: number;
  /** For a TLS handshake or a PROXY header. Default 10 s. */
  handshakeTimeoutMs?: number;
  /** Without a byte in either direction. Default off. */
  idleTimeoutMs?: number;
  /** Without a byte received. Default off. */
  readTimeoutMs?: number;
  /** Without the peer taking a byte of waiting output. Default 60 s. */
  writeTimeoutMs?: number;
  /** For delivering output after `end` or when the server closes. Default 10 s. */
  drainTimeoutMs?: number;
}

const DEFAULTS: ConnectionLimits = {
  highWaterBytes: OUTPUT_HIGH_WATER_BYTES,
  lowWaterBytes: OUTPUT_LOW_WATER_BYTES,
  hardCapBytes: OUTPUT_HARD_CAP_BYTES,
  overflow: 'close',
  pauseReadingWhenFull: true,
  sequential: false,
  pendingHandlersMax: PENDING_HANDLERS_MAX,
  allowHalfOpen: false,
  firstByteTimeoutMs: FIRST_BYTE_TIMEOUT_MS,
  handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
  idleTimeoutMs: 0,
  readTimeoutMs: 0,
  writeTimeoutMs: WRITE_TIMEOUT_MS,
  drainTimeoutMs: DRAIN_TIMEOUT_MS,
};

/** @throws ReactorError REACTOR_OPTION_INVALID naming the option. */
export function resolveConnectionLimits(options: ConnectionOptions): ConnectionLimits {
  const limits = Object.fromEntries(
    Object.entries(DEFAULTS).map(([name, value]) => [name, options[name as keyof ConnectionLimits] ?? value]),
  ) as unknown as ConnectionLimits; // same keys as DEFAULTS, checked below
  for (const [name, value] of Object.entries(limits) as [string, unknown][]) {
    const wanted = DEFAULTS[name as keyof ConnectionLimits];
    if (typeof value !== typeof wanted) throw invalid(`${name} must be a ${typeof wanted}`);
    if (typeof value === 'number' && !(Number.isFinite(value) && value >= 0)) {
      throw invalid(`${name} must be a number from 0 up, not ${value}`);
    }
  }
  if (!['close', 'drop', 'pause'].includes(limits.overflow)) {
    throw invalid(`overflow must be 'close', 'drop' or 'pause', not '${limits.overflow}'`);
  }
  if (limits.pendingHandlersMax < 1) throw invalid('pendingHandlersMax must be at least 1');
  if (limits.lowWaterBytes >= limits.highWaterBytes) {
    throw invalid(
      `lowWaterBytes (${limits.lowWaterBytes}) must be below highWaterBytes (${limits.highWaterBytes})`,
    );
  }
  if (limits.highWaterBytes > limits.hardCapBytes) {
    throw invalid(
      `highWaterBytes (${limits.highWaterBytes}) must not pass hardCapBytes (${limits.hardCapBytes})`,
    );
  }
  return limits;
}

function invalid(message: string): ReactorError {
  return new ReactorError('REACTOR_OPTION_INVALID', message);
}
