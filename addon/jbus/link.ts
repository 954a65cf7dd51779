// What a channel stands on: a writer, a reader and a doorbell that connect one side with the other.
// sysv-link.ts, memfd-link.ts, socket-link.ts and memory-link.ts make them; channel.ts knows no more than this file.
// The writer and the reader have the methods of the native rings, so that the fast backings need nothing in between.

import type { ShmRingReader, ShmRingWriter } from '../index.js';
import type { SegmentState } from './layout.js';

export type BackingName = 'sysv' | 'memfd' | 'socket' | 'memory';

/** The producer's side; see addon/shm-api.ts for the amounts and their complements. */
export type LinkWriter = Pick<
  ShmRingWriter,
  'write' | 'writeFragments' | 'writeHeartbeat' | 'size' | 'poison' | 'prepareWait' | 'close'
>;

/** The consumer's side. */
export type LinkReader = Pick<
  ShmRingReader,
  'take' | 'release' | 'size' | 'dropped' | 'poison' | 'prepareWait' | 'close'
>;

/** How a side that sleeps is woken, and learns that the other has gone. */
export interface Doorbell {
  /** The longest sleep without a look while something is awaited, in ms: small where nobody can ring. */
  readonly sleepMsMax: number;
  /** Called once. `onRing` any number of times, `onPeerGone` at most once and last; neither before this returns. */
  listen(onRing: () => void, onPeerGone: () => void): void;
  /** Wakes the peer. Never blocks, never throws: a peer that has gone is told by `onPeerGone`. */
  ring(): void;
  /** Blocks this thread until the peer rings or goes, or the time is up. @throws JbusError JBUS_UNSUPPORTED */
  wait(timeoutMs: number): 'rung' | 'gone' | 'silent';
  /** Whether listening keeps this thread's loop alive, as it does from the start. */
  setRef(isRef: boolean): void;
  /** Idempotent; no callback follows. */
  close(): void;
}

export interface PeerFacts {
  /** 0: it has not come yet, or has left; also where a backing cannot tell. */
  readonly pid: number;
  /** Its process lives; undefined where a backing cannot tell, or the peer has not come. */
  readonly isAlive: boolean | undefined;
  /** When it last said that it lives, in ms of CLOCK_MONOTONIC; 0: never, or the backing cannot tell. */
  readonly heartbeatMs: number;
}

export interface ChannelLink {
  readonly backing: BackingName;
  readonly writer: LinkWriter;
  readonly reader: LinkReader;
  readonly doorbell: Doorbell;
  /** Bytes of the ring that is written: what a record and a fragment may take follows from it. */
  readonly outCapacity: number;
  readonly inCapacity: number;
  /** What the offsets in rows count from. */
  readonly memory: Uint8Array;
  /** Whether a thread may block on `doorbell.wait`. */
  readonly canBlock: boolean;
  /** The later of the two rings' states: 'ready' only when both are. */
  state(): SegmentState;
  /** Raises the state of both rings. */
  mark(state: 'closing' | 'poisoned'): void;
  /** Says in shared memory that this side lives. */
  beat(): void;
  peer(): PeerFacts;
  /** The peer has come: what was needed for it to find this channel can go, unless it is to persist. */
  settle(): void;
  /** Gives everything back. Idempotent. */
  close(): void;
}

/** CLOCK_MONOTONIC in ms: the clock of heartbeats, the same for all processes of one boot. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}
