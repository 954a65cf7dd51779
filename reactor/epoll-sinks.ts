// What the native transport tells whom a slot belongs to: a connection, whoever listens, whoever connects.
// epoll-transport.ts calls them; epoll-connection.ts, epoll-acceptor.ts and epoll-dialer.ts are they.

/** What the transport tells a connection, in the order in which it happened. */
export interface EpollSink {
  /** What one read brought, `bytes[start, end)` in the receive slab: only lent. */
  received(bytes: Buffer, start: number, end: number): void;
  /** The peer's FIN. */
  ended(): void;
  /** The connection broke; the slot is gone already. `errno` is positive. */
  broke(errno: number): void;
  /** The same, because a file could not be sent as announced. ENODATA: it is shorter. */
  fileBroke(errno: number): void;
  /** Output that waited in C++ went out. */
  drained(): void;
  /** What was staged in the send slab has been handed over. */
  flushed(): void;
  /** Whether the kernel will take at once what is staged, and nobody waits to hear of it. */
  readonly isTakenAtOnce: boolean;
  /** Called ahead of a flush if so: counts what is staged as taken. */
  flushing(): void;
  /** That flush left something behind, perhaps of this one: counts again. May be called twice. */
  fellBehind(): void;
}

/** What the transport tells whoever listens. */
export interface EpollListenSink {
  /** A new connection, which is not read yet: `attach`, `release` or `discard` it. */
  accepted(slot: number): void;
  /** Accepting has stopped until `startReading`. `errno` is positive. */
  acceptFailed(errno: number): void;
}

/** What the transport tells whoever connects. */
export interface EpollDialSink {
  /** `attach` or `discard` the slot. */
  connected(slot: number): void;
  /** The slot is gone. `errno` is positive. */
  refused(errno: number): void;
}
