// The second level of the pool: all connections to one instance, and those who wait for one.
// connection-pool.ts makes one per instance; the client holds on to it and takes connections from it.
// Whatever happens ends in #pump, which serves who waits and dials what is missing: no wake-up can get lost,
// because nobody's turn depends on somebody else's passing it on.
// Clock, timers, chance and dialling come from outside.

import assert from 'node:assert/strict';
import { RpcError } from '../errors.js';
import type { Instance } from '../instance.js';
import { DialGate } from './dial-gate.js';
import { FailureWindow } from './failure-window.js';
import type { CompletePoolOptions } from './pool-options.js';
import { type HostPoolState, type HostPoolStats, type HostPoolTotals, zeroTotals } from './pool-stats.js';
import type { PoolTime } from './pool-time.js';
import type { Acquirer, Dial, PoolableConnection } from './poolable.js';
import {
  fewestCalls,
  lastReturned,
  PooledConnection,
  type PooledConnectionHost,
} from './pooled-connection.js';
import { Waiter, WaiterQueue } from './waiter-queue.js';

export interface WaitOptions {
  /** Ms to wait at most; never more than the pool's acquire timeout. Default: that. */
  timeoutMs?: number;
  /** Fail with RPC_CONNECT_FAILED as soon as the host is known to be unreachable. Default false: wait and see. */
  isFailFast?: boolean;
}

export interface AcquireOptions extends WaitOptions {
  /** Ends the waiting with RPC_CANCELLED. */
  signal?: AbortSignal;
}

/** @internal What a host pool asks of the pool it belongs to. */
export interface HostPoolOwner<C extends PoolableConnection> {
  /** A place among all connections; false: there is none, and `hostMayDial` comes when there is. */
  takeSlot(host: HostPool<C>, isUrgent: boolean): boolean;
  giveSlot(): void;
  /** It has left or is closed, and has nothing any more. */
  hostEmptied(host: HostPool<C>): void;
}

type Phase = 'active' | 'leaving' | 'closed';

interface DialAttempt {
  readonly abort: AbortController;
  timer: unknown;
}

export class HostPool<C extends PoolableConnection> implements PooledConnectionHost<C> {
  readonly #owner: HostPoolOwner<C>;
  readonly #dial: Dial<C>;
  readonly #time: PoolTime;
  readonly #random: () => number;
  readonly #options: CompletePoolOptions;
  readonly #isExclusive: boolean;
  readonly #gate: DialGate;
  readonly #failures: FailureWindow;
  readonly #totals: HostPoolTotals = zeroTotals();
  #instance: Instance;
  #phase: Phase = 'active';

  /** Every connection that exists; with #dialling never more than connectionsMax. */
  readonly #members: Set<PooledConnection<C>> = new Set();
  /** Members in state 'open'; in exclusive mode the one that came back last is the last. */
  readonly #open: PooledConnection<C>[] = [];
  readonly #dialling: Set<DialAttempt> = new Set();
  readonly #waiters: WaiterQueue<C> = new WaiterQueue();
  #verifying: number = 0;
  #draining: number = 0;

  #lastDemandMs: number = -Infinity;
  #wantsGrowth: boolean = false;
  #wasConnected: boolean = false;
  /** callsMax of the last connection made. */
  #callsPerConnection: number = 1;
  #lastError: RpcError | null = null;

  #dialTimer: unknown = null;
  #isQuarantined: boolean = false;
  #quarantineTimer: unknown = null;
  /** After a quarantine: how many waiters are served in one turn, doubling each turn; Infinity otherwise. */
  #relayWidth: number = Infinity;
  #relayLeft: number = Infinity;
  #relayTimer: unknown = null;
  #isPumping: boolean = false;
  #pumpAgain: boolean = false;

