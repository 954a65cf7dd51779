// One UDP socket on one thread: datagrams in to handlers, frames out to whoever should get them.
// udp-service.ts binds it, udp-client.ts connects it; it outlives every error short of close().
// A datagram is one TLV frame, or with the codec 'raw' whatever it is. UDP promises nothing, so nothing is
// retried here: what cannot be sent or read is counted, coded and dropped.

import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';

import { ReactorError, type ReactorErrorCode } from './errors.js';
import { BorrowedFrame } from './handlers.js';
import { type UdpHandlers, type UdpPeer, UdpRouter, type UdpSendOutcome } from './udp-handlers.js';

/** Bytes one datagram can carry over IPv4; IPv6 could take 20 more, but answers do not choose their family. */
export const UDP_DATAGRAM_BYTES_MAX: number = 65_507;
const TLV_HEADER_BYTES = 8;
/** Bytes the body of one TLV frame may have in a datagram. */
export const UDP_BODY_BYTES_MAX: number = UDP_DATAGRAM_BYTES_MAX - TLV_HEADER_BYTES;
const SEND_QUEUE_BYTES_MAX = 1024 * 1024;

export type UdpCodec = 'tlv' | 'raw';

export interface UdpSocketOptions {
  /** How datagrams are read: 'tlv', one frame each, or 'raw'. Default 'tlv'. */
  codec?: UdpCodec;
  /** Bytes that may wait for the kernel; a send beyond is dropped. Default 1 MiB. */
  sendQueueBytesMax?: number;
  /** Asks the kernel for this receive buffer (SO_RCVBUF). Default: the system's. */
  receiveBufferBytes?: number;
  /** The same for sending (SO_SNDBUF). */
  sendBufferBytes?: number;
}

export interface UdpStats {
  readonly datagramsReceived: number;
  readonly bytesReceived: number;
  /** Datagrams the kernel has taken. */
  readonly datagramsSent: number;
  readonly bytesSent: number;
  /** Datagrams that were no frame. */
  readonly malformed: number;
  readonly unknownMsgIds: number;
  readonly handlerErrors: number;
  /** Sends the kernel or the network refused later. */
  readonly sendErrors: number;
  /** Sends refused because the queue was full. */
  readonly sendsDropped: number;
}

type MutableStats = { -readonly [Name in keyof UdpStats]: UdpStats[Name] };

const NO_STATS: UdpStats = {
  datagramsReceived: 0,
  bytesReceived: 0,
  datagramsSent: 0,
  bytesSent: 0,
  malformed: 0,
  unknownMsgIds: 0,
  handlerErrors: 0,
  sendErrors: 0,
  sendsDropped: 0,
};

/** The figures of several sockets as one. */
export function sumUdpStats(all: readonly UdpStats[]): UdpStats {
  const sum: MutableStats = { ...NO_STATS };
  for (const stats of all)
    for (const name of Object.keys(sum) as (keyof UdpStats)[]) sum[name] += stats[name];
  return sum;
}

export class UdpSocket {
  readonly #socket: dgram.Socket;
  #router: UdpRouter;
  readonly #isRaw: boolean;
  readonly #sendQueueBytesMax: number;
  readonly #stats: MutableStats = { ...NO_STATS };
  readonly #onSent = (error: Error | null, bytes: number): void => this.#sent(error, bytes);
  #state: 'open' | 'draining' | 'closed' = 'open';
  /** Sends whose callback is still to come, and async handlers that still work. */
  #pending = 0;
  #onSettled: (() => void) | null = null;

