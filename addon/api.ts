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

/** Calls back on the loop of the thread that made it when the eventfd is signalled; see addon/src/binding/waker.h. */
export interface Waker {
  /** Keeps the loop alive while open, as it does from the start. */
  ref(): this;
  /** Lets the loop end although this is open. */
  unref(): this;
  /** Ends the watch; no callback follows. Calling it again does nothing. The eventfd is not closed. */
  close(): void;
}

export interface Addon {
  /** A listening socket, non-blocking and closed on exec. */
  listenTcp(options: ListenTcpOptions): BoundSocket;
  /** A bound UDP socket, non-blocking and closed on exec. */
  bindUdp(options: BindUdpOptions): BoundSocket;
  /** A second number for the same open file, closed on exec. */
  dupFd(fd: number): number;
  closeFd(fd: number): void;
  /** The inode of the socket behind `fd`; ENOTSOCK for any other file. */
  socketInode(fd: number): number;
  /** Closes `fd` only when it is still the socket with this inode; false otherwise, also for a free number. */
  closeSocketIf(fd: number, inode: number): boolean;
  /** A non-blocking eventfd with counter 0. */
  eventFd(): number;
  /** Adds one to an eventfd from any thread, rousing its Waker. Never blocks. */
  signalEventFd(fd: number): void;
  /**
   * Watches an eventfd on this thread's loop: any number of signals before the loop gets there are one call.
   * Keeps itself and the loop alive until `close`. Close it before the eventfd.
   * What `callback` throws becomes an uncaught exception of the thread.
   */
  Waker: new (fd: number, callback: () => void) => Waker;
}
