// What the native addon offers, as TypeScript sees it; the C++ side is addon/src/binding/.
// Every function may throw AddonError: ADDON_INVALID_ARGUMENT for an impossible argument,
// ADDON_SYSTEM_CALL_FAILED with errno and syscall when the system refuses.
// Descriptors are plain numbers: whoever received one closes it, nothing here does so behind their back.

import type { LocalAddon } from './local-api.js';
import type { ShmAddon } from './shm-api.js';

export interface BindUdpOptions {
  /** Numeric IPv4 or IPv6 address; names are not resolved. */
  host: string;
  /** 0 lets the kernel pick. */
  port: number;
  /** SO_REUSEPORT: several sockets share the port, and every one of them must set it. Default false. */
  reusePort?: boolean;
  /** Keeps IPv4 off a `::` socket. Default false, dual stack. */
  ipv6Only?: boolean;
}

export interface ListenTcpOptions extends BindUdpOptions {
  /** Connections waiting to be accepted; the kernel caps it at net.core.somaxconn. */
  backlog: number;
  /** TCP Fast Open queue length. Default 0, off. */
  fastOpen?: number;
  /** Accept only once data is there, or after about this long. Default 0, off. */
  deferAcceptSeconds?: number;
}

export interface BoundSocket {
  fd: number;
  port: number;
}

/** Integers in the unit the name carries; flags are 0 and 1. */
export type SocketOptionName =
  | 'noDelay'
  | 'keepAlive'
  | 'keepAliveIdleSeconds'
  | 'keepAliveIntervalSeconds'
  | 'keepAliveCount'
  | 'userTimeoutMs' // unacknowledged data closes the connection after this long
  | 'fastOpen' // queue length, on a listening socket
  | 'quickAck' // not lasting: the kernel falls back to delayed acks by itself
  | 'deferAcceptSeconds' // rounded up to 1, 3, 7, 15… by the kernel
  | 'cork'
  | 'notSentLowWaterBytes'
  | 'lingerSeconds' // -1 is off; 0 makes close send a reset
  | 'receiveBufferBytes' // reads back doubled
  | 'sendBufferBytes' // reads back doubled
  | 'reusePort'
  | 'incomingCpu';

export type TcpState =
  | 'established'
  | 'syn-sent'
  | 'syn-received'
  | 'fin-wait-1'
  | 'fin-wait-2'
  | 'time-wait'
  | 'closed'
  | 'close-wait'
  | 'last-ack'
  | 'listening'
  | 'closing'
  | 'new-syn-received'
  | 'unknown';

