// The options of one RPC connection, either side: what it receives, how much may be under way, how silence is noticed.
// RpcServer and RpcClient take them from their users and resolve them here; plain data, because they cross threads.

import { SERIALIZERS, type SerializerName } from '../contract.js';
import { RpcError } from '../errors.js';
import {
  COMPRESS_BYTES_MIN,
  CONNECTION_WINDOW_BYTES,
  HELLO_TIMEOUT_MS,
  KEEPALIVE_INTERVAL_MS,
  KEEPALIVE_TIMEOUT_MS,
  MESSAGE_BYTES_MAX,
  METADATA_BYTES_MAX,
  PING_INTERVAL_MS_MIN,
  STREAM_WINDOW_BYTES,
  STREAMS_MAX,
  WINDOW_BYTES_MAX,
  WINDOW_BYTES_MIN,
} from '../limits.js';

export interface SessionOptions {
  /** Longest message this side receives, in bytes. Default 4 MiB. */
  messageBytesMax?: number;
  /** Most metadata this side receives with one frame, encoded. Default and at most 8 KiB. */
  metadataBytesMax?: number;
  /** DATA that may come on one stream before its reader took any; at least 128 KiB + 16. Default 256 KiB. */
  streamWindowBytes?: number;
  /** The same for all streams of a connection together. Default 16 MiB. */
  connectionWindowBytes?: number;
  /** Calls the other side may have under way on one connection; servers only. Default 1024. */
  streamsMax?: number;
  /**
   * Silence after which the other side is pinged, in ms; 0: never. Clients ping no more often than their server's
   * `pingIntervalMsMin` allows. Default 20 s.
   */
  keepaliveIntervalMs?: number;
  /** How long the answer to a ping may take before the connection is destroyed. Default 20 s. */
  keepaliveTimeoutMs?: number;
  /** Shortest time between pings that this side puts up with; servers only. Default 10 s. */
  pingIntervalMsMin?: number;
  /** From connected to the other side's HELLO. Default 5 s. */
  helloTimeoutMs?: number;
  /** How messages are sent: as they are, or by gzip where the other side can undo it. Default 'none'. */
  compression?: 'none' | 'gzip';
  /** Shorter messages are not compressed. Default 1 KiB. */
  compressBytesMin?: number;
  /** How messages become bytes, the preferred one first. Default protobuf, json. */
  serializers?: readonly SerializerName[];
}

export type SessionLimits = Readonly<Required<SessionOptions>>;

const DEFAULTS: SessionLimits = {
  messageBytesMax: MESSAGE_BYTES_MAX,
  metadataBytesMax: METADATA_BYTES_MAX,
  streamWindowBytes: STREAM_WINDOW_BYTES,
  connectionWindowBytes: CONNECTION_WINDOW_BYTES,
  streamsMax: STREAMS_MAX,
  keepaliveIntervalMs: KEEPALIVE_INTERVAL_MS,
  keepaliveTimeoutMs: KEEPALIVE_TIMEOUT_MS,
  pingIntervalMsMin: PING_INTERVAL_MS_MIN,
  helloTimeoutMs: HELLO_TIMEOUT_MS,
  compression: 'none',
  compressBytesMin: COMPRESS_BYTES_MIN,
  serializers: SERIALIZERS,
};

const RANGES: Partial<Record<keyof SessionLimits, readonly [min: number, max: number]>> = {
  messageBytesMax: [1, 0xffff_ffff],
  metadataBytesMax: [0, METADATA_BYTES_MAX],
  streamWindowBytes: [WINDOW_BYTES_MIN, WINDOW_BYTES_MAX],
  connectionWindowBytes: [WINDOW_BYTES_MIN, WINDOW_BYTES_MAX],
  streamsMax: [1, 2 ** 20],
  keepaliveIntervalMs: [0, 2 ** 31 - 1],
  keepaliveTimeoutMs: [1, 2 ** 31 - 1],
  pingIntervalMsMin: [0, 2 ** 31 - 1],
  helloTimeoutMs: [1, 2 ** 31 - 1],
  compressBytesMin: [0, 0xffff_ffff],
};

/** @throws RpcError RPC_OPTION_INVALID naming the option */
export function resolveSessionOptions(options: SessionOptions): SessionLimits {
  const limits: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(DEFAULTS)) {
    limits[name] = options[name as keyof SessionOptions] ?? value;
  }
  for (const [name, [min, max]] of Object.entries(RANGES)) {
    const value = limits[name];
    if (!(Number.isInteger(value) && (value as number) >= min && (value as number) <= max))
      throw invalid(`${name} must be a whole number from ${min} to ${max}, not ${String(value)}`);
  }
  const complete = limits as unknown as SessionLimits; // the keys of DEFAULTS, judged above and below
  if (!['none', 'gzip'].includes(complete.compression))
    throw invalid(`compression must be 'none' or 'gzip', not '${complete.compression}'`);
  const { serializers } = complete;
  if (!Array.isArray(serializers)) throw invalid('serializers must be a list');
  if (serializers.length === 0 || !serializers.every((name) => SERIALIZERS.includes(name)))
    throw invalid(`serializers must be some of ${SERIALIZERS.join(', ')}, not '${serializers.join(', ')}'`);
  return complete;
}

function invalid(message: string): RpcError {
  return new RpcError('RPC_OPTION_INVALID', message);
}