  /** @internal */
  constructor(
    instance: Instance,
    owner: HostPoolOwner<C>,
    dial: Dial<C>,
    time: PoolTime,
    random: () => number,
    options: CompletePoolOptions,
  ) {
    this.#instance = instance;
    this.#owner = owner;
    this.#dial = dial;
    this.#time = time;
    this.#random = random;
    this.#options = options;
    this.#isExclusive = options.mode === 'exclusive';
    this.#gate = new DialGate(random, options);
    this.#failures = new FailureWindow(options.quarantineFailures, options.quarantineWindowMs);
  }

  get instance(): Instance {
    return this.#instance;
  }

  /** It has a connection that can take a call at once. */
  get isConnected(): boolean {
    if (this.#isQuarantined) return false;
    for (const member of this.#open) if (member.hasRoom) return true;
    return false;
  }

  get state(): HostPoolState {
    if (this.#phase !== 'active') return this.#phase;
    if (this.#isQuarantined) return 'quarantine';
    if (this.#members.size > this.#draining) return 'ready';
    if (this.#dialling.size > 0) return 'connecting';
    return this.#gate.isFailing ? 'backoff' : 'idle';
  }

  /** Calls under way on its connections. */
  get callsInFlight(): number {
    let calls = 0;
    for (const member of this.#members) calls += member.connection.callsInFlight;
    return calls;
  }

  /**
   * A connection that takes a call now, or null: then `acquire` or `wait`. In multiplexed mode begin the call before
   * anything is awaited and give nothing back; in exclusive mode `release` it.
   * @param nowMs the pool's clock, for callers who have just read it
   */
  tryAcquire(nowMs: number = this.#time.nowMs()): C | null {
    this.#lastDemandMs = nowMs;
    if (this.#waiters.size > 0 || this.#isQuarantined) return null; // nobody overtakes
    const member = this.#choose(nowMs);
    if (member === null) return null;
    this.#lend(member, nowMs);
    return member.connection;
  }

  /**
   * Waits in line for a connection. `acquirer` is told how it ended, perhaps before this returns.
   * @returns a handle for `cancel`
   */
  wait(acquirer: Acquirer<C>, options: WaitOptions = {}): Waiter<C> {
    const ownTimeoutMs = this.#options.acquireTimeoutMs + this.#quarantineJitterMs();
    const timeoutMs = Math.min(ownTimeoutMs, Math.max(0, options.timeoutMs ?? Infinity));
    const waiter = new Waiter(acquirer, timeoutMs, options.isFailFast ?? false);
    const refusal = this.#refusal();
    if (refusal !== null) {
      this.#totals.refused += 1;
      waiter.fail(refusal);
      return waiter;
    }
    this.#lastDemandMs = this.#time.nowMs();
    this.#totals.waited += 1;
    this.#waiters.push(waiter);
    waiter.timer = this.#time.runAfter(timeoutMs, () => this.#waiterTimedOut(waiter));
    this.#pump();
    return waiter;
  }

  /** Stops waiting; nothing is called any more. False when it had ended already. */
  cancel(waiter: Waiter<C>): boolean {
    if (!this.#waiters.remove(waiter)) return false;
    this.#time.cancel(waiter.timer);
    this.#pump();
    return true;
  }

  /**
   * The same as a promise. In multiplexed mode a place on the connection is kept until the next turn of the event
   * loop: begin the call before that.
   * @throws RpcError RPC_POOL_TIMEOUT, RPC_CONNECT_FAILED, RPC_QUEUE_FULL, RPC_NO_INSTANCE, RPC_CLOSED, or
   * RPC_CANCELLED when `signal` was aborted; `executed` is always 'no'
   */
  acquire(options: AcquireOptions = {}): Promise<C> {
    const { signal } = options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(cancelled(signal));
        return;
      }
      const onAbort = (): void => {
        if (this.cancel(waiter)) reject(cancelled(signal!));
      };
      const ready = this.tryAcquire();
      if (ready !== null) {
        this.#reserve(ready);
        resolve(ready);
        return;
      }
      const acquirer: Acquirer<C> = {
        onConnection: (connection) => {
          signal?.removeEventListener('abort', onAbort);
          this.#reserve(connection);
          resolve(connection);
        },
        onAcquireFailed: (error) => {
          signal?.removeEventListener('abort', onAbort);
          reject(error);
        },
      };
      const waiter = this.wait(acquirer, options);
      if (waiter.isWaiting) signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Exclusive mode: gives back what was lent. A connection that fails is destroyed by `discard` instead. */
  release(connection: C): void {
    const member = this.#memberOf(connection);
    if (member === null) return; // it ended while it was lent
    assert(
      this.#isExclusive && (member.state === 'lent' || member.state === 'draining'),
      'what returns was lent',
    );
    if (member.state === 'draining') {
      connection.close();
    } else {
      member.state = 'open';
      member.lastTakenMs = this.#time.nowMs();
      this.#open.push(member);
      if (!connection.isUsable) this.#drain(member);
    }
    this.#pump();
  }

  /** Destroys a connection that proved to be broken; counts as a failure of the host. */
  discard(connection: C, error: RpcError): void {
    const member = this.#memberOf(connection);
    if (member !== null) this.#lose(member, error);
  }

  /** Makes a first connection although nobody waits yet. */
  warm(): void {
    this.#lastDemandMs = this.#time.nowMs();
    this.#pump();
  }

  stats(): HostPoolStats {
    return {
      instanceId: this.#instance.id,
      state: this.state,
      connections: this.#members.size,
      lent: this.#lentCount(),
      verifying: this.#verifying,
      draining: this.#draining,
      dialling: this.#dialling.size,
      callsInFlight: this.callsInFlight,
      waiting: this.#waiters.size,
      backoffMs: this.#gate.waitMs(this.#time.nowMs()),
      lastError: this.#lastError,
      totals: { ...this.#totals },
    };
  }

  // From here on: for connection-pool.ts.

  /** @internal The resolver may know more of it now, such as its weight; it also brings back one that was leaving. */
  listed(instance: Instance): void {
    this.#instance = instance;
    if (this.#phase === 'leaving') this.#phase = 'active';
  }

  /** @internal Not listed any more: its calls finish, nothing new begins. */
  leave(): void {
    if (this.#phase !== 'active') return;
    this.#phase = 'leaving';
    this.#end();
  }

  /** @internal Like `leave`, for good. */
  close(): void {
    this.#phase = 'closed';
    this.#end();
  }

  /** @internal Ends what `close` has left. */
  destroy(error: RpcError): void {
    this.close();
    for (const member of this.#members) {
      this.#remove(member);
      member.connection.destroy(error);
    }
    this.#pump();
  }

  get isEmpty(): boolean {
    return this.#members.size === 0 && this.#dialling.size === 0;
  }

  /** @internal There is a place among all connections again. */
  mayDial(): void {
    this.#pump();
  }

  /** @internal How long its longest idle connection has been idle; -1: none is. */
  longestIdleMs(nowMs: number): number {
    const member = this.#longestIdle();
    return member === null ? -1 : nowMs - member.lastTakenMs;
  }

  /** @internal Makes room for another host. */
  closeLongestIdle(): void {
    const member = this.#longestIdle();
    if (member === null) return;
    this.#totals.idled += 1;
    this.#drain(member);
    this.#pump();
  }

  /** @internal One round of the cleaner. */
  clean(nowMs: number): void {
    for (const member of this.#open.slice()) {
      if (!member.connection.isUsable) this.#drain(member);
      else if (member.load > 0) member.lastTakenMs = nowMs;
    }
    this.#closeIdle(nowMs);
    this.#closeExpired(nowMs);
    this.#pump();
  }

  // What happens to connections.

  memberHasCapacity(_member: PooledConnection<C>): void {
    if (this.#waiters.size > 0) this.#pump();
  }

  memberUnusable(member: PooledConnection<C>): void {
    if (member.state === 'ended' || member.state === 'draining') return;
    this.#drain(member);
    this.#pump();
  }

  memberEnded(member: PooledConnection<C>, error: RpcError | null): void {
    if (member.state === 'ended') return;
    const wasWanted = member.state === 'draining';
    this.#remove(member);
    if (error !== null && !wasWanted) this.#countLoss(member, error);
    this.#pump();
  }

  // Lending.

  #choose(nowMs: number): PooledConnection<C> | null {
    return this.#isExclusive
      ? lastReturned(this.#open, nowMs, this.#options.verifyAfterMs)
      : fewestCalls(this.#open, nowMs, this.#options.verifyAfterMs);
  }

  #lend(member: PooledConnection<C>, nowMs: number): void {
    member.lastTakenMs = nowMs;
    if (this.#isExclusive) {
      member.state = 'lent';
      removeFrom(this.#open, member);
    } else if (
      member.load >= this.#options.callsPerConnectionSoftMax &&
      !this.#wantsGrowth &&
      !this.#isFull
    ) {
      this.#wantsGrowth = true;
      this.#pump();
    }
  }

  /** Whoever awaits a promise begins its call a little later; until then its place is not given away again. */
  #reserve(connection: C): void {
    const member = this.#memberOf(connection);
    if (this.#isExclusive || member === null) return;
    member.reserved += 1;
    member.reservedTimer ??= this.#time.runAfter(0, () => {
      member.reservedTimer = null;
      member.reserved = 0;
      this.memberHasCapacity(member);
    });
  }

  #refusal(): RpcError | null {
    if (this.#phase === 'closed') return refused('RPC_CLOSED', `the pool of ${this.#name} is closed`);
    if (this.#phase === 'leaving') return refused('RPC_NO_INSTANCE', `${this.#name} is not listed any more`);
    const { waitersMax } = this.#options;
    return this.#waiters.size < waitersMax
      ? null
      : refused('RPC_QUEUE_FULL', `${waitersMax} calls already wait for a connection to ${this.#name}`);
  }

  #waiterTimedOut(waiter: Waiter<C>): void {
    if (!this.#waiters.remove(waiter)) return;
    this.#totals.timedOut += 1;
    this.#settle(() => waiter.fail(this.#timeoutError(waiter)));
    this.#pump();
  }

  #timeoutError(waiter: Waiter<C>): RpcError {
    if (this.#members.size === 0 && this.#gate.isFailing) return this.#connectError();
    const { connectionsMax } = this.#options;
    return refused(
      'RPC_POOL_TIMEOUT',
      `no connection to ${this.#name} came free within ${Math.round(waiter.timeoutMs)} ms ` +
        `(${this.#members.size} of ${connectionsMax} connections, ${this.#dialling.size} dialling, ` +
        `${this.callsInFlight} calls in flight, ${this.#waiters.size} waiting)`,
      this.#lastError,
    );
  }

  #connectError(): RpcError {
    const why = this.#lastError === null ? 'no attempt has succeeded' : this.#lastError.message;
    return refused('RPC_CONNECT_FAILED', `${this.#name} could not be reached: ${why}`, this.#lastError);
  }

  // The pump.

  /** Brings everything to rest: serves who can be served, then begins what would let others be served. */
  #pump(): void {
    if (this.#isPumping) {
      this.#pumpAgain = true;
      return;
    }
    this.#isPumping = true;
    try {
      do {
        this.#pumpAgain = false;
        const nowMs = this.#time.nowMs();
        this.#serve(nowMs);
        if (this.#phase === 'active' && !this.#isQuarantined) {
          this.#verifyForWaiters(nowMs);
          this.#dialWanted(nowMs);
          this.#failHopeless();
        }
      } while (this.#pumpAgain);
    } finally {
      this.#isPumping = false;
    }
    this.#checkInvariants();
    if (this.#phase !== 'active' && this.isEmpty) this.#owner.hostEmptied(this);
  }

  #serve(nowMs: number): void {
    while (this.#waiters.size > 0 && !this.#isQuarantined) {
      const member = this.#choose(nowMs);
      if (member === null) return;
      if (this.#relayLeft === 0) {
        this.#relayTimer ??= this.#time.runAfter(0, () => this.#continueRelay());
        return;
      }
      this.#relayLeft -= 1;
      const waiter = this.#waiters.shift()!;
      this.#time.cancel(waiter.timer);
      this.#lend(member, nowMs);
      this.#settle(() => waiter.acquirer.onConnection(member.connection));
    }
    if (!this.#isQuarantined && this.#waiters.size === 0) this.#relayWidth = this.#relayLeft = Infinity;
  }

  #continueRelay(): void {
    this.#relayTimer = null;
    this.#relayWidth *= 2;
    this.#relayLeft = this.#relayWidth;
    this.#pump();
  }

  /** What a listener throws is its bug; it surfaces, and the others are served all the same. */
  #settle(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  /** Who asked not to wait for an unreachable host does not. */
  #failHopeless(): void {
    const hasHope = this.#members.size > this.#draining || this.#dialling.size > 0;
    if (!this.#gate.isFailing || hasHope) return;
    for (const waiter of this.#waiters.toArray()) {
      if (!waiter.isFailFast || !this.#waiters.remove(waiter)) continue;
      this.#time.cancel(waiter.timer);
      this.#totals.refused += 1;
      this.#settle(() => waiter.fail(this.#connectError()));
    }
  }

  // Dialling.

  #dialWanted(nowMs: number): void {
    let wanted = this.#dialsWanted(nowMs) - this.#dialling.size;
    while (wanted > 0) {
      const waitMs = this.#gate.waitMs(nowMs);
      if (waitMs > 0) {
        this.#pumpAfter(waitMs);
        return;
      }
      if (!this.#owner.takeSlot(this, this.#waiters.size > 0)) return;
      this.#startDial(nowMs);
      wanted -= 1;
    }
  }

  /** How many dials should be under way. */
  #dialsWanted(nowMs: number): number {
    const isInUse = this.#isInUse(nowMs);
    const forMinimum = isInUse ? this.#options.connectionsMin - (this.#members.size - this.#draining) : 0;
    const forAge = isInUse && this.#draining === 0 && this.#expired(nowMs) !== null ? 1 : 0;
    const forGrowth = this.#wantsGrowth ? 1 : 0;
    let wanted = Math.max(
      this.#connectionsForWaiters(nowMs) - this.#verifying,
      forMinimum,
      forAge,
      forGrowth,
      0,
    );
    // Of a host that was never or not lately reached one dial will tell as much as ten.
    if (this.#gate.isFailing || (!this.#isExclusive && !this.#wasConnected)) wanted = Math.min(wanted, 1);
    return Math.min(wanted, this.#options.connectionsMax - this.#members.size);
  }

  /** How many more connections could serve all who wait, beside what the open ones will take. */
  #connectionsForWaiters(nowMs: number): number {
    let unserved = this.#waiters.size;
    if (unserved === 0) return 0;
    const { verifyAfterMs } = this.#options;
    for (const member of this.#open) {
      if (!member.hasRoom || !member.isFresh(nowMs, verifyAfterMs)) continue;
      unserved -= this.#isExclusive ? 1 : member.connection.callsMax - member.load; // only in a relay there is any
    }
    if (unserved <= 0) return 0;
    return this.#isExclusive ? unserved : Math.max(1, Math.ceil(unserved / this.#callsPerConnection));
  }

  #isInUse(nowMs: number): boolean {
    return nowMs - this.#lastDemandMs < this.#options.idleTimeoutMs;
  }

  #pumpAfter(delayMs: number): void {
    this.#dialTimer ??= this.#time.runAfter(Math.ceil(delayMs), () => {
      this.#dialTimer = null;
      this.#pump();
    });
  }

  #startDial(nowMs: number): void {
    const attempt: DialAttempt = { abort: new AbortController(), timer: null };
    this.#dialling.add(attempt); // the slot is taken before anything is awaited
    this.#gate.started(nowMs);
    this.#totals.dials += 1;
    const { connectTimeoutMs } = this.#options;
    attempt.timer = this.#time.runAfter(connectTimeoutMs, () => {
      this.#dialFailed(
        attempt,
        refused('RPC_CONNECT_FAILED', `${this.#name} did not answer within ${connectTimeoutMs} ms`),
      );
    });
    const dial = async (): Promise<C> => this.#dial(this.#instance, attempt.abort.signal);
    dial().then(
      (connection) => this.#dialled(attempt, connection),
      (error: unknown) => this.#dialFailed(attempt, this.#asConnectError(error)),
    );
  }

  #dialled(attempt: DialAttempt, connection: C): void {
    if (!this.#dialling.has(attempt)) {
      connection.destroy(refused('RPC_CLOSED', 'the connection came up after the pool had given it up'));
      return;
    }
    if (!connection.isUsable) {
      const error = refused(
        'RPC_CONNECT_FAILED',
        `the connection to ${this.#name} ended as soon as it was up`,
      );
      connection.destroy(error);
      this.#dialFailed(attempt, error);
      return;
    }
    this.#dialling.delete(attempt); // its slot goes to the member
    this.#time.cancel(attempt.timer);
    const nowMs = this.#time.nowMs();
    const { lifetimeMs } = this.#options;
    const expiresMs = lifetimeMs === 0 ? Infinity : nowMs + lifetimeMs * (0.9 + 0.2 * this.#random());
    const member = new PooledConnection(this, connection, nowMs, expiresMs);
    connection.poolListener = member;
    this.#members.add(member);
    this.#open.push(member);
    this.#gate.succeeded(nowMs);
    this.#wasConnected = true;
    this.#callsPerConnection = Math.max(1, connection.callsMax);
    this.#wantsGrowth = false;
    this.#retireExpired(nowMs);
    this.#pump();
  }

  #dialFailed(attempt: DialAttempt, error: RpcError): void {
    if (!this.#dialling.delete(attempt)) return;
    this.#time.cancel(attempt.timer);
    attempt.abort.abort(error);
    const nowMs = this.#time.nowMs();
    this.#wantsGrowth = false;
    this.#gate.failed(nowMs);
    this.#totals.dialsFailed += 1;
    this.#owner.giveSlot();
    this.#settle(() =>
      this.#options.onEvent({ kind: 'connect-failed', instanceId: this.#instance.id, error }),
    );
    this.#countFailure(error, nowMs);
    this.#pump();
  }

  #asConnectError(error: unknown): RpcError {
    if (error instanceof RpcError) return error;
    const text = error instanceof Error ? error.message : String(error);
    return refused('RPC_CONNECT_FAILED', `connecting to ${this.#name} failed: ${text}`, error);
  }

  // Verifying.

  #verifyForWaiters(nowMs: number): void {
    let wanted = this.#connectionsForWaiters(nowMs) - this.#verifying;
    for (let index = this.#open.length - 1; index >= 0 && wanted > 0; index -= 1) {
      const member = this.#open[index]!;
      if (member.hasRoom && !member.isFresh(nowMs, this.#options.verifyAfterMs)) {
        this.#verify(member);
        wanted -= 1;
      }
    }
  }

  #verify(member: PooledConnection<C>): void {
    removeFrom(this.#open, member);
    member.state = 'verifying';
    this.#verifying += 1;
    this.#totals.verified += 1;
    member.connection.ping(this.#options.verifyTimeoutMs).then(
      () => this.#verified(member),
      (error: unknown) => this.#verifyFailed(member, error),
    );
  }

  #verified(member: PooledConnection<C>): void {
    if (member.state !== 'verifying') return;
    this.#verifying -= 1;
    member.state = 'open';
    member.lastVerifiedMs = this.#time.nowMs();
    this.#open.push(member);
    this.#leaveQuarantine();
    this.#pump();
  }

  /** If one of them did not survive the silence, the others are doubtful: all are pinged at once. */
  #verifyFailed(member: PooledConnection<C>, cause: unknown): void {
    if (member.state !== 'verifying') return;
    const error = refused(
      'RPC_KEEPALIVE_TIMEOUT',
      `an idle connection to ${this.#name} did not answer a ping`,
      cause,
    );
    const nowMs = this.#time.nowMs();
    for (const other of this.#open.slice()) {
      if (other.isIdle && !other.isFresh(nowMs, this.#options.verifyAfterMs)) this.#verify(other);
    }
    this.#lose(member, error);
  }

  // Ending.

  #drain(member: PooledConnection<C>): void {
    const wasLent = member.state === 'lent';
    this.#takeOut(member);
    member.state = 'draining';
    this.#draining += 1;
    if (!wasLent) member.connection.close(); // a borrower finishes first: release() closes it
    this.#leaveQuarantine();
  }

  #lose(member: PooledConnection<C>, error: RpcError): void {
    this.#remove(member);
    member.connection.destroy(error);
    this.#countLoss(member, error);
    this.#pump();
  }

  /** Its slot is free from here on. */
  #remove(member: PooledConnection<C>): void {
    this.#takeOut(member);
    member.state = 'ended';
    if (member.reservedTimer !== null) this.#time.cancel(member.reservedTimer);
    this.#members.delete(member);
    this.#owner.giveSlot();
    this.#leaveQuarantine();
  }

  #takeOut(member: PooledConnection<C>): void {
    if (member.state === 'open') removeFrom(this.#open, member);
    else if (member.state === 'verifying') this.#verifying -= 1;
    else if (member.state === 'draining') this.#draining -= 1;
  }

  #countLoss(member: PooledConnection<C>, error: RpcError): void {
    const nowMs = this.#time.nowMs();
    this.#totals.lost += 1;
    this.#gate.lost(member.createdMs, nowMs);
    this.#settle(() =>
      this.#options.onEvent({ kind: 'connection-lost', instanceId: this.#instance.id, error }),
    );
    this.#countFailure(error, nowMs);
  }

  #closeIdle(nowMs: number): void {
    const keep = this.#isInUse(nowMs) ? this.#options.connectionsMin : 0;
    const idle = this.#open
      .filter((member) => member.isIdle && nowMs - member.lastTakenMs >= this.#options.idleTimeoutMs)
      .toSorted((one, other) => one.lastTakenMs - other.lastTakenMs);
    for (const member of idle) {
      if (this.#members.size - this.#draining <= keep) return;
      this.#totals.idled += 1;
      this.#drain(member);
    }
  }

  /** An old connection goes at once where no replacement can or need come first, one at a time. */
  #closeExpired(nowMs: number): void {
    const isSpare = this.#members.size - this.#draining > this.#options.connectionsMin;
    if (this.#isFull || isSpare || !this.#isInUse(nowMs)) this.#retireExpired(nowMs);
  }

  #retireExpired(nowMs: number): void {
    if (this.#draining > 0) return; // one at a time
    const member = this.#expired(nowMs);
    if (member === null) return;
    this.#totals.expired += 1;
    this.#drain(member);
  }

  #expired(nowMs: number): PooledConnection<C> | null {
    let oldest: PooledConnection<C> | null = null;
    for (const member of this.#open) {
      if (member.expiresMs <= nowMs && member.createdMs < (oldest?.createdMs ?? Infinity)) oldest = member;
    }
    return oldest;
  }

  #longestIdle(): PooledConnection<C> | null {
    let longest: PooledConnection<C> | null = null;
    for (const member of this.#open) {
      if (member.isIdle && member.lastTakenMs < (longest?.lastTakenMs ?? Infinity)) longest = member;
    }
    return longest;
  }

  #end(): void {
    const refusal = this.#refusal()!;
    for (const attempt of this.#dialling) {
      this.#dialling.delete(attempt);
      this.#time.cancel(attempt.timer);
      attempt.abort.abort(refusal);
      this.#owner.giveSlot();
    }
    for (const timer of [this.#dialTimer, this.#quarantineTimer, this.#relayTimer]) {
      if (timer !== null) this.#time.cancel(timer);
    }
    this.#dialTimer = this.#quarantineTimer = this.#relayTimer = null;
    this.#isQuarantined = false;
    this.#wantsGrowth = false;
    for (const member of this.#members) if (member.state !== 'draining') this.#drain(member);
    for (let waiter = this.#waiters.shift(); waiter !== null; waiter = this.#waiters.shift()) {
      this.#time.cancel(waiter.timer);
      this.#totals.refused += 1;
      const leaving = waiter;
      this.#settle(() => leaving.fail(refusal));
    }
    this.#pump();
  }

  // Quarantine.

  #countFailure(error: RpcError, nowMs: number): void {
    this.#lastError = error;
    if (this.#failures.record(nowMs) && !this.#isQuarantined && this.#phase === 'active')
      this.#beginQuarantine(error);
  }

  /** The clean-up begins at once: what is broken goes, what is idle and healthy stays once it has answered. */
  #beginQuarantine(error: RpcError): void {
    this.#isQuarantined = true;
    this.#totals.quarantines += 1;
    this.#settle(() =>
      this.#options.onEvent({ kind: 'quarantine-began', instanceId: this.#instance.id, error }),
    );
    this.#quarantineTimer = this.#time.runAfter(this.#random() * this.#options.quarantineJitterMs, () => {
      this.#quarantineTimer = null;
      this.#leaveQuarantine();
      this.#pump();
    });
    for (const member of this.#open.slice()) {
      if (!member.connection.isUsable) this.#drain(member);
      else if (member.isIdle) this.#verify(member);
    }
  }

  /** Once the clean-up is done and the pause is over; from then on waiters are served one, two, four… in a turn. */
  #leaveQuarantine(): void {
    if (!this.#isQuarantined || this.#quarantineTimer !== null || this.#verifying > 0) return;
    this.#isQuarantined = false;
    this.#failures.clear();
    this.#relayWidth = this.#relayLeft = 1;
    this.#settle(() => this.#options.onEvent({ kind: 'quarantine-ended', instanceId: this.#instance.id }));
    this.#pumpAgain = true;
  }

  #quarantineJitterMs(): number {
    return this.#isQuarantined ? this.#random() * this.#options.quarantineJitterMs : 0;
  }

  #lentCount(): number {
    return this.#members.size - this.#open.length - this.#verifying - this.#draining;
  }

  get #isFull(): boolean {
    return this.#members.size + this.#dialling.size >= this.#options.connectionsMax;
  }

  #memberOf(connection: C): PooledConnection<C> | null {
    const member = connection.poolListener;
    return member instanceof PooledConnection && this.#members.has(member) ? member : null;
  }

  get #name(): string {
    const { id, host, port, path } = this.#instance;
    const where = path ?? `${host}:${port}`;
    return id === where ? where : `${id} (${where})`;
  }

  #checkInvariants(): void {
    assert(this.#members.size + this.#dialling.size <= this.#options.connectionsMax);
    assert(this.#lentCount() >= 0 && (this.#isExclusive || this.#lentCount() === 0));
    assert(this.#phase === 'active' || this.#waiters.size === 0);
  }
}

function removeFrom<T>(list: T[], item: T): void {
  const index = list.lastIndexOf(item);
  assert(index >= 0);
  list.splice(index, 1);
}

function refused(
  code: ConstructorParameters<typeof RpcError>[0],
  message: string,
  cause?: unknown,
): RpcError {
  return new RpcError(code, message, {
    executed: 'no',
    ...(cause === undefined || cause === null ? {} : { cause }),
  });
}

function cancelled(signal: AbortSignal): RpcError {
  return refused('RPC_CANCELLED', 'the call was cancelled while it waited for a connection', signal.reason);
}
