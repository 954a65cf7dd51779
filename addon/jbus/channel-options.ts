// What a channel may be asked for: bounds, times and their defaults, checked once.
// channel.ts and whoever opens channels read it; inside, options are complete.

import { JbusError } from './errors.js';

export interface ChannelOptions {
  /** For people, and hashed into the segments: both sides must use the same. Default ''. */
  name?: string;
  /** The largest message, written or announced by the peer. Default 256 MiB, at most 2^32 - 1. */
  messageBytesMax?: number;
  /** Milliseconds until a write rejects with JBUS_TIMEOUT; all of the message counts. Default 1000. */
  writeTimeoutMs?: number;
  /** The same for reads, that is until a message has come. Default 30,000; Infinity: until the channel ends. */
  readTimeoutMs?: number;
  /** Writes that may wait for room; one more is refused with JBUS_QUEUE_FULL. Default 1024. */
  pendingWritesMax?: number;
  /** Their bytes together, where the first one always may wait. Default 64 MiB. */
  pendingWriteBytesMax?: number;
  /** Reads that may wait for a message. Default 1024. */
  pendingReadsMax?: number;
  /** Period of the heartbeat and measure of the peer's, in ms; 0: none, and only the doorbell tells of a death. Default 250. */
  heartbeatMs?: number;
  /** How long a read that finds nothing looks again before it sleeps, in µs, at most 1000. Default 0. */
  spinMicros?: number;
}

export interface WriteOptions {
  /** The application's, 0 to 65535. Default 0. */
  type?: number;
  /** Default: one more than the last. */
  msgId?: number;
  timeoutMs?: number;
}

export interface ReadOptions {
  timeoutMs?: number;
}

/** For the forms that do not block. A message that was written in part is not taken back. */
export interface Cancelable {
  signal?: AbortSignal;
}

const MIB = 1024 * 1024;
export const CHANNEL_DEFAULTS: Readonly<Required<ChannelOptions>> = {
  name: '',
  messageBytesMax: 256 * MIB,
  writeTimeoutMs: 1000,
  readTimeoutMs: 30_000,
  pendingWritesMax: 1024,
  pendingWriteBytesMax: 64 * MIB,
  pendingReadsMax: 1024,
  heartbeatMs: 250,
  spinMicros: 0,
};

const TYPE_MAX = 0xffff;
const TOTAL_LENGTH_MAX = 2 ** 32 - 1;
const COUNT_MAX = 2 ** 20;
const HEARTBEAT_MS_MAX = 60_000;
const SPIN_MICROS_MAX = 1000;

/** @throws JbusError JBUS_INVALID_ARGUMENT naming the option. */
export function completeChannelOptions(options: ChannelOptions): Required<ChannelOptions> {
  const complete = { ...CHANNEL_DEFAULTS, ...options };
  checkInteger('messageBytesMax', complete.messageBytesMax, 0, TOTAL_LENGTH_MAX);
  checkTimeout('writeTimeoutMs', complete.writeTimeoutMs);
  checkTimeout('readTimeoutMs', complete.readTimeoutMs);
  checkInteger('pendingWritesMax', complete.pendingWritesMax, 1, COUNT_MAX);
  checkInteger('pendingWriteBytesMax', complete.pendingWriteBytesMax, 1, Number.MAX_SAFE_INTEGER);
  checkInteger('pendingReadsMax', complete.pendingReadsMax, 1, COUNT_MAX);
  checkInteger('heartbeatMs', complete.heartbeatMs, 0, HEARTBEAT_MS_MAX);
  checkInteger('spinMicros', complete.spinMicros, 0, SPIN_MICROS_MAX);
  return complete;
}

/** @throws JbusError JBUS_INVALID_ARGUMENT, JBUS_MESSAGE_TOO_LARGE. */
export function checkMessage(type: number, msgId: number, data: Uint8Array, messageBytesMax: number): void {
  if (!(data instanceof Uint8Array))
    throw new JbusError('JBUS_INVALID_ARGUMENT', 'data must be a Uint8Array');
  checkInteger('type', type, 0, TYPE_MAX);
  checkInteger('msgId', msgId, 0, Number.MAX_SAFE_INTEGER);
  if (data.length <= messageBytesMax) return;
  throw new JbusError(
    'JBUS_MESSAGE_TOO_LARGE',
    `the message has ${data.length} bytes, messageBytesMax is ${messageBytesMax}`,
  );
}

export function checkTimeout(name: string, ms: number): void {
  if (ms >= 0) return; // Infinity too
  throw new JbusError('JBUS_INVALID_ARGUMENT', `${name} must be a number of at least 0, not ${String(ms)}`);
}

export function checkInteger(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new JbusError(
    'JBUS_INVALID_ARGUMENT',
    `${name} must be an integer from ${least} to ${most}, not ${String(value)}`,
  );
}