/** TCP_INFO of one connection; what the running kernel does not know stays 0. */
export interface TcpInfo {
  readonly state: TcpState;
  readonly rttUs: number;
  readonly rttVarUs: number;
  readonly minRttUs: number;
  /** Of the segment now in flight. */
  readonly retransmits: number;
  /** Over the life of the connection. */
  readonly totalRetransmits: number;
  /** Segments. */
  readonly congestionWindow: number;
  /** Segments. */
  readonly slowStartThreshold: number;
  readonly sendMss: number;
  readonly receiveMss: number;
  readonly pathMtu: number;
  /** Segments. */
  readonly unacked: number;
  /** Segments. */
  readonly lost: number;
  readonly notSentBytes: number;
  /** Retransmitted bytes included. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly bytesAcked: number;
  readonly bytesRetransmitted: number;
  readonly deliveryRateBytesPerSecond: number;
}

/** Calls back on the loop of the thread that made it when the eventfd is signalled; see addon/src/binding/waker.h. */
export interface Waker {
  /** Keeps the loop alive while open, as it does from the start. */
  ref(): this;
  /** Lets the loop end although this is open. */
  unref(): this;
  /** Ends the watch; no callback follows. Calling it again does nothing. The eventfd is not closed. */
  close(): void;
}

/** Where a socket is bound: a path (a leading '\0': abstract; '' for an unnamed socket), or host and port. */
export type LocalAddress = { readonly path: string } | { readonly host: string; readonly port: number };

/**
 * Memory the transport and TypeScript share, plain (not shared) arrays that are never detached while it is open;
 * addon/transport-layout.ts names their words. The transport refers to them until `close`.
 */
export interface TransportMemory {
  /** Received bytes; events point into it, valid until onBatch returns. At least RECEIVE_SLAB_BYTES_MIN, 4 MiB is good. */
  receiveSlab: Uint8Array;
  /** The batch, EVENT_WORDS each; at least EVENT_RECORDS_MIN records, 8192 is good. */
  events: Uint32Array;
  /** Bytes to send, filled from 0 up by TypeScript; CONTROL_SEND_BYTES is its fill level. */
  sendSlab: Uint8Array;
  /**
   * Output records, SEND_WORDS each, in the order of sending; CONTROL_SEND_RECORDS is their number. An offset of
   * sendSlab.length or more points into the receive slab: what this batch received goes out again without a copy.
   */
  sends: Uint32Array;
  /** STATUS_WORDS per slot; its length bounds the number of slots. */
  status: Uint32Array;
  /** CONTROL_WORDS words. */
  control: Uint32Array;
}

export interface TransportOptions extends TransportMemory {
  /** Output that may wait on one connection; beyond it the connection is closed with ENOBUFS. The policy is the caller's. */
  outputBytesMax: number;
  /** What `executionAsyncResource()` is in onBatch; keep it alive. Default: the transport. */
  asyncResource?: object;
}

/** TLV (u32 msgId, u32 length, little-endian) unless `lengthBytes` is given; then as in reactor/codecs/length-field-codec.ts. */
export interface FramingOptions {
  /** Bytes one body may have, 1 to 2^31 - 1. */
  frameBytesMax: number;
  /** 1, 2, 3, 4 or 8; 0 or nothing: TLV, and the fields below are not looked at. */
  lengthBytes?: number;
  lengthOffset?: number;
  /** Default false, little-endian. */
  bigEndian?: boolean;
  /** Added to the length to get the bytes that follow it. Default 0. */
  lengthAdjustment?: number;
  /** Bytes at the frame's start that are not part of the body. Default 0: no default of the codec applies here. */
  stripBytes?: number;
  /** 1, 2 or 4; 0 or nothing: no message id. */
  msgIdBytes?: number;
  msgIdOffset?: number;
  /** Default: that of the length. */
  msgIdBigEndian?: boolean;
}

/** Sums since the transport was made. */
export interface TransportStats {
  /** Times the loop found our epoll descriptor readable. */
  readonly wakeups: number;
  /** Calls of onBatch, exceptions aside. */
  readonly batches: number;
  readonly epollWaits: number;
  /** epoll_ctl calls. */
  readonly epollControls: number;
  /** recv calls. */
  readonly receives: number;
  /** send, sendmsg and sendfile calls. */
  readonly sends: number;
  /** accept4 calls. */
  readonly accepts: number;
  readonly frames: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

/**
 * The sockets of one thread behind one epoll descriptor; see docs/transport.md.
 *
 * `onBatch(eventCount)` is called with that many records in `events`, oldest first; bytes in the receive slab and the
 * records are valid until it returns. Afterwards, when the promises and ticks it left behind have run, the records in
 * `sends` are sent: nothing need be returned. If it throws, the error becomes an uncaught exception of the thread and,
 * if the thread lives on, onBatch is called again with the same count: keep the position and go on behind the event
 * that threw (before an event is handled, note that it is taken).
 *
 * With CONTROL_FLUSH_FIRST set the records are sent ahead of those promises and ticks, which saves a call of `flush()`. If
 * the kernel did not take all of them, or a connection failed over it, onBatch(0) is called at once, still ahead.
 *
 * Output is written to `sendSlab` and described in `sends`; all records of one connection leave in one system call. What
 * is written outside a batch needs `flush()`, which may also be called at any time to empty the two. What the kernel does
 * not take is copied, waits in C++ and is reported by EVENT_DRAINED; `status` tells how much waits, without a call.
 *
 * A slot is the number of a socket. After `closeSlot`, `release` or EVENT_CLOSED it means nothing, events of the running
 * batch that still name it are to be skipped, and the number comes back at the earliest in the next batch. Calls with a
 * slot that is not in use do nothing.
 */
export interface Transport {
  /** A number for `add` and the others; 0, raw bytes, is always there. Framings are never taken back. */
  defineFraming(options: FramingOptions): number;
  /**
   * Takes over a connected stream socket and returns its slot; no option is set, nothing is read before `resume`. On failure the caller keeps the descriptor.
   */
  add(fd: number, framing: number): number;
  /**
   * Takes over a listening socket, makes it non-blocking and returns its slot. `exclusive` 1: the queue
   * is shared with other threads, each with a descriptor of its own (dupFd), and a connection is to wake one of
   * them (EPOLLEXCLUSIVE). Connections have `framing`. TCP_NODELAY set on the listener is inherited by what it accepts.
   */
  listen(fd: number, exclusive: 0 | 1, framing: number): number;
  /** Starts connecting to a numeric address; EVENT_CONNECTED or EVENT_CLOSED follows. Output may be sent at once: it waits. */
  connectTcp(host: string, port: number, framing: number): number;
  connectUnix(path: string, framing: number): number;
  /** Nothing is read any more; what this batch has is delivered. A listener accepts no more. */
  pause(slot: number): void;
  resume(slot: number): void;
  /** FIN once all output, that of the next flush included, has gone. Reading goes on. */
  shutdown(slot: number): void;
  /** Closes now; output that waits in C++ or in `sends` is dropped. `reset`: with RST. Also for listeners. */
  closeSlot(slot: number, reset?: boolean): void;
  /** Takes the descriptor back, unwatched, and gives the slot up; -1 when it is not in use. Waiting output is dropped. */
  release(slot: number): number;
  /** The descriptor, still the transport's, for socket options and addresses; -1 when the slot is not in use. */
  descriptorOf(slot: number): number;
  /** Sends the records in `sends`. @throws AddonError ADDON_INVALID_ARGUMENT when one points outside the slabs. */
  flush(): void;
  /**
   * Flushes, then sends these bytes without taking them through the send slab: for bodies of many KiB. What the kernel
   * does not take is copied, so `bytes` is the caller's again.
   */
  send(slot: number, bytes: Uint8Array): void;
  /**
   * Flushes, then sends `bytes` bytes of the regular file `fd` from `offset` on, behind all other output. The descriptor
   * is the transport's from the call on: it is closed when the range was sent or the connection ends, and at once for a
   * slot that is not in use. A file that becomes shorter meanwhile ends it (EVENT_FILE_FAILED). `status` tells how many files wait and how
   * many of their bytes have gone; EVENT_DRAINED tells of progress.
   * @throws AddonError ADDON_INVALID_ARGUMENT for an impossible argument; only then `fd` stays the caller's.
   */
  sendFile(slot: number, fd: number, offset: number, bytes: number): void;
  stats(): TransportStats;
  /** Keeps the loop alive while open, as it does from the start. */
  ref(): this;
  /** Lets the loop end although this is open. */
  unref(): this;
  /** Closes every descriptor it owns; no callback follows, and the arrays are free. Calling it again does nothing. */
  close(): void;
}

/**
 * Memory a Datagrams and TypeScript share, plain arrays that are never detached while it is open;
 * addon/datagram-layout.ts names their words. `receiveSlab` and `records` are only used within a batch, and so may be
 * shared by all sockets of a thread.
 */
export interface DatagramMemory {
  /** Received bytes, valid until onBatch returns. A batch has as many datagrams of datagramBytesMax as fit, 64 at most. */
  receiveSlab: Uint8Array;
  /** The batch; DATAGRAM_WORDS times DATAGRAMS_PER_BATCH. */
  records: Int32Array;
  /** Bytes to send, filled from 0 up by TypeScript. */
  sendSlab: Uint8Array;
  /** What to send, DATAGRAM_SEND_WORDS each, in order. */
  sends: Int32Array;
  /** DATAGRAM_CONTROL_WORDS words. */
  control: Int32Array;
}

export interface DatagramOptions extends DatagramMemory {
  /** Bytes of a datagram that is received, 1 to 65535; larger ones are dropped and told. */
  datagramBytesMax: number;
  /** Bytes that may wait for the kernel; datagrams beyond (and beyond 16,384 in number) are dropped and told. */
  waitingBytesMax: number;
}

/** Sums since it was made. */
export interface DatagramStats {
  /** Times the loop found the socket ready. */
  readonly wakeups: number;
  /** Calls of onBatch, exceptions aside. */
  readonly batches: number;
  /** recvmmsg calls. */
  readonly receiveCalls: number;
  /** sendmmsg calls. */
  readonly sendCalls: number;
  /** Datagrams received, the truncated ones included. */
  readonly received: number;
  readonly bytesReceived: number;
  readonly truncated: number;
  /** Errors from the network (ICMP). */
  readonly receiveFailures: number;
  /** Datagrams the kernel has taken. */
  readonly sent: number;
  readonly bytesSent: number;
  /** Datagrams the kernel refused. */
  readonly sendFailures: number;
  /** Datagrams dropped because the queue was full. */
  readonly queueDrops: number;
}

/**
 * One UDP socket in batches; see docs/transport.md.
 *
 * `onBatch(recordCount)` is called with that many entries in `records`; they and the receive slab are valid until it
 * returns. Afterwards, when the promises and ticks it left behind have run, what is in `sends` is sent. Exceptions are
 * treated as with Transport. News (everything but datagrams) comes in a batch of its own.
 *
 * What is written outside a batch needs `flush()`. What the kernel does not take is copied and waits in order;
 * DATAGRAM_DRAINED tells when the last of it has gone.
 */
export interface Datagrams {
  /** Sends the records in `sends`. @throws AddonError ADDON_INVALID_ARGUMENT when one points outside the slab. */
  flush(): void;
  /** Takes no more datagrams; they wait in the kernel. News and output go on. */
  pause(): void;
  /** @throws AddonError ADDON_CLOSED */
  stats(): DatagramStats;
  /** Keeps the loop alive while open, as it does from the start. */
  ref(): this;
  /** Lets the loop end although this is open. */
  unref(): this;
  /** Closes the descriptor; what waits is dropped, no callback follows, the arrays are free. May be repeated. */
  close(): void;
}

export interface Addon extends ShmAddon, LocalAddon {
  /** A listening socket, non-blocking and closed on exec. */
  listenTcp(options: ListenTcpOptions): BoundSocket;
  /** A listening Unix stream socket, non-blocking and closed on exec; EADDRINUSE when the path exists. */
  listenUnix(options: { path: string; backlog: number }): number;
  /** Where a socket is bound. */
  localAddress(fd: number): LocalAddress;
  /** Where the other end of a connected socket is bound. */
  remoteAddress(fd: number): LocalAddress;
  /** A bound UDP socket, non-blocking and closed on exec. */
  bindUdp(options: BindUdpOptions): BoundSocket;
  /** A UDP socket that talks to this numeric address only, non-blocking and closed on exec. */
  connectUdp(host: string, port: number): number;
  /** What the address words of a datagram say. @throws AddonError ADDON_INVALID_ARGUMENT */
  readAddress(words: Int32Array): { readonly host: string; readonly port: number };
  /** A second number for the same open file, closed on exec. */
  dupFd(fd: number): number;
  closeFd(fd: number): void;
  /** Bytes that a read of this socket or pipe would find. */
  readableBytes(fd: number): number;
  /** The inode of the socket behind `fd`; ENOTSOCK for any other file. */
  socketInode(fd: number): number;
  /** Closes `fd` only when it is still the socket with this inode; false otherwise, also for a free number. */
  closeSocketIf(fd: number, inode: number): boolean;
  /** @throws AddonError ADDON_INVALID_ARGUMENT for a name that is not in the list. */
  setSocketOption(fd: number, name: SocketOptionName, value: number): void;
  /** What the kernel made of the option. */
  getSocketOption(fd: number, name: SocketOptionName): number;
  tcpInfo(fd: number): TcpInfo;
  /** The kernel's id of the calling thread, its folder in /proc/self/task. */
  threadId(): number;
  /** Names the calling thread for ps and top; the kernel keeps the first 15 bytes. */
  setThreadName(name: string): void;
  /** Confines the calling thread to these processors, numbered from 0; EINVAL when it may use none of them. */
  setThreadAffinity(cpus: readonly number[]): void;
  /** The processors the calling thread may use, ascending. */
  threadAffinity(): number[];
  /**
   * Tells the scheduler that a thread, and those it makes from then on, compute for long (SCHED_BATCH): its share of a
   * processor stays, but it displaces nobody when it wakes. A process that has just begun is its id. EPERM, ESRCH.
   */
  setBatchScheduling(id: number): void;
  /** Processor time the calling thread has used, microseconds. */
  threadCpuMicros(): { user: number; system: number };
  /** Open files this process may have; Infinity when there is no limit. */
  descriptorLimit(): { soft: number; hard: number };
  /** A non-blocking eventfd with counter 0. */
  eventFd(): number;
  /** Adds one to an eventfd from any thread, rousing its Waker. Never blocks. */
  signalEventFd(fd: number): void;
  /**
   * Watches an eventfd on this thread's loop: any number of signals before the loop gets there are one call.
   * Keeps itself and the loop alive until `close`. Close it before the eventfd.
   * What `callback` throws becomes an uncaught exception of the thread.
   */
  Waker: new (
    fd: number,
    callback: () => void,
  ) => Waker;
  /** What its methods refuse because it is closed is ADDON_CLOSED. */
  Transport: new (
    options: TransportOptions,
    onBatch: (eventCount: number) => void,
  ) => Transport;
  /** Takes over a UDP socket, bound or connected. When it throws, the caller keeps the descriptor. */
  Datagrams: new (
    fd: number,
    options: DatagramOptions,
    onBatch: (recordCount: number) => void,
  ) => Datagrams;
}