  private constructor(socket: dgram.Socket, router: UdpRouter, options: UdpSocketOptions) {
    this.#socket = socket;
    this.#router = router;
    this.#isRaw = options.codec === 'raw';
    this.#sendQueueBytesMax = options.sendQueueBytesMax ?? SEND_QUEUE_BYTES_MAX;
    socket.on('message', (datagram, from) => this.#receive(datagram, from));
    socket.on('error', (cause) =>
      this.#report(null, failure('REACTOR_CONNECT_FAILED', 'the UDP socket', cause)),
    );
  }

  /**
   * Binds to a numeric address and port, or takes over a bound descriptor, which it then owns.
   * @throws ReactorError REACTOR_PORT_IN_USE, REACTOR_LISTEN_FAILED, REACTOR_HANDLERS_INVALID, REACTOR_OPTION_INVALID
   */
  static async bind(
    target: {
      readonly host: string;
      readonly port: number;
      readonly fd?: number;
      readonly ipv6Only?: boolean;
    },
    handlers: unknown,
    options: UdpSocketOptions,
  ): Promise<UdpSocket> {
    const router = new UdpRouter(handlers);
    const socket = createSocket(target.host, options, target.ipv6Only ?? false);
    try {
      const { host: address, port, fd } = target;
      const listening = once(socket, 'listening'); // may come before bind returns
      socket.bind(fd === undefined ? { address, port, exclusive: true } : { fd });
      await listening;
    } catch (cause) {
      socket.close();
      const isInUse = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE';
      const code = isInUse ? 'REACTOR_PORT_IN_USE' : 'REACTOR_LISTEN_FAILED';
      throw failure(code, `UDP ${target.host} port ${target.port}`, cause as Error);
    }
    return new UdpSocket(socket, router, options);
  }

  /**
   * Connects to a numeric address: only that peer's datagrams arrive, and its refusals are heard of.
   * @throws ReactorError REACTOR_CONNECT_FAILED, REACTOR_HANDLERS_INVALID, REACTOR_OPTION_INVALID
   */
  static async connect(
    host: string,
    port: number,
    handlers: UdpHandlers,
    options: UdpSocketOptions,
  ): Promise<UdpSocket> {
    const router = new UdpRouter(handlers);
    const socket = createSocket(host, options, false);
    try {
      const connected = once(socket, 'connect'); // may come before connect returns
      socket.connect(port, host);
      await connected;
    } catch (cause) {
      socket.close();
      throw failure('REACTOR_CONNECT_FAILED', `UDP ${host} port ${port}`, cause as Error);
    }
    return new UdpSocket(socket, router, options);
  }

  get address(): { readonly host: string; readonly port: number } {
    const { address, port } = this.#socket.address();
    return { host: address, port };
  }

  get stats(): UdpStats {
    return { ...this.#stats };
  }

  /** Later datagrams go to these. @throws ReactorError REACTOR_HANDLERS_INVALID: the old ones stay. */
  replaceHandlers(handlers: unknown): void {
    this.#router = new UdpRouter(handlers);
  }

  /** Bytes that wait for the kernel. */
  get sendQueueBytes(): number {
    return this.#state === 'closed' ? 0 : this.#socket.getSendQueueSize();
  }

  /** Sends `msgId` and `body` as a frame, or with msgId null the bytes alone; `port` null: to the connected peer. */
  sendTo(
    port: number | null,
    address: string,
    msgId: number | null,
    body: Uint8Array | string,
  ): UdpSendOutcome {
    const datagram = msgId === null ? copyOf(body) : frameOf(msgId, body);
    if (datagram.length > UDP_DATAGRAM_BYTES_MAX) {
      throw new ReactorError(
        'REACTOR_BODY_TOO_LARGE',
        `a datagram of ${datagram.length} bytes is above ${UDP_DATAGRAM_BYTES_MAX}`,
      );
    }
    if (this.#state === 'closed') return 'closed';
    if (this.#socket.getSendQueueSize() + datagram.length > this.#sendQueueBytesMax) {
      this.#stats.sendsDropped += 1;
      return 'dropped';
    }
    this.#pending += 1;
    if (port === null) this.#socket.send(datagram, this.#onSent);
    else this.#socket.send(datagram, port, address, this.#onSent);
    return 'sent';
  }

  /**
   * Takes no more datagrams, waits until async handlers have finished and the queue is sent, then closes.
   * @returns false when the deadline passed first.
   */
  async close(deadlineMs: number): Promise<boolean> {
    if (this.#state !== 'open') return true;
    this.#state = 'draining';
    const isDrained = await this.#settled(deadlineMs);
    this.#state = 'closed';
    this.#socket.close();
    await once(this.#socket, 'close');
    return isDrained;
  }

  #settled(deadlineMs: number): Promise<boolean> {
    if (this.#pending === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const deadline = setTimeout(() => resolve(false), deadlineMs);
      this.#onSettled = () => {
        clearTimeout(deadline);
        resolve(true);
      };
    });
  }

  #receive(datagram: Buffer, from: dgram.RemoteInfo): void {
    if (this.#state !== 'open') return;
    this.#stats.datagramsReceived += 1;
    this.#stats.bytesReceived += datagram.length;
    const peer = new SocketPeer(this, from.address, from.port);
    if (this.#isRaw) {
      this.#run(peer, () => this.#router.handlers.onDatagram?.(peer, datagram));
      return;
    }
    const bodyBytes = datagram.length < TLV_HEADER_BYTES ? -1 : datagram.readUInt32LE(4);
    if (bodyBytes !== datagram.length - TLV_HEADER_BYTES) {
      this.#stats.malformed += 1;
      this.#tell(
        peer,
        'REACTOR_FRAME_MALFORMED',
        () => `a datagram of ${datagram.length} bytes is not one TLV frame`,
      );
      return;
    }
    const msgId = datagram.readUInt32LE(0);
    const handler = this.#router.find(msgId) ?? this.#unknown(peer, msgId);
    if (handler === undefined) return;
    const frame = new BorrowedFrame(msgId, datagram, TLV_HEADER_BYTES, datagram.length);
    this.#run(peer, () => handler(peer, frame));
    frame.revoke(); // as with TCP, so that a handler may move from one to the other
  }

  #unknown(peer: UdpPeer, msgId: number): UdpHandlers['onUnknown'] {
    this.#stats.unknownMsgIds += 1;
    const { handlers } = this.#router;
    if (handlers.onUnknown !== undefined) return handlers.onUnknown.bind(handlers);
    this.#tell(peer, 'REACTOR_UNKNOWN_MSG_ID', () => `no handler for message id ${msgId}`);
    return undefined;
  }

