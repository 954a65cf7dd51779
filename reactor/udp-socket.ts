// One UDP socket on one thread: datagrams in to handlers, frames out to whoever should get them.
// udp-service.ts binds it, udp-client.ts connects it; it outlives every error short of close().
// A datagram-port.ts moves the datagrams; what is in them and who is told is decided here, alike on both transports.
// A datagram is one TLV frame, or with the codec 'raw' whatever it is. UDP promises nothing, so nothing is
// retried here: what cannot be sent or read is counted, coded and dropped.

import assert from 'node:assert/strict';
import type { AsyncResource } from 'node:async_hooks';

import { loadAddon } from '../addon/index.js';
import { captureContext, inOwnScope } from './async-scope.js';
import { readUint32Little } from './codecs/unsigned.js';
import {
  type BindTarget,
  type DatagramPort,
  type DatagramPortSettings,
  type DatagramSink,
  resolvePortOptions,
  type SendStats,
  TLV_HEADER_BYTES,
  type UdpSocketOptions,
} from './datagram-port.js';
import { EpollDatagramPort } from './epoll-datagram-port.js';
import { ReactorError, type ReactorErrorCode } from './errors.js';
import { BorrowedFrame } from './handlers.js';
import { NetDatagramPort } from './net-datagram-port.js';
import { resolveTransport, type TransportName } from './reactor-options.js';
import { type UdpHandlers, type UdpPeer, UdpRouter, type UdpSendOutcome } from './udp-handlers.js';

export interface UdpStats extends SendStats {
  readonly datagramsReceived: number;
  readonly bytesReceived: number;
  /** Datagrams that were no frame. */
  readonly malformed: number;
  /** Datagrams above datagramBytesMax. */
  readonly oversized: number;
  readonly unknownMsgIds: number;
  readonly handlerErrors: number;
  /** Errors that came back over the network (ICMP): nobody there, no route. */
  readonly networkErrors: number;
  /** Sends the kernel refused later. */
  readonly sendErrors: number;
}

const NO_STATS = {
  datagramsReceived: 0,
  bytesReceived: 0,
  malformed: 0,
  oversized: 0,
  unknownMsgIds: 0,
  handlerErrors: 0,
  networkErrors: 0,
  sendErrors: 0,
};

const NOTHING_SENT: SendStats = { datagramsSent: 0, bytesSent: 0, sendsDropped: 0 };

/** The figures of several sockets as one. */
export function sumUdpStats(all: readonly UdpStats[]): UdpStats {
  const sum: { -readonly [Name in keyof UdpStats]: UdpStats[Name] } = { ...NO_STATS, ...NOTHING_SENT };
  for (const stats of all)
    for (const name of Object.keys(sum) as (keyof UdpStats)[]) sum[name] += stats[name];
  return sum;
}

export class UdpSocket implements DatagramSink {
  /** What is entered where the server or client was made is entered in every handler. */
  readonly #context: AsyncResource = captureContext();
  #router: UdpRouter;
  readonly #transport: TransportName;
  readonly #settings: DatagramPortSettings;
  readonly #isRaw: boolean;
  readonly #stats = { ...NO_STATS };
  #port: DatagramPort | null = null;
  #state: 'open' | 'draining' | 'closed' = 'open';
  /** Async handlers that still work. */
  #pending = 0;
  #onSettled: (() => void) | null = null;

  /**
   * Call `bind` or `connect` next.
   * @throws ReactorError REACTOR_HANDLERS_INVALID, REACTOR_OPTION_INVALID, REACTOR_ADDON_MISSING
   */
  constructor(handlers: unknown, options: UdpSocketOptions) {
    this.#router = new UdpRouter(handlers);
    this.#transport = resolveTransport(options.transport, loadAddon());
    this.#settings = resolvePortOptions(options);
    this.#isRaw = options.codec === 'raw';
  }

