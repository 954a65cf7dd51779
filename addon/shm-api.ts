// The shared-memory part of what the native addon offers, as TypeScript sees it; part of `Addon` in api.ts.
// The C++ side is addon/src/binding/shm_*; the layers above use it through addon/jbus, which decides and names.
// Segments are kernel ids (0 is one like any other), or below 0 the memory files of local-api.ts, for which shmCreate,
// shmFind, shmStat and shmRemove have no meaning; every function may throw AddonError as said in api.ts.

/** What the kernel knows of a segment. */
export interface ShmStatus {
  readonly id: number;
  /** 0 once it was removed: it lives until the last process detaches. */
  readonly key: number;
  readonly bytes: number;
  readonly attachCount: number;
  readonly uid: number;
  /** The nine permission bits. */
  readonly mode: number;
  readonly removed: boolean;
  /** 0 when the creator is in another pid namespace. */
  readonly creatorPid: number;
  readonly lastPid: number;
  /** Unix time of creation. */
  readonly changedAtMs: number;
}

/** One side of a ring as the header tells. */
export interface ShmSide {
  /** 0: nobody, or it has left. */
  readonly pid: number;
  /** Clock ticks since boot, field 22 of /proc/PID/stat. */
  readonly startTime: number;
  /** The process with this pid and start time lives. */
  readonly alive: boolean;
  readonly heartbeatCount: number;
  /** CLOCK_MONOTONIC; 0: never. */
  readonly heartbeatMs: number;
  /** Tail or head: bytes since the ring began. */
  readonly position: number;
  readonly records: number;
  /** Payload bytes. */
  readonly bytes: number;
  /** It sleeps and wants to be woken. */
  readonly waiting: boolean;
}

/** A copy of a segment's first page. When `isOurs` is false the other fields mean nothing. */
export interface ShmHeader {
  readonly isOurs: boolean;
  /** All zeros where the magic belongs: just made, or nobody's. */
  readonly isEmpty: boolean;
  readonly version: number;
  readonly capacity: number;
  readonly flags: number;
  /** STATE_* of jbus/layout.ts. */
  readonly state: number;
  readonly epoch: number;
  readonly channelHash: number;
  readonly creatorPid: number;
  readonly creatorAlive: boolean;
  readonly producer: ShmSide;
  readonly consumer: ShmSide;
}

/**
 * The producer's side of a ring. Calls that may have to wake the consumer answer an amount, or its complement
 * `-1 - amount` when it sleeps and has to be woken by the caller.
 */
export interface ShmRingWriter {
  /** Maps the segment and claims the side. 0, a header fault, or OPEN_SIDE_TAKEN (jbus/layout.ts). */
  open(id: number): number;
  /** Bytes the record takes in the ring; 0: no room, or poisoned. */
  write(type: number, msgId: number, bytes: Uint8Array): number;
  /** Payload bytes of the message written from `from` on, as fragments; 0: no room, or poisoned. */
  writeFragments(type: number, msgId: number, bytes: Uint8Array, from: number): number;
  /** Rows written, in order, beginning with row `first`; the payloads lie in `bytes`. */
  writeBatch(rows: Uint32Array, bytes: Uint8Array, first: number, count: number): number;
  writeHeartbeat(): number;
  size(): number;
  /** 0, or an index into POISON_REASONS; looks at the state word. */
  poison(): number;
  /** True: sleep; there is less room than `bytes` and the consumer knows that it is waited for. */
  prepareWait(bytes: number): boolean;
  cancelWait(): void;
  /** Blocks the thread until there is room for `bytes`, or the ring is closing; false after the two times. */
  wait(bytes: number, spinMicros: number, sleepMicros: number): boolean;
  close(): void;
}

/** The consumer's side of a ring. Booleans of release and clear: the producer sleeps and has to be woken. */
export interface ShmRingReader {
  open(id: number, messageBytesMax: number): number;
  /**
   * Fills rows from the start and answers their number; they stay in the ring until released. With `spinMicros` it
   * looks as long for a first one.
   */
  take(rows: Uint32Array, countMax: number, spinMicros?: number): number;
  /** The oldest taken records, whose costs add up to `bytes`; without an argument all. */
  release(bytes?: number): boolean;
  peek(row: Uint32Array): boolean;
  seek(count: number): number;
  clear(): boolean;
  size(): number;
  dropped(): number;
  poison(): number;
  prepareWait(): boolean;
  cancelWait(): void;
  wait(spinMicros: number, sleepMicros: number): boolean;
  close(): void;
}

export interface ShmAddon {
  /** A new segment, zeroed, mode 0600. EEXIST when the key is taken. */
  shmCreate(key: number, bytes: number): number;
  /** ENOENT when there is none. */
  shmFind(key: number): number;
  shmStat(id: number): ShmStatus;
  /** The key is free at once, the memory with the last detach. */
  shmRemove(id: number): void;
  /** An ArrayBuffer over the whole segment. The mapping lives as long as it, or any ring, does. */
  shmMap(id: number): ArrayBuffer;
  /** Detaches such an ArrayBuffer: its views get length 0. */
  shmUnmap(buffer: ArrayBuffer): void;
  /** Reads the page through a short-lived, read-only mapping. */
  shmHeader(id: number): ShmHeader;
  /** Makes a ring of a new segment. */
  shmFormat(
    id: number,
    capacity: number,
    epoch: number,
    channelHash: number,
    flags: number,
    startPosition: number,
  ): void;
  shmState(id: number): number;
  /** Raises the state word; a lower state changes nothing. */
  shmMark(id: number, state: number): void;
  /** 0: the producer's, 1: the consumer's line of the page. */
  shmSide(id: number, side: 0 | 1): ShmSide;
  shmBeat(id: number, side: 0 | 1): void;
  /** What this process has mapped, all threads together; attached and detached count since it began. */
  shmTotals(): { segments: number; bytes: number; attached: number; detached: number };
  /** Clock ticks since boot; 0 when no such process lives. */
  processStartTime(pid: number): number;
  ShmRingWriter: new () => ShmRingWriter;
  ShmRingReader: new () => ShmRingReader;
}
