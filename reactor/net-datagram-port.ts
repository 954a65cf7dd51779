// Datagrams over node:dgram: one call into JavaScript per datagram, on every system.
// udp-socket.ts opens it for transport 'net'; the counterpart is epoll-datagram-port.ts.

import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';

import {
  type BindTarget,
  type DatagramPort,
  type DatagramPortSettings,
  type DatagramSink,
  datagramBytes,
  portFailure,
  type SendStats,
  writeDatagram,
} from './datagram-port.js';
import type { UdpPeer, UdpSendOutcome } from './udp-handlers.js';

export class NetDatagramPort implements DatagramPort {
  readonly #socket: dgram.Socket;
  readonly #sink: DatagramSink;
  readonly #settings: DatagramPortSettings;
  readonly #onSent = (error: Error | null, bytes: number): void => this.#sent(error, bytes);
  readonly #stats = { datagramsSent: 0, bytesSent: 0, sendsDropped: 0 };
  /** Sends whose callback is still to come. */
  #pending = 0;
  #isConnected = false;
  #isReceiving = true;
  #isClosed = false;

  private constructor(host: string, ipv6Only: boolean, settings: DatagramPortSettings, sink: DatagramSink) {
    this.#socket = createSocket(host, settings, ipv6Only);
    this.#settings = settings;
    this.#sink = sink;
  }

  /** @throws ReactorError REACTOR_PORT_IN_USE, REACTOR_LISTEN_FAILED, REACTOR_OPTION_INVALID */
  static async bind(
    target: BindTarget,
    settings: DatagramPortSettings,
    sink: DatagramSink,
  ): Promise<NetDatagramPort> {
    const { host: address, port, fd, ipv6Only } = target;
    const opened = new NetDatagramPort(address, ipv6Only, settings, sink);
    try {
      const listening = once(opened.#socket, 'listening'); // may come before bind returns
      opened.#socket.bind(fd === null ? { address, port, exclusive: true } : { fd });
      await listening;
    } catch (cause) {
      opened.#socket.close();
      const isInUse = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE';
      const code = isInUse ? 'REACTOR_PORT_IN_USE' : 'REACTOR_LISTEN_FAILED';
      throw portFailure(code, `UDP ${address} port ${port}`, cause);
    }
    opened.#listen();
    return opened;
  }

  /** @throws ReactorError REACTOR_CONNECT_FAILED, REACTOR_OPTION_INVALID */
  static async connect(
    host: string,
    port: number,
    settings: DatagramPortSettings,
    sink: DatagramSink,
  ): Promise<NetDatagramPort> {
    const opened = new NetDatagramPort(host, false, settings, sink);
    try {
      const connected = once(opened.#socket, 'connect'); // may come before connect returns
      opened.#socket.connect(port, host);
      await connected;
      opened.#isConnected = true;
    } catch (cause) {
      opened.#socket.close();
      throw portFailure('REACTOR_CONNECT_FAILED', `UDP ${host} port ${port}`, cause);
    }
    opened.#listen();
    return opened;
  }

  get address(): { readonly host: string; readonly port: number } {
    const { address, port } = this.#socket.address();
    return { host: address, port };
  }

  get sendStats(): SendStats {
    return { ...this.#stats };
  }

  get sendQueueBytes(): number {
    return this.#isClosed ? 0 : this.#socket.getSendQueueSize();
  }

  get isIdle(): boolean {
    return this.#pending === 0;
  }

  send(msgId: number | null, body: Uint8Array | string): UdpSendOutcome {
    return this.sendTo(0, '', msgId, body);
  }

  /** As `send`, to somebody; a connected socket knows whom, and node:dgram refuses to be told again. */
  sendTo(port: number, address: string, msgId: number | null, body: Uint8Array | string): UdpSendOutcome {
    const bytes = datagramBytes(msgId, body);
    if (this.#isClosed) return 'closed';
    if (this.#socket.getSendQueueSize() + bytes > this.#settings.sendQueueBytesMax) {
      this.#stats.sendsDropped += 1;
      return 'dropped';
    }
    const datagram = Buffer.allocUnsafe(bytes);
    writeDatagram(datagram, 0, msgId, body, bytes);
    this.#pending += 1;
    if (this.#isConnected) this.#socket.send(datagram, this.#onSent);
    else this.#socket.send(datagram, port, address, this.#onSent);
    return 'sent';
  }

  stopReceiving(): void {
    this.#isReceiving = false; // node:dgram cannot stop: what comes is dropped
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#socket.close();
    await once(this.#socket, 'close');
  }

  #listen(): void {
    this.#socket.on('message', (datagram, { address, port }) => {
      if (!this.#isReceiving) return;
      const peer = new NetPeer(this, address, port);
      if (datagram.length > this.#settings.datagramBytesMax) this.#sink.oversized(peer, datagram.length);
      else this.#sink.received(peer, datagram, 0, datagram.length, false);
    });
    this.#socket.on('error', (cause) => this.#sink.networkFailed(cause, 1));
  }

  #sent(cause: Error | null, bytes: number): void {
    if (cause === null) {
      this.#stats.datagramsSent += 1;
      this.#stats.bytesSent += bytes;
    } else {
      this.#sink.sendFailed(cause, 1);
    }
    this.#pending -= 1;
    assert(this.#pending >= 0);
    if (this.#pending === 0) this.#sink.idle();
  }
}

class NetPeer implements UdpPeer {
  readonly address: string;
  readonly port: number;
  readonly #owner: NetDatagramPort;

  constructor(owner: NetDatagramPort, address: string, port: number) {
    this.#owner = owner;
    this.address = address;
    this.port = port;
  }

  send(first: number | Uint8Array | string, second?: Uint8Array | string): UdpSendOutcome {
    return typeof first === 'number'
      ? this.#owner.sendTo(this.port, this.address, first, second ?? '')
      : this.#owner.sendTo(this.port, this.address, null, first);
  }
}

function createSocket(host: string, settings: DatagramPortSettings, ipv6Only: boolean): dgram.Socket {
  const { receiveBufferBytes, sendBufferBytes } = settings;
  try {
    return dgram.createSocket({
      type: isIPv6(host) ? 'udp6' : 'udp4',
      ipv6Only,
      ...(receiveBufferBytes === null ? {} : { recvBufferSize: receiveBufferBytes }),
      ...(sendBufferBytes === null ? {} : { sendBufferSize: sendBufferBytes }),
      // Addresses are numeric here; answering at once keeps every send free of a trip through the resolver.
      lookup: (address, _, done) => done(null, address, isIPv6(address) ? 6 : 4),
    });
  } catch (cause) {
    throw portFailure('REACTOR_OPTION_INVALID', 'UDP socket options', cause);
  }
}
