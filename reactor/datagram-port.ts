// What a UDP socket needs of a transport, and the options and sizes that both transports share.
// udp-socket.ts is the sink of one port; net-datagram-port.ts and epoll-datagram-port.ts are the two there are.
// A port moves datagrams and owns the descriptor; what is in a datagram, and who is told, is the sink's.

import { AddonError } from '../addon/index.js';
import { writeUint32Little } from './codecs/unsigned.js';
import { ReactorError, type ReactorErrorCode } from './errors.js';
import type { TransportName } from './reactor-options.js';
import type { UdpPeer, UdpSendOutcome } from './udp-handlers.js';

/** Bytes one datagram can carry over IPv4; IPv6 could take 20 more, but answers do not choose their family. */
export const UDP_DATAGRAM_BYTES_MAX: number = 65_507;
export const TLV_HEADER_BYTES: number = 8;
/** Bytes the body of one TLV frame may have in a datagram. */
export const UDP_BODY_BYTES_MAX: number = UDP_DATAGRAM_BYTES_MAX - TLV_HEADER_BYTES;
/** What the length field of UDP can say. */
const DATAGRAM_BYTES_LIMIT = 65_535;
const SEND_QUEUE_BYTES_MAX = 1024 * 1024;
const SEND_QUEUE_BYTES_LIMIT = 1024 * 1024 * 1024;

export type UdpCodec = 'tlv' | 'raw';

export interface UdpSocketOptions {
  /** How datagrams travel: 'net' is node:dgram, 'epoll' is native and moves them in batches. Default 'net'. */
  transport?: TransportName;
  /** How datagrams are read: 'tlv', one frame each, or 'raw'. Default 'tlv'. */
  codec?: UdpCodec;
  /** Bytes of a datagram that is received; larger ones are dropped and counted. Default 65,535: all there can be. */
  datagramBytesMax?: number;
  /** Bytes that may wait for the kernel; a send beyond is dropped. Default 1 MiB. */
  sendQueueBytesMax?: number;
  /** Asks the kernel for this receive buffer (SO_RCVBUF). Default: the system's. */
  receiveBufferBytes?: number;
  /** The same for sending (SO_SNDBUF). */
  sendBufferBytes?: number;
}

/** The options of a port once they are complete. */
export interface DatagramPortSettings {
  readonly datagramBytesMax: number;
  readonly sendQueueBytesMax: number;
  readonly receiveBufferBytes: number | null;
  readonly sendBufferBytes: number | null;
}

/** @throws ReactorError REACTOR_OPTION_INVALID */
export function resolvePortOptions(options: UdpSocketOptions): DatagramPortSettings {
  const { codec = 'tlv', receiveBufferBytes = null, sendBufferBytes = null } = options;
  if (codec !== 'tlv' && codec !== 'raw')
    throw invalid(`codec must be 'tlv' or 'raw', not '${String(codec)}'`);
  return {
    datagramBytesMax: bounded(
      'datagramBytesMax',
      options.datagramBytesMax,
      DATAGRAM_BYTES_LIMIT,
      DATAGRAM_BYTES_LIMIT,
    ),
    sendQueueBytesMax: bounded(
      'sendQueueBytesMax',
      options.sendQueueBytesMax,
      SEND_QUEUE_BYTES_MAX,
      SEND_QUEUE_BYTES_LIMIT,
    ),
    receiveBufferBytes,
    sendBufferBytes,
  };
}

/** Where to bind: numeric, or a bound descriptor, which becomes the port's. */
export interface BindTarget {
  readonly host: string;
  readonly port: number;
  readonly ipv6Only: boolean;
  readonly fd: number | null;
}

/** What became of datagrams on their way out. */
export interface SendStats {
  /** Datagrams the kernel has taken. */
  readonly datagramsSent: number;
  readonly bytesSent: number;
  /** Sends refused because the queue was full. */
  readonly sendsDropped: number;
}

export interface DatagramPort {
  readonly address: { readonly host: string; readonly port: number };
  readonly sendStats: SendStats;
  /** Bytes that wait for the kernel. */
  readonly sendQueueBytes: number;
  /** Nothing waits for the kernel; when that becomes true the sink is told. */
  readonly isIdle: boolean;
  /**
   * Sends `msgId` and `body` as a frame, or with msgId null the bytes alone, to the connected peer.
   * @throws ReactorError REACTOR_BODY_TOO_LARGE
   */
  send(msgId: number | null, body: Uint8Array | string): UdpSendOutcome;
  /** Takes no more datagrams. */
  stopReceiving(): void;
  /** What waits is lost. Resolves once the port number is free. Call it once. */
  close(): Promise<void>;
}

/** Told by a port. None of these may throw. */
export interface DatagramSink {
  /** `bytes` from `start` to `end`; when they are `lent` they are somebody else's as soon as this returns. */
  received(peer: UdpPeer, bytes: Buffer, start: number, end: number, isLent: boolean): void;
  /** A datagram of so many bytes, more than datagramBytesMax, was dropped. */
  oversized(peer: UdpPeer, bytes: number): void;
  /** The network answered earlier sends with an error. */
  networkFailed(cause: Error, count: number): void;
  /** The kernel refused datagrams. */
  sendFailed(cause: Error, count: number): void;
  /** Nothing waits for the kernel any more. */
  idle(): void;
}

/**
 * Bytes of the datagram with this frame, or with msgId null of these bytes alone.
 * @throws ReactorError REACTOR_BODY_TOO_LARGE
 */
export function datagramBytes(msgId: number | null, body: Uint8Array | string): number {
  const bodyBytes = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
  const bytes = msgId === null ? bodyBytes : TLV_HEADER_BYTES + bodyBytes;
  if (bytes <= UDP_DATAGRAM_BYTES_MAX) return bytes;
  throw new ReactorError(
    'REACTOR_BODY_TOO_LARGE',
    `a datagram of ${bytes} bytes is above ${UDP_DATAGRAM_BYTES_MAX}`,
  );
}

/** Writes the datagram, whose size is `bytes`, to `target` from `at` on. */
export function writeDatagram(
  target: Buffer,
  at: number,
  msgId: number | null,
  body: Uint8Array | string,
  bytes: number,
): void {
  let bodyAt = at;
  if (msgId !== null) {
    writeUint32Little(target, at, msgId);
    writeUint32Little(target, at + 4, bytes - TLV_HEADER_BYTES);
    bodyAt += TLV_HEADER_BYTES;
  }
  if (typeof body === 'string') target.write(body, bodyAt);
  else target.set(body, bodyAt);
}

/** What went wrong with a socket, under a code of ours; errors that have one already keep it. */
export function portFailure(code: ReactorErrorCode, what: string, cause: unknown): ReactorError {
  if (cause instanceof ReactorError) return cause;
  const { message } = cause as Error; // system calls, here and in Node, throw Errors
  const isOption = cause instanceof AddonError && cause.code === 'ADDON_INVALID_ARGUMENT';
  return new ReactorError(isOption ? 'REACTOR_OPTION_INVALID' : code, `${what}: ${message}`, { cause });
}

function bounded(name: string, value: number | undefined, fallback: number, most: number): number {
  const number = value ?? fallback;
  if (Number.isInteger(number) && number >= 1 && number <= most) return number;
  throw invalid(`${name} must be an integer from 1 to ${most}, not ${number}`);
}

function invalid(message: string): ReactorError {
  return new ReactorError('REACTOR_OPTION_INVALID', message);
}
