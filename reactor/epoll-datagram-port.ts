// Datagrams over the native transport: a batch of them is one system call and one call into JavaScript each way.
// udp-socket.ts opens it for transport 'epoll'; the counterpart is net-datagram-port.ts.
// Answers are staged in a slab that C++ sends from when the batch ends; what is sent outside one leaves at the end
// of the turn. The sink keeps its users' errors to itself; what gets out of it is a defect, and the batch goes on.

import { constants } from 'node:os';

import {
  type Addon,
  AddonError,
  DATAGRAM_ADDRESS,
  DATAGRAM_ADDRESS_WORDS,
  DATAGRAM_BYTES,
  DATAGRAM_CONTROL_BYTES,
  DATAGRAM_CONTROL_RECORDS,
  DATAGRAM_CONTROL_WAITING,
  DATAGRAM_CONTROL_WAITING_BYTES,
  DATAGRAM_CONTROL_WORDS,
  DATAGRAM_COUNT,
  DATAGRAM_DRAINED,
  DATAGRAM_ERRNO,
  DATAGRAM_EVENT,
  DATAGRAM_OFFSET,
  DATAGRAM_QUEUE_FULL,
  DATAGRAM_RECEIVED,
  DATAGRAM_RECEIVE_FAILED,
  DATAGRAM_SEND_ADDRESS,
  DATAGRAM_SEND_BYTES,
  DATAGRAM_SEND_FAILED,
  DATAGRAM_SEND_OFFSET,
  DATAGRAM_SEND_WORDS,
  DATAGRAM_TRUNCATED,
  DATAGRAM_WORDS,
  DATAGRAMS_PER_BATCH,
  type Datagrams,
  requireAddon,
} from '../addon/index.js';
import { lendableMemory } from './body-lender.js';
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
import { EpollPeer, EpollPeers, type PeerSender } from './epoll-peers.js';
import { DATAGRAM_RECEIVE_SLAB_BYTES, DATAGRAM_SEND_RECORDS, DATAGRAM_SEND_SLAB_BYTES } from './limits.js';
import { systemError } from './system-error.js';
import type { UdpSendOutcome } from './udp-handlers.js';

const NOBODY = new Int32Array(DATAGRAM_ADDRESS_WORDS);

/** Used within one batch at a time, so all ports of a thread share it. */
let receiving: { readonly slab: Buffer; readonly records: Int32Array } | null = null;

export class EpollDatagramPort implements DatagramPort, PeerSender {
  readonly address: { readonly host: string; readonly port: number };
  readonly #native: Datagrams;
  readonly #sink: DatagramSink;
  readonly #sendQueueBytesMax: number;
  readonly #receiveSlab: Buffer;
  readonly #records: Int32Array;
  readonly #sendSlab: Buffer = Buffer.allocUnsafeSlow(DATAGRAM_SEND_SLAB_BYTES);
  readonly #sends = new Int32Array(DATAGRAM_SEND_RECORDS * DATAGRAM_SEND_WORDS);
  readonly #control = new Int32Array(DATAGRAM_CONTROL_WORDS);
  readonly #peers: EpollPeers = new EpollPeers(this);
  /** The one whose datagrams arrive, when the socket is connected. */
  readonly #connected: EpollPeer | null;
  /** The next record of the running batch: where to go on after an exception. */
  #position = 0;
  #isInBatch = false;
  #isFlushDue = false;
  #isReceiving = true;
  #sendsDropped = 0;
  /** What the native counters said last; set when it closes. */
  #finalStats: SendStats | null = null;