  #run(peer: UdpPeer, call: () => unknown): void {
    try {
      const result = call();
      if (!(result instanceof Promise)) return;
      this.#pending += 1;
      result.catch((cause: unknown) => this.#handlerFailed(peer, cause)).finally(() => this.#settleOne());
    } catch (cause) {
      this.#handlerFailed(peer, cause);
    }
  }

  #handlerFailed(peer: UdpPeer, cause: unknown): void {
    this.#stats.handlerErrors += 1;
    this.#report(peer, new ReactorError('REACTOR_HANDLER_FAILED', 'the UDP handler failed', { cause }));
  }

  #sent(cause: Error | null, bytes: number): void {
    if (cause === null) {
      this.#stats.datagramsSent += 1;
      this.#stats.bytesSent += bytes;
    } else {
      this.#stats.sendErrors += 1;
      this.#report(null, failure('REACTOR_SEND_FAILED', 'a datagram was not sent', cause));
    }
    this.#settleOne();
  }

  #settleOne(): void {
    this.#pending -= 1;
    assert(this.#pending >= 0);
    if (this.#pending === 0) this.#onSettled?.();
  }

  /** Anyone can send rubbish: no error is built that nobody reads. */
  #tell(
    peer: UdpPeer,
    code: 'REACTOR_FRAME_MALFORMED' | 'REACTOR_UNKNOWN_MSG_ID',
    message: () => string,
  ): void {
    if (this.#router.handlers.onError !== undefined) this.#report(peer, new ReactorError(code, message()));
  }

  #report(peer: UdpPeer | null, error: ReactorError): void {
    try {
      this.#router.handlers.onError?.(peer, error);
    } catch (hookError) {
      process.emitWarning(hookError as Error); // the hook for errors threw: nobody else is left to tell
    }
  }
}

class SocketPeer implements UdpPeer {
  readonly address: string;
  readonly port: number;
  readonly #socket: UdpSocket;

  constructor(socket: UdpSocket, address: string, port: number) {
    this.#socket = socket;
    this.address = address;
    this.port = port;
  }

  send(first: number | Uint8Array | string, second?: Uint8Array | string): UdpSendOutcome {
    return typeof first === 'number'
      ? this.#socket.sendTo(this.port, this.address, first, second ?? '')
      : this.#socket.sendTo(this.port, this.address, null, first);
  }
}

function createSocket(host: string, options: UdpSocketOptions, ipv6Only: boolean): dgram.Socket {
  const { receiveBufferBytes, sendBufferBytes } = options;
  try {
    return dgram.createSocket({
      type: isIPv6(host) ? 'udp6' : 'udp4',
      ipv6Only,
      ...(receiveBufferBytes === undefined ? {} : { recvBufferSize: receiveBufferBytes }),
      ...(sendBufferBytes === undefined ? {} : { sendBufferSize: sendBufferBytes }),
      // Addresses are numeric here; answering at once keeps every send free of a trip through the resolver.
      lookup: (address, _, done) => done(null, address, isIPv6(address) ? 6 : 4),
    });
  } catch (cause) {
    throw failure('REACTOR_OPTION_INVALID', 'UDP socket options', cause as Error);
  }
}

function frameOf(msgId: number, body: Uint8Array | string): Buffer {
  const bodyBytes = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
  const datagram = Buffer.allocUnsafe(TLV_HEADER_BYTES + bodyBytes);
  datagram.writeUInt32LE(msgId, 0);
  datagram.writeUInt32LE(bodyBytes, 4);
  if (typeof body === 'string') datagram.write(body, TLV_HEADER_BYTES);
  else datagram.set(body, TLV_HEADER_BYTES);
  return datagram;
}

function copyOf(body: Uint8Array | string): Buffer {
  return typeof body === 'string' ? Buffer.from(body) : Buffer.from(body); // one overload each
}

function failure(code: ReactorErrorCode, what: string, cause: Error): ReactorError {
  return new ReactorError(code, `${what}: ${cause.message}`, { cause });
}
