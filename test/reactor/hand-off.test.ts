// Who owns a descriptor on its way from the main reactor to a thread that may die, decided without a socket.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { Addon } from '../../addon/index.js';
import type { DispatchFunction } from '../../reactor/dispatch.js';
import { ReactorError, type ReactorErrorCode } from '../../reactor/errors.js';
import type { EventLoop } from '../../reactor/event-loop.js';
import { decodeHandOff, encodeHandOff, HandOff } from '../../reactor/hand-off.js';
import { HAND_OFFS_WAITING_MAX } from '../../reactor/limits.js';
import { SharedOccupancy } from '../../reactor/shared-occupancy.js';

const LIMITS = { connectionsMax: 10_000, connectionsPerThreadMax: 10_000, connectionsPerAddressMax: 10_000 };
const PEER = { address: '192.0.2.1', port: 4242 };

/** A kernel of two tables, a loop that notes what is posted, and the sink's diary. */
class Bench {
  /** Inode by descriptor, of sockets alone. */
  readonly sockets = new Map<number, number>();
  readonly closed: number[] = [];
  readonly posted: { thread: number; fd: number }[] = [];
  readonly refused: ReactorErrorCode[] = [];
  readonly troubled: ReactorErrorCode[] = [];
  readonly adopted: Int32Array;
  readonly occupancy: SharedOccupancy;
  readonly handOff: HandOff;
  fullThread: number | null = null;
  #retry: (() => void) | null = null;
  #nextInode = 1000;

  constructor(threads: number, dispatch: DispatchFunction) {
    this.adopted = new Int32Array(new SharedArrayBuffer(4 * threads));
    this.occupancy = SharedOccupancy.create(threads);
    this.handOff = new HandOff(this.#addon(), this.#loop(), this.occupancy, this.adopted, dispatch, {
      refused: (error) => this.refused.push(error.code),
      troubled: (error) => this.troubled.push(error.code),
    });
    for (let thread = 0; thread < threads; thread += 1) this.start(thread);
  }

  start(thread: number): void {
    this.handOff.threadStarting(thread);
    this.handOff.threadUp(thread);
  }

  /** A number becomes a socket that did not exist before. */
  open(fd: number): void {
    this.#nextInode += 1;
    this.sockets.set(fd, this.#nextInode);
  }

  give(fd: number, limits: typeof LIMITS = LIMITS): void {
    this.open(fd);
    this.handOff.give(1, fd, PEER, limits);
  }

  runRetry(): void {
    const retry = this.#retry;
    this.#retry = null;
    retry?.();
  }

  #loop(): EventLoop {
    const loop = {
      post: (thread: number, _name: string, payload: Uint8Array) => {
        if (thread === this.fullThread) throw new ReactorError('REACTOR_QUEUE_FULL', 'full');
        this.posted.push({ thread, fd: decodeHandOff(payload).fd });
      },
      runAfter: (_delayMs: number, task: () => void) => {
        this.#retry = task;
      },
    };
    return loop as unknown as EventLoop; // what a hand-off uses of it
  }

  #addon(): Addon {
    const addon = {
      socketInode: (fd: number) => {
        const inode = this.sockets.get(fd);
        if (inode === undefined) throw new Error('ENOTSOCK');
        return inode;
      },
      closeFd: (fd: number) => {
        assert(this.sockets.delete(fd), 'only what is ours is closed');
        this.closed.push(fd);
      },
      closeSocketIf: (fd: number, inode: number) => {
        if (this.sockets.get(fd) !== inode) return false;
        this.closed.push(fd);
        return this.sockets.delete(fd);
      },
    };
    return addon as unknown as Addon; // what a hand-off uses of it
  }
}

let bench: Bench;
const alwaysFirst: DispatchFunction = () => 0;

beforeEach(() => {
  bench = new Bench(2, alwaysFirst);
});

test('a record survives its way through the ring', () => {
  const record = { serviceId: 4_000_000_000, fd: 77, incarnation: 3_000_000_000, address: 'fe80::1%eth0' };
  assert.deepEqual(decodeHandOff(encodeHandOff(record)), record);
});

test('what a dead thread had not adopted goes to another, once', () => {
  for (const fd of [10, 11, 12]) bench.give(fd);
  Atomics.add(bench.adopted, 0, 1); // fd 10
  bench.posted.length = 0;
  bench.handOff.threadDown(0);
  assert.deepEqual(bench.posted, [
    { thread: 1, fd: 11 },
    { thread: 1, fd: 12 },
  ]);
  assert.equal(bench.occupancy.openOn(0), 0);
  assert.equal(bench.occupancy.openOn(1), 2);
  bench.posted.length = 0;
  bench.handOff.threadDown(1);
  bench.start(0);
  bench.runRetry();
  assert.deepEqual(
    bench.posted.map(({ fd }) => fd),
    [11, 12],
  );
});

test('a number that the dying thread adopted and that is a file by now is left alone', () => {
  bench.give(10);
  bench.sockets.delete(10); // adopted, closed with the thread, reused by a file before we hear of it
  bench.posted.length = 0;
  bench.handOff.threadDown(0);
  bench.handOff.close();
  assert.deepEqual(bench.posted, []);
  assert.deepEqual(bench.closed, []);
});