  /** Takes over `fd`; `connectedTo`: where it is connected. @throws AddonError; then `fd` is still the caller's */
  private constructor(
    addon: Addon,
    fd: number,
    settings: DatagramPortSettings,
    sink: DatagramSink,
    connectedTo: DatagramPort['address'] | null,
  ) {
    const { receiveBufferBytes, sendBufferBytes, datagramBytesMax, sendQueueBytesMax } = settings;
    if (receiveBufferBytes !== null) addon.setSocketOption(fd, 'receiveBufferBytes', receiveBufferBytes);
    if (sendBufferBytes !== null) addon.setSocketOption(fd, 'sendBufferBytes', sendBufferBytes);
    const address = addon.localAddress(fd);
    this.address = 'host' in address ? address : { host: '', port: 0 };
    this.#sink = sink;
    this.#sendQueueBytesMax = sendQueueBytesMax;
    this.#connected = connectedTo === null ? null : new EpollPeer(this, NOBODY, 0, connectedTo);
    receiving ??= {
      slab: lendableMemory(DATAGRAM_RECEIVE_SLAB_BYTES),
      records: new Int32Array(DATAGRAMS_PER_BATCH * DATAGRAM_WORDS),
    };
    this.#receiveSlab = receiving.slab;
    this.#records = receiving.records;
    this.#native = new addon.Datagrams(
      fd,
      {
        receiveSlab: receiving.slab,
        records: receiving.records,
        sendSlab: this.#sendSlab,
        sends: this.#sends,
        control: this.#control,
        datagramBytesMax,
        waitingBytesMax: sendQueueBytesMax,
      },
      (recordCount) => this.#runBatch(recordCount),
    );
  }

  /** @throws ReactorError REACTOR_PORT_IN_USE, REACTOR_LISTEN_FAILED, REACTOR_OPTION_INVALID */
  static bind(target: BindTarget, settings: DatagramPortSettings, sink: DatagramSink): EpollDatagramPort {
    const addon = requireAddon();
    const { host, port, ipv6Only } = target;
    try {
      const fd = target.fd ?? addon.bindUdp({ host, port, ipv6Only }).fd;
      return adopted(addon, fd, () => new EpollDatagramPort(addon, fd, settings, sink, null));
    } catch (cause) {
      const isInUse = cause instanceof AddonError && cause.errno === constants.errno.EADDRINUSE;
      const code = isInUse ? 'REACTOR_PORT_IN_USE' : 'REACTOR_LISTEN_FAILED';
      throw portFailure(code, `UDP ${host} port ${port}`, cause);
    }
  }

  /** @throws ReactorError REACTOR_CONNECT_FAILED, REACTOR_OPTION_INVALID */
  static connect(
    host: string,
    port: number,
    settings: DatagramPortSettings,
    sink: DatagramSink,
  ): EpollDatagramPort {
    const addon = requireAddon();
    try {
      const fd = addon.connectUdp(host, port);
      return adopted(addon, fd, () => new EpollDatagramPort(addon, fd, settings, sink, { host, port }));
    } catch (cause) {
      throw portFailure('REACTOR_CONNECT_FAILED', `UDP ${host} port ${port}`, cause);
    }
  }

  get sendStats(): SendStats {
    if (this.#finalStats !== null) return this.#finalStats;
    const { sent, bytesSent, queueDrops } = this.#native.stats();
    return { datagramsSent: sent, bytesSent, sendsDropped: this.#sendsDropped + queueDrops };
  }

  get sendQueueBytes(): number {
    return this.#control[DATAGRAM_CONTROL_BYTES]! + this.#control[DATAGRAM_CONTROL_WAITING_BYTES]!;
  }

  get isIdle(): boolean {
    return this.#control[DATAGRAM_CONTROL_RECORDS] === 0 && this.#control[DATAGRAM_CONTROL_WAITING] === 0;
  }

  send(msgId: number | null, body: Uint8Array | string): UdpSendOutcome {
    return this.#stage(this.#connected!, msgId, body); // a server's port has no send of its own
  }

  /** @internal */
  sendTo(peer: EpollPeer, msgId: number | null, body: Uint8Array | string): UdpSendOutcome {
    return this.#stage(peer, msgId, body);
  }

  stopReceiving(): void {
    this.#isReceiving = false;
    this.#native.pause();
    this.#flushLater();
  }

  close(): Promise<void> {
    this.#finalStats = this.sendStats;
    this.#native.close();
    this.#control.fill(0);
    return Promise.resolve();
  }

  #stage(peer: EpollPeer, msgId: number | null, body: Uint8Array | string): UdpSendOutcome {
    const bytes = datagramBytes(msgId, body);
    if (this.#finalStats !== null) return 'closed';
    if (!this.#makeRoom(bytes)) {
      this.#sendsDropped += 1;
      return 'dropped';
    }
    const control = this.#control;
    const recordCount = control[DATAGRAM_CONTROL_RECORDS]!;
    const offset = control[DATAGRAM_CONTROL_BYTES]!;
    const record = recordCount * DATAGRAM_SEND_WORDS;
    writeDatagram(this.#sendSlab, offset, msgId, body, bytes);
    this.#sends[record + DATAGRAM_SEND_OFFSET] = offset;
    this.#sends[record + DATAGRAM_SEND_BYTES] = bytes;
    peer.writeTo(this.#sends, record + DATAGRAM_SEND_ADDRESS);
    control[DATAGRAM_CONTROL_RECORDS] = recordCount + 1;
    control[DATAGRAM_CONTROL_BYTES] = offset + bytes;
    if (!this.#isInBatch || !this.#isReceiving) this.#flushLater();
    return 'sent';
  }

  /** Room in the slab, and in the queue should the kernel take nothing. False: the queue has none. */
  #makeRoom(bytes: number): boolean {
    const control = this.#control;
    const isSlabFull =
      control[DATAGRAM_CONTROL_BYTES]! + bytes > DATAGRAM_SEND_SLAB_BYTES ||
      control[DATAGRAM_CONTROL_RECORDS] === DATAGRAM_SEND_RECORDS;
    if (isSlabFull || this.sendQueueBytes + bytes > this.#sendQueueBytesMax) this.#flush();
    return this.sendQueueBytes + bytes <= this.#sendQueueBytesMax;
  }

  #flush(): void {
    if (this.#control[DATAGRAM_CONTROL_RECORDS]! > 0) this.#native.flush();
  }

  /** At the end of this turn; the sink of a port that closes waits for the news. */
  #flushLater(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    setImmediate(() => {
      this.#isFlushDue = false;
      this.#flush();
      if (this.isIdle) this.#sink.idle();
    });
  }

  #runBatch(recordCount: number): void {
    if (!this.#isInBatch) this.#position = 0;
    this.#isInBatch = true;
    while (this.#position < recordCount && this.#finalStats === null) {
      const record = this.#position * DATAGRAM_WORDS;
      this.#position += 1;
      this.#runRecord(record);
    }
    this.#isInBatch = false;
  }

  #runRecord(record: number): void {
    const records = this.#records;
    const event = records[record + DATAGRAM_EVENT]!;
    if (event === DATAGRAM_RECEIVED) {
      const start = records[record + DATAGRAM_OFFSET]!;
      const end = start + records[record + DATAGRAM_BYTES]!;
      this.#sink.received(this.#peerAt(record), this.#receiveSlab, start, end, true);
    } else if (event === DATAGRAM_TRUNCATED) {
      this.#sink.oversized(this.#peerAt(record), records[record + DATAGRAM_BYTES]!);
    } else {
      this.#runNews(event, records[record + DATAGRAM_ERRNO]!, records[record + DATAGRAM_COUNT]!);
    }
  }

  #peerAt(record: number): EpollPeer {
    return this.#connected ?? this.#peers.find(this.#records, record + DATAGRAM_ADDRESS);
  }

  #runNews(event: number, errno: number, count: number): void {
    switch (event) {
      case DATAGRAM_RECEIVE_FAILED:
        this.#sink.networkFailed(systemError(errno, 'recvmmsg'), count);
        break;
      case DATAGRAM_SEND_FAILED:
        this.#sink.sendFailed(systemError(errno, 'sendmmsg'), count);
        break;
      case DATAGRAM_DRAINED:
        this.#sink.idle();
        break;
      case DATAGRAM_QUEUE_FULL: // counted, and sendStats tells
        break;
      default:
        throw new Error(`a batch of datagrams has no event ${event}`);
    }
  }
}

/** Makes a port of a descriptor, which is closed when that fails. */
function adopted(addon: Addon, fd: number, make: () => EpollDatagramPort): EpollDatagramPort {
  try {
    return make();
  } catch (error) {
    addon.closeFd(fd);
    throw error;
  }
}
