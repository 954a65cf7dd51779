// What the native addon offers, as TypeScript sees it; the C++ side is addon/src/binding/.
// Every function may throw AddonError: ADDON_INVALID_ARGUMENT for an impossible argument,
// ADDON_SYSTEM_CALL_FAILED with errno and syscall when the system refuses.
// Descriptors are plain numbers: whoever received one closes it, nothing here does so behind their back.

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

export interface Addon {
  /** A listening socket, non-blocking and closed on exec. */
  listenTcp(options: ListenTcpOptions): BoundSocket;
  /** A listening Unix stream socket, non-blocking and closed on exec; EADDRINUSE when the path exists. */
  listenUnix(options: { path: string; backlog: number }): number;
  /** Where a socket is bound. */
  localAddress(fd: number): LocalAddress;
  /** A bound UDP socket, non-blocking and closed on exec. */
  bindUdp(options: BindUdpOptions): BoundSocket;
  /** A second number for the same open file, closed on exec. */
  dupFd(fd: number): number;
  closeFd(fd: number): void;
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
}