test('a number that is another socket by now is neither sent nor closed', () => {
  bench.give(10);
  bench.open(10);
  bench.posted.length = 0;
  bench.handOff.threadDown(0);
  assert.deepEqual(bench.posted, []);
  bench.give(11);
  bench.open(11);
  bench.handOff.close();
  assert.deepEqual(bench.closed, []);
});

test('closing closes what no thread has adopted, and only that', () => {
  for (const fd of [10, 11]) bench.give(fd);
  bench.fullThread = 0;
  bench.give(12);
  bench.sockets.delete(10); // adopted and closed
  bench.handOff.close();
  assert.deepEqual(
    bench.closed.toSorted((a, b) => a - b),
    [11, 12],
  );
});

test('while no queue has room connections wait in order, and are sent when there is', () => {
  bench.fullThread = 0;
  for (const fd of [10, 11, 12]) bench.give(fd);
  bench.runRetry();
  assert.deepEqual(bench.posted, []);
  assert.equal(bench.occupancy.open(), 0, 'what waits for a thread is counted for none');
  bench.fullThread = null;
  bench.runRetry();
  assert.deepEqual(
    bench.posted.map(({ fd }) => fd),
    [10, 11, 12],
  );
});

test(`of the connections that wait, number ${HAND_OFFS_WAITING_MAX + 1} is closed and told so`, () => {
  bench.handOff.threadDown(0);
  bench.handOff.threadDown(1);
  for (let fd = 0; fd <= HAND_OFFS_WAITING_MAX; fd += 1) bench.give(fd);
  assert.deepEqual(bench.closed, [HAND_OFFS_WAITING_MAX]);
  assert.deepEqual(bench.refused, ['REACTOR_QUEUE_FULL']);
});

test('half as many as may wait are a crowd, until they are sent', () => {
  bench.fullThread = 0;
  const half = HAND_OFFS_WAITING_MAX / 2;
  for (let fd = 1; fd < half; fd += 1) bench.give(fd);
  assert.equal(bench.handOff.isCrowded, false);
  bench.give(half);
  assert.equal(bench.handOff.isCrowded, true);
  bench.fullThread = null;
  bench.runRetry();
  assert.equal(bench.handOff.isCrowded, false);
});

test('a thread that is full is passed over while another has room', () => {
  const limits = { ...LIMITS, connectionsPerThreadMax: 1 };
  for (const fd of [10, 11, 12]) bench.give(fd, limits);
  assert.deepEqual(bench.posted, [
    { thread: 0, fd: 10 },
    { thread: 1, fd: 11 },
  ]);
  assert.deepEqual(bench.closed, [12]);
  assert.deepEqual(bench.refused, ['REACTOR_CONNECTION_LIMIT']);
});

test('what a thread counted before it was up is forgotten with it', () => {
  bench.handOff.threadDown(0);
  bench.handOff.threadStarting(0);
  bench.occupancy.admit(0, PEER.address, LIMITS); // accepted by itself while it started
  bench.handOff.threadDown(0);
  assert.equal(bench.occupancy.openOn(0), 0);
});

test('adoptions are told apart when their counter wraps', () => {
  Atomics.store(bench.adopted, 0, 0x7fffffff);
  bench.give(10); // notices all adoptions so far
  Atomics.add(bench.adopted, 0, 1);
  assert(Atomics.load(bench.adopted, 0) < 0);
  bench.give(11); // notices that 10 was adopted
  bench.posted.length = 0;
  bench.handOff.threadDown(0);
  assert.deepEqual(
    bench.posted.map(({ fd }) => fd),
    [11],
  );
});

for (const { name, dispatch, isBad } of [
  { name: 'NaN', dispatch: () => Number.NaN, isBad: true },
  { name: 'a fraction', dispatch: () => 0.5, isBad: true },
  { name: 'nothing', dispatch: () => undefined as unknown as number, isBad: true },
  { name: 'a text', dispatch: () => '1' as unknown as number, isBad: true },
  {
    name: 'an exception',
    dispatch: (): number => {
      throw new Error('on purpose');
    },
    isBad: true,
  },
  { name: 'a number below 0', dispatch: () => -1, isBad: false },
  { name: 'a number beyond the threads', dispatch: () => 2 ** 40 + 1, isBad: false },
]) {
  test(`a dispatch function that gives ${name} ${isBad ? 'is reported and' : ''} costs nobody the connection`, () => {
    bench = new Bench(2, dispatch);
    for (const fd of [10, 11, 12, 13]) bench.give(fd);
    assert.equal(bench.posted.length, 4);
    assert.deepEqual(bench.closed, []);
    assert.equal(bench.troubled.length, isBad ? 4 : 0);
    const threads = bench.posted.map(({ thread }) => thread);
    assert.deepEqual(threads, isBad ? [0, 1, 0, 1] : [1, 1, 1, 1]);
  });
}
