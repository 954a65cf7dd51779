// Every bound of the reactor with its default, and the relations between them, asserted when loaded.
// Options let a user move a bound; nothing in the reactor is unbounded.

import assert from 'node:assert/strict';
import { totalmem } from 'node:os';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** Bytes of one frame's body that we accept or send. */
export const FRAME_BYTES_MAX: number = MIB;

/** Output waiting in one connection above which `send` asks the sender to wait, and reading pauses. */
export const OUTPUT_HIGH_WATER_BYTES: number = 64 * KIB;
/** Output at which a paused sender may go on. */
export const OUTPUT_LOW_WATER_BYTES: number = 32 * KIB;
/** Output waiting in one connection that is never passed: the overflow policy decides what happens. */
export const OUTPUT_HARD_CAP_BYTES: number = 8 * MIB;

/** Files that wait in one connection, each with a descriptor; `sendFile` refuses more. */
export const FILES_WAITING_MAX: number = 64;
/** What the portable transport reads of a file at a time. */
export const FILE_PIECE_BYTES: number = 64 * KIB;

/** One read from the kernel, shared by all connections of a thread (libuv reads 64 KiB at a time too). */
export const READ_BUFFER_BYTES: number = 64 * KIB;

/** Slab sizes of the buffer pool, smallest first (the design notes' io_buf classes). */
export const SLAB_BYTES: readonly number[] = [4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB];

/** Cap over the pools of all threads: 5 GiB (design notes) or a quarter of the memory we may use. */
export function poolBytesMaxDefault(): number {
  return Math.min(5 * GIB, Math.floor(memoryBytesAvailable() / 4));
}

/** Async handlers at work for one connection at a time. */
export const PENDING_HANDLERS_MAX: number = 1024;
/** Accepted descriptors that may wait for a busy or restarting sub-reactor. */
export const HAND_OFFS_WAITING_MAX: number = 4096;

/** Threads of one reactor; every pair of them has rings of its own. */
export const THREADS_MAX: number = 256;
/** A thread that lived this long starts its next restart backoff small again. */
export const THREAD_STABLE_MS: number = 10_000;
/** From starting a sub-reactor to its services being ready; importing a large application takes a while. */
export const THREAD_START_TIMEOUT_MS: number = 60_000;

/** How long a thread may look for more input instead of sleeping; meanwhile its tasks and timers wait. */
export const SPIN_MICROS_MAX: number = 1000;

/** Window over which the buffer pool's peak is looked at before idle slabs are dropped. */
export const POOL_TRIM_PERIOD_MS: number = 10_000;

/** The native transport, per thread: bytes that one batch may bring, and that may be staged for sending. Small
 * enough to stay in the cache: with 4 MiB a 16 KiB echo cost 1.4 times as much. */
export const EPOLL_SLAB_BYTES: number = 512 * KIB;
export const EPOLL_EVENT_RECORDS: number = 8192;
export const EPOLL_SEND_RECORDS: number = 8192;
export const EPOLL_SLOTS_MAX: number = 131_072;
/** Output that C++ keeps for one connection at most: a fence behind the hard cap, which users may raise. */
export const EPOLL_OUTPUT_BYTES_MAX: number = GIB;

/** UDP on the native transport, per thread: 64 datagrams of any size, each a cache line apart from a power of two. */
export const DATAGRAM_RECEIVE_SLAB_BYTES: number = 64 * 1025 * 64;
/** Per socket: what may be staged before it is handed over; a largest datagram fits. */
export const DATAGRAM_SEND_SLAB_BYTES: number = 128 * KIB;
export const DATAGRAM_SEND_RECORDS: number = 256;

export const CONNECTIONS_MAX: number = 100_000;
export const CONNECTIONS_PER_THREAD_MAX: number = 65_536;
/** One address has at most about 28,000 ephemeral ports towards one of ours: below that, above any honest client. */
export const CONNECTIONS_PER_ADDRESS_MAX: number = 20_000;

export const FIRST_BYTE_TIMEOUT_MS: number = 60_000;
export const HANDSHAKE_TIMEOUT_MS: number = 10_000;
/** How often HTTP connections are looked at for a deadline that has passed. */
export const DEADLINE_CHECK_MS: number = 1000;
export const WRITE_TIMEOUT_MS: number = 60_000;
/** How long a closing server waits for the FIN of a peer that has got everything. */
export const LINGER_MS: number = 1000;
export const DRAIN_TIMEOUT_MS: number = 10_000;
/**
 * How long a closing server listens to connections that have not said anything: the first request of one that
 * was just accepted may be on its way, and would be answered by a reset.
 */
export const UNHEARD_GRACE_MS: number = 200;
/** From the start of a supervised process to its accepting work. */
export const PROCESS_READY_TIMEOUT_MS: number = 30_000;
/** What a process gets beyond its drain deadline before it is killed. */
export const PROCESS_KILL_GRACE_MS: number = 2_000;
export const LISTEN_BACKLOG: number = 4096;

/** Granularity of the timer wheel; connection timeouts are late by at most this much. */
export const TIMER_TICK_MS: number = 20;

assert(OUTPUT_LOW_WATER_BYTES < OUTPUT_HIGH_WATER_BYTES);
assert(OUTPUT_HIGH_WATER_BYTES < OUTPUT_HARD_CAP_BYTES);
assert(FRAME_BYTES_MAX < OUTPUT_HARD_CAP_BYTES, 'a largest frame fits an empty output');
assert(CONNECTIONS_PER_ADDRESS_MAX <= CONNECTIONS_PER_THREAD_MAX);
assert(CONNECTIONS_PER_THREAD_MAX <= CONNECTIONS_MAX);
assert(CONNECTIONS_PER_THREAD_MAX <= EPOLL_SLOTS_MAX, 'a full thread has a slot for every connection');

/** What the cgroup or a resource limit leaves us, else the machine's memory. */
function memoryBytesAvailable(): number {
  const constrained = process.constrainedMemory?.() ?? 0;
  const total = totalmem();
  return constrained > 0 && constrained < total ? constrained : total;
}
