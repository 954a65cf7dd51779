// A UDP client: one connected socket on the calling thread, with the handlers given as an object.
// It neither repeats nor matches: which answer belongs to which question is for the frames to say, because
// a late answer to an old question looks like an answer to a new one.

import type { UdpSocketOptions } from './datagram-port.js';
import { ReactorError } from './errors.js';
import { DRAIN_TIMEOUT_MS } from './limits.js';
import type { UdpHandlers, UdpSendOutcome } from './udp-handlers.js';
import { UdpSocket, type UdpStats } from './udp-socket.js';
import { numericHost } from './udp-target.js';

export interface UdpClientOptions extends UdpSocketOptions {
  /** Name or address of the server. */
  host: string;
  port: number;
  /** Called with what comes back; datagrams of anybody else never arrive. Default: answers are ignored. */
  handlers?: UdpHandlers;
}

export class UdpClient {
  readonly #options: UdpClientOptions;
  #socket: UdpSocket | null = null;

  constructor(options: UdpClientOptions) {
    this.#options = options;
  }

  /**
   * Fixes the server's address; whether anybody is there shows only later, as REACTOR_CONNECT_FAILED in `onError`.
   * @throws ReactorError REACTOR_CONNECT_FAILED (no such host or no route), REACTOR_HANDLERS_INVALID,
   *   REACTOR_OPTION_INVALID, REACTOR_ADDON_MISSING
   */
  async connect(): Promise<void> {
    if (this.#socket !== null)
      throw new ReactorError('REACTOR_OPTION_INVALID', 'the UDP client is connected already');
    const { host, port, handlers = {}, ...options } = this.#options;
    checkPort(port);
    const socket = new UdpSocket(handlers, options);
    await socket.connect(await numericHost(host, 'REACTOR_CONNECT_FAILED'), port);
    this.#socket = socket;
  }

  get stats(): UdpStats {
    return this.#connected().stats;
  }

  /** Bytes that wait for the kernel. */
  get sendQueueBytes(): number {
    return this.#connected().sendQueueBytes;
  }

  /**
   * Sends one TLV frame in one datagram; `body` is copied.
   * @throws ReactorError REACTOR_BODY_TOO_LARGE, REACTOR_CLOSED: not connected yet.
   */
  send(msgId: number, body: Uint8Array | string): UdpSendOutcome;
  /** Sends these bytes as one datagram, with either codec. Same errors. */
  send(datagram: Uint8Array | string): UdpSendOutcome;
  send(first: number | Uint8Array | string, second?: Uint8Array | string): UdpSendOutcome {
    const socket = this.#connected();
    return typeof first === 'number' ? socket.send(first, second ?? '') : socket.send(null, first);
  }

  /** Waits until everything is sent or `drainTimeoutMs` (default 10 s) is over, then closes. Idempotent. */
  async close(options: { drainTimeoutMs?: number } = {}): Promise<{ drained: boolean }> {
    return { drained: (await this.#socket?.close(options.drainTimeoutMs ?? DRAIN_TIMEOUT_MS)) ?? true };
  }

  #connected(): UdpSocket {
    if (this.#socket === null) throw new ReactorError('REACTOR_CLOSED', 'the UDP client is not connected');
    return this.#socket;
  }
}

function checkPort(port: number): void {
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return;
  throw new ReactorError('REACTOR_OPTION_INVALID', `port must be an integer from 1 to 65535, not ${port}`);
}