  /** @throws ReactorError REACTOR_PORT_IN_USE, REACTOR_LISTEN_FAILED, REACTOR_OPTION_INVALID */
  async bind(target: BindTarget): Promise<void> {
    assert(this.#port === null);
    this.#port =
      this.#transport === 'epoll'
        ? EpollDatagramPort.bind(target, this.#settings, this)
        : await NetDatagramPort.bind(target, this.#settings, this);
  }

  /**
   * Connects to a numeric address: only that peer's datagrams arrive, and its refusals are heard of.
   * @throws ReactorError REACTOR_CONNECT_FAILED, REACTOR_OPTION_INVALID
   */
  async connect(host: string, port: number): Promise<void> {
    assert(this.#port === null);
    this.#port =
      this.#transport === 'epoll'
        ? EpollDatagramPort.connect(host, port, this.#settings, this)
        : await NetDatagramPort.connect(host, port, this.#settings, this);
  }

  get address(): { readonly host: string; readonly port: number } {
    return this.#opened.address;
  }

  get stats(): UdpStats {
    return { ...this.#stats, ...this.#opened.sendStats };
  }

  /** Bytes that wait for the kernel. */
  get sendQueueBytes(): number {
    return this.#opened.sendQueueBytes;
  }

  /** Later datagrams go to these. @throws ReactorError REACTOR_HANDLERS_INVALID: the old ones stay. */
  replaceHandlers(handlers: unknown): void {
    this.#router = new UdpRouter(handlers);
  }

  /** To the connected peer; see DatagramPort.send. */
  send(msgId: number | null, body: Uint8Array | string): UdpSendOutcome {
    return this.#opened.send(msgId, body);
  }

  /**
   * Takes no more datagrams, waits until async handlers have finished and the queue is sent, then closes.
   * @returns false when the deadline passed first.
   */
  async close(deadlineMs: number): Promise<boolean> {
    if (this.#state !== 'open') return true;
    this.#state = 'draining';
    this.#port?.stopReceiving();
    const isDrained = await this.#settled(deadlineMs);
    this.#state = 'closed';
    await this.#port?.close();
    return isDrained;
  }

  // DatagramSink.

  /** @internal */
  received(peer: UdpPeer, bytes: Buffer, start: number, end: number, isLent: boolean): void {
    if (this.#state !== 'open') return;
    this.#stats.datagramsReceived += 1;
    this.#stats.bytesReceived += end - start;
    if (this.#isRaw) {
      const datagram = bytes.subarray(start, end);
      this.#runRaw(peer, isLent ? Buffer.from(datagram) : datagram);
      return;
    }
    const bodyStart = start + TLV_HEADER_BYTES;
    if (bodyStart > end || readUint32Little(bytes, start + 4) !== end - bodyStart) {
      this.#malformed(peer, end - start);
      return;
    }
    const msgId = readUint32Little(bytes, start);
    const handler = this.#router.find(msgId) ?? this.#unknown(peer, msgId);
    if (handler === undefined) return;
    const frame = new BorrowedFrame(msgId, bytes, bodyStart, end);
    try {
      const result = inOwnScope(this.#context, handler, peer, frame);
      if (result instanceof Promise) this.#track(peer, result);
    } catch (cause) {
      this.#handlerFailed(peer, cause);
    }
    frame.revoke(); // as with TCP, so that a handler may move from one to the other
  }

  /** @internal */
  oversized(peer: UdpPeer, bytes: number): void {
    this.#stats.datagramsReceived += 1;
    this.#stats.bytesReceived += bytes;
    this.#stats.oversized += 1;
    const { datagramBytesMax } = this.#settings;
    this.#tell(
      peer,
      'REACTOR_FRAME_TOO_LARGE',
      () => `a datagram of ${bytes} bytes is above ${datagramBytesMax}`,
    );
  }

  /** @internal */
  networkFailed(cause: Error, count: number): void {
    this.#stats.networkErrors += count;
    this.#report(null, failure('REACTOR_CONNECT_FAILED', 'the UDP socket', cause));
  }

  /** @internal */
  sendFailed(cause: Error, count: number): void {
    this.#stats.sendErrors += count;
    const what = count === 1 ? 'a datagram was not sent' : `${count} datagrams were not sent`;
    this.#report(null, failure('REACTOR_SEND_FAILED', what, cause));
  }

  /** @internal */
  idle(): void {
    if (this.#isSettled) this.#onSettled?.();
  }

  get #opened(): DatagramPort {
    assert(this.#port !== null, 'bind or connect comes first');
    return this.#port;
  }

  get #isSettled(): boolean {
    return this.#pending === 0 && (this.#port?.isIdle ?? true);
  }

  #settled(deadlineMs: number): Promise<boolean> {
    if (this.#isSettled) return Promise.resolve(true);
    return new Promise((resolve) => {
      const deadline = setTimeout(() => resolve(false), deadlineMs);
      this.#onSettled = () => {
        clearTimeout(deadline);
        resolve(true);
      };
    });
  }

  #runRaw(peer: UdpPeer, datagram: Buffer): void {
    try {
      const { handlers } = this.#router;
      const result = inOwnScope(this.#context, () => handlers.onDatagram?.(peer, datagram));
      if (result instanceof Promise) this.#track(peer, result);
    } catch (cause) {
      this.#handlerFailed(peer, cause);
    }
  }

  #malformed(peer: UdpPeer, bytes: number): void {
    this.#stats.malformed += 1;
    this.#tell(peer, 'REACTOR_FRAME_MALFORMED', () => `a datagram of ${bytes} bytes is not one TLV frame`);
  }

  #unknown(peer: UdpPeer, msgId: number): UdpHandlers['onUnknown'] {
    this.#stats.unknownMsgIds += 1;
    const { handlers } = this.#router;
    if (handlers.onUnknown !== undefined) return handlers.onUnknown.bind(handlers);
    this.#tell(peer, 'REACTOR_UNKNOWN_MSG_ID', () => `no handler for message id ${msgId}`);
    return undefined;
  }

  #track(peer: UdpPeer, result: Promise<unknown>): void {
    this.#pending += 1;
    result
      .catch((cause: unknown) => this.#handlerFailed(peer, cause))
      .finally(() => {
        this.#pending -= 1;
        assert(this.#pending >= 0);
        this.idle();
      });
  }

  #handlerFailed(peer: UdpPeer, cause: unknown): void {
    this.#stats.handlerErrors += 1;
    this.#report(peer, new ReactorError('REACTOR_HANDLER_FAILED', 'the UDP handler failed', { cause }));
  }

  /** Anyone can send rubbish: no error is built that nobody reads. */
  #tell(
    peer: UdpPeer,
    code: 'REACTOR_FRAME_MALFORMED' | 'REACTOR_FRAME_TOO_LARGE' | 'REACTOR_UNKNOWN_MSG_ID',
    message: () => string,
  ): void {
    if (this.#router.handlers.onError !== undefined) this.#report(peer, new ReactorError(code, message()));
  }

  #report(peer: UdpPeer | null, error: ReactorError): void {
    try {
      const { handlers } = this.#router;
      inOwnScope(this.#context, () => handlers.onError?.(peer, error));
    } catch (hookError) {
      process.emitWarning(hookError as Error); // the hook for errors threw: nobody else is left to tell
    }
  }
}

function failure(code: ReactorErrorCode, what: string, cause: Error): ReactorError {
  return new ReactorError(code, `${what}: ${cause.message}`, { cause });
}
