// The second level of the pool: all connections to one instance, and those who wait for one.
// connection-pool.ts makes one per instance; the client holds on to it and takes connections from it.
// Whatever happens ends in #pump, which serves who waits and dials what is missing: no wake-up can get lost,
// because nobody's turn depends on somebody else's passing it on.
// Clock, timers, chance and dialling come from outside.

import assert from 'node:assert/strict';
import { RpcError, type RpcErrorCode } from '../errors.js';
import type { Instance } from '../instance.js';
import { DialGate } from './dial-gate.js';
import { HostDialler } from './host-dialler.js';
import { instanceName } from './instance-name.js';
import { Members } from './members.js';
import type { CompletePoolOptions, PoolEvent } from './pool-options.js';
import { type HostPoolState, type HostPoolStats, type HostPoolTotals, zeroTotals } from './pool-stats.js';
import type { PoolTime } from './pool-time.js';
import type { Acquirer, Dial, PoolableConnection } from './poolable.js';
import { PooledConnection, type PooledConnectionHost } from './pooled-connection.js';
import { Quarantine } from './quarantine.js';
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
  /** A place among all connections; false: there is none, and if it was urgent `mayDial` comes when there is. */
  takeSlot(host: HostPool<C>, isUrgent: boolean): boolean;
  giveSlot(): void;
  /** It does not need the place any more for which it was refused. */
  dropClaim(host: HostPool<C>): void;
  /** It has left or is closed, and has nothing any more. */
  hostEmptied(host: HostPool<C>): void;
}

export class HostPool<C extends PoolableConnection> implements PooledConnectionHost<C> {
  readonly #owner: HostPoolOwner<C>;
  readonly #time: PoolTime;
  readonly #random: () => number;
  readonly #options: CompletePoolOptions;
  readonly #isExclusive: boolean;
  readonly #gate: DialGate;
  readonly #dialler: HostDialler<C>;
  readonly #members: Members<C>;
  readonly #quarantine: Quarantine;
  readonly #waiters: WaiterQueue<C> = new WaiterQueue();
  readonly #totals: HostPoolTotals = zeroTotals();
  #instance: Instance;
  #phase: 'active' | 'leaving' | 'closed' = 'active';
  #lastDemandMs: number = -Infinity;
  /** All connections are above the soft limit and one more is wanted. */
  #wantsGrowth: boolean = false;
  #wasConnected: boolean = false;
  /** callsMax of the last connection made. */
  #callsPerConnection: number = 1;
  #lastError: RpcError | null = null;
  #dialTimer: unknown = null;
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
    this.#time = time;
    this.#random = random;
    this.#options = options;
    this.#isExclusive = options.mode === 'exclusive';
    this.#gate = new DialGate(random, options);
    this.#members = new Members(options);
    this.#dialler = new HostDialler(dial, time, options.connectTimeoutMs, {
      dialled: (connection) => this.#dialled(connection),
      dialFailed: (error) => this.#dialFailed(error),
    });
    this.#quarantine = new Quarantine(time, random, options, {
      quarantinePaused: () => this.#pump(),
      relayGoesOn: () => this.#pump(),
    });
  }

  get instance(): Instance {
    return this.#instance;
  }

  /** It has a connection that can take a call at once. */
  get isConnected(): boolean {
    return !this.#quarantine.isActive && this.#members.hasRoom;
  }

  get state(): HostPoolState {
    if (this.#phase !== 'active') return this.#phase;
    if (this.#quarantine.isActive) return 'quarantine';
    if (this.#members.lasting > 0) return 'ready';
    if (this.#dialler.size > 0) return 'connecting';
    return this.#gate.isFailing ? 'backoff' : 'idle';
  }

  /** Calls under way on its connections. */
  get callsInFlight(): number {
    return this.#members.callsInFlight;
  }

  /**
   * A connection that takes a call now, or null: then `acquire` or `wait`. In multiplexed mode begin the call before
   * anything is awaited and give nothing back; in exclusive mode `release` it.
   * @param nowMs the pool's clock, for callers who have just read it
   */
  tryAcquire(nowMs: number = this.#time.nowMs()): C | null {
    this.#lastDemandMs = nowMs;
    if (this.#waiters.size > 0 || this.#quarantine.isActive) return null; // nobody overtakes
    const member = this.#members.choose(nowMs);
    if (member === null) return null;
    this.#lend(member, nowMs);
    return member.connection;
  }

  /**
   * Waits in line for a connection. `acquirer` is told how it ended, perhaps before this returns.
   * @returns a handle for `cancel`
   */
  wait(acquirer: Acquirer<C>, options: WaitOptions = {}): Waiter<C> {
    const ownTimeoutMs = this.#options.acquireTimeoutMs + this.#quarantine.waitJitterMs();
    const timeoutMs = Math.min(ownTimeoutMs, Math.max(0, options.timeoutMs ?? Infinity));
    const waiter = new Waiter(acquirer, timeoutMs, options.isFailFast ?? false);
    const refusal = this.#refusal();
    if (refusal !== null) {
      this.#refuse(waiter, refusal);
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
   * RPC_CANCELLED when `signal` was aborted; RPC_UNAUTHENTICATED and its like when the host refuses us; `executed` is
   * always 'no'
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
      const ready = this.tryAcquire();
      if (ready !== null) {
        acquirer.onConnection(ready);
        return;
      }
      const waiter = this.wait(acquirer, options);
      if (waiter.isWaiting) signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Exclusive mode: gives back what was lent. A connection that failed goes to `discard` instead. */
  release(connection: C): void {
    const member = this.#members.find(connection);
    if (member === null) return; // it ended while it was lent
    assert(
      member.state === 'lent' || (this.#isExclusive && member.state === 'draining'),
      'what returns was lent',
    );
    if (member.state === 'draining') {
      connection.close();
    } else {
      member.lastTakenMs = this.#time.nowMs();
      this.#members.reopen(member);
      if (!connection.isUsable) this.#drain(member);
    }
    this.#pump();
  }

  /** Destroys a connection that proved to be broken; counts as a failure of the host. */
  discard(connection: C, error: RpcError): void {
    const member = this.#members.find(connection);
    if (member !== null) this.#lose(member, error);
  }

  /** Makes the first connections although nobody waits yet. */
  warm(): void {
    this.#lastDemandMs = this.#time.nowMs();
    this.#pump();
  }

  stats(): HostPoolStats {
    return {
      instanceId: this.#instance.id,
      state: this.state,
      connections: this.#members.size,
      lent: this.#members.lent,
      verifying: this.#members.verifying,
      draining: this.#members.draining,
      dialling: this.#dialler.size,
      callsInFlight: this.callsInFlight,
      waiting: this.#waiters.size,
      backoffMs: this.#gate.waitMs(this.#time.nowMs()),
      lastError: this.#lastError,
      totals: { ...this.#totals },
    };
  }

  // For connection-pool.ts.

  /** @internal The resolver may know more of it now, such as its weight; it also brings back one that was leaving. */
  listed(instance: Instance): void {
    const hasMoved = !isSameAddress(this.#instance, instance);
    this.#instance = instance;
    if (this.#phase === 'leaving') this.#phase = 'active';
    if (hasMoved) this.#moveOn();
  }

  /** The instance is at another address now: what goes to the old one finishes its calls and takes no more. */
  #moveOn(): void {
    this.#pump(() => {
      const error = refusal('RPC_CONNECT_FAILED', `${this.#name} is at another address now`);
      for (let left = this.#dialler.abortAll(error); left > 0; left -= 1) this.#owner.giveSlot();
      for (const member of this.#members.all()) this.#drain(member);
    });
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
    this.#pump(() => {
      for (const member of this.#members.all()) {
        if (member.state === 'ended') continue; // went with one before it
        this.#remove(member);
        member.connection.destroy(error);
      }
    });
  }

  /** @internal There is a place among all connections again. */
  mayDial(): void {
    this.#pump();
  }

  /** @internal How long its longest idle connection has been idle; -1: none is. */
  longestIdleMs(nowMs: number): number {
    const [longest] = this.#members.idle();
    return longest === undefined ? -1 : nowMs - longest.lastTakenMs;
  }

  /** @internal Makes room for another host. */
  closeLongestIdle(): void {
    const [longest] = this.#members.idle();
    if (longest === undefined) return;
    this.#totals.idled += 1;
    this.#drain(longest);
    this.#pump();
  }

  /** @internal One round of the cleaner. */
  clean(nowMs: number): void {
    this.#pump(() => {
      for (const member of this.#members.open()) {
        if (!member.connection.isUsable) this.#drain(member);
        else if (member.load > 0) member.lastTakenMs = nowMs;
      }
      this.#closeIdle(nowMs);
      this.#closeExpired(nowMs);
    });
  }

  // News of connections.

  /** @internal */
  memberHasCapacity(_member: PooledConnection<C>): void {
    if (this.#waiters.size > 0) this.#pump();
  }

  /** @internal */
  memberUnusable(member: PooledConnection<C>): void {
    this.#drain(member);
    this.#pump();
  }

  /** @internal */
  memberEnded(member: PooledConnection<C>, error: RpcError | null): void {
    if (member.state === 'ended') return;
    const wasLeaving = member.state === 'draining';
    this.#pump(() => {
      this.#remove(member);
      if (error !== null && !wasLeaving) this.#countLoss(member, error);
    });
  }

  // The pump.

  /**
   * Brings everything to rest: serves who can be served, then begins what would let others be served.
   * @param change done first, as one step: what it sets off here waits until it is complete
   */
  #pump(change: () => void = () => {}): void {
    if (this.#isPumping) {
      change();
      this.#pumpAgain = true;
      return;
    }
    this.#isPumping = true;
    try {
      change();
      do {
        this.#pumpAgain = false;
        this.#pumpOnce(this.#time.nowMs());
      } while (this.#pumpAgain);
    } finally {
      this.#isPumping = false;
    }
    this.#checkInvariants();
    if (this.#phase !== 'active' && this.#members.size === 0) this.#owner.hostEmptied(this);
  }

  #pumpOnce(nowMs: number): void {
    if (this.#phase !== 'active') return;
    if (this.#quarantine.isActive) {
      if (!this.#quarantine.isPauseOver || this.#members.verifying > 0) return; // the clean-up goes on
      this.#quarantine.end();
      this.#report({ kind: 'quarantine-ended', instanceId: this.#instance.id });
    }
    this.#serve(nowMs);
    this.#verifyForWaiters(nowMs);
    this.#dialWanted(nowMs);
    this.#failHopeless();
  }

  #serve(nowMs: number): void {
    while (this.#waiters.size > 0 && !this.#quarantine.isActive) {
      const member = this.#members.choose(nowMs);
      if (member === null || !this.#quarantine.takeTurn()) return;
      const waiter = this.#waiters.shift()!;
      this.#time.cancel(waiter.timer);
      this.#lend(member, nowMs);
      guarded(() => waiter.acquirer.onConnection(member.connection));
    }
    if (this.#waiters.size === 0) this.#quarantine.relayDone();
  }

  #lend(member: PooledConnection<C>, nowMs: number): void {
    member.lastTakenMs = nowMs;
    if (this.#isExclusive) {
      this.#members.lend(member);
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
    const member = this.#members.find(connection);
    if (this.#isExclusive || member === null) return;
    member.reserved += 1;
    member.reservedTimer ??= this.#time.runAfter(0, () => {
      member.reservedTimer = null;
      member.reserved = 0;
      this.memberHasCapacity(member);
    });
  }

  /** Who asked not to wait for an unreachable host does not. */
  #failHopeless(): void {
    if (!this.#gate.isFailing || this.#members.lasting > 0 || this.#dialler.size > 0) return;
    for (const waiter of this.#waiters.toArray()) {
      if (waiter.isFailFast && this.#waiters.remove(waiter)) this.#refuse(waiter, this.#connectError());
    }
  }

  #refuse(waiter: Waiter<C>, error: RpcError): void {
    this.#time.cancel(waiter.timer);
    this.#totals.refused += 1;
    guarded(() => waiter.acquirer.onAcquireFailed(error));
  }

  #waiterTimedOut(waiter: Waiter<C>): void {
    if (!this.#waiters.remove(waiter)) return;
    this.#totals.timedOut += 1;
    const error = this.#timeoutError(waiter.timeoutMs);
    guarded(() => waiter.acquirer.onAcquireFailed(error));
    this.#pump();
  }

  // Dialling.

  #dialWanted(nowMs: number): void {
    for (let wanted = this.#dialsWanted(nowMs) - this.#dialler.size; wanted > 0; wanted -= 1) {
      const waitMs = this.#gate.waitMs(nowMs);
      if (waitMs > 0) {
        this.#dialLater(waitMs);
        break;
      }
      if (!this.#owner.takeSlot(this, this.#waiters.size > 0)) return;
      this.#gate.started(nowMs);
      this.#totals.dials += 1;
      this.#dialler.start(this.#instance);
    }
    this.#owner.dropClaim(this);
  }

  /** How many dials should be under way. */
  #dialsWanted(nowMs: number): number {
    const { connectionsMin, connectionsMax, idleTimeoutMs } = this.#options;
    const isInUse = nowMs - this.#lastDemandMs < idleTimeoutMs;
    const forWaiters = this.#connectionsForWaiters(nowMs) - this.#members.verifying;
    const forMinimum = isInUse ? connectionsMin - this.#members.lasting : 0;
    const forAge = isInUse && this.#members.draining === 0 && this.#members.hasExpired(nowMs) ? 1 : 0;
    const forGrowth = this.#wantsGrowth ? 1 : 0;
    const wanted = Math.max(forWaiters, forMinimum, forAge, forGrowth);
    // Of a host that was never or not lately reached one dial will tell as much as ten.
    const isDoubtful = this.#gate.isDoubtful || (!this.#isExclusive && !this.#wasConnected);
    return Math.min(wanted, connectionsMax - this.#members.size, isDoubtful ? 1 : Infinity);
  }

  /** How many more connections could serve all who wait, beside what the open ones will take in a relay. */
  #connectionsForWaiters(nowMs: number): number {
    if (this.#waiters.size === 0) return 0;
    const unserved = this.#waiters.size - this.#members.spareCalls(nowMs);
    if (unserved <= 0) return 0;
    return this.#isExclusive ? unserved : Math.max(1, Math.ceil(unserved / this.#callsPerConnection));
  }

  #dialLater(delayMs: number): void {
    this.#dialTimer ??= this.#time.runAfter(Math.ceil(delayMs), () => {
      this.#dialTimer = null;
      this.#pump();
    });
  }

  #dialled(connection: C): void {
    const nowMs = this.#time.nowMs();
    const { lifetimeMs } = this.#options;
    const expiresMs = lifetimeMs === 0 ? Infinity : nowMs + lifetimeMs * (0.9 + 0.2 * this.#random());
    const member = new PooledConnection(this, connection, nowMs, expiresMs);
    connection.poolListener = member;
    this.#members.add(member);
    this.#gate.succeeded(nowMs);
    this.#wasConnected = true;
    this.#callsPerConnection = Math.max(1, connection.callsMax);
    this.#wantsGrowth = false;
    this.#retireExpired(nowMs);
    this.#pump();
  }

  #dialFailed(error: RpcError): void {
    const nowMs = this.#time.nowMs();
    this.#pump(() => {
      this.#wantsGrowth = false;
      this.#gate.failed(nowMs);
      this.#totals.dialsFailed += 1;
      this.#owner.giveSlot();
      this.#report({ kind: 'connect-failed', instanceId: this.#instance.id, error });
      this.#countFailure(error, nowMs);
    });
  }

  // Verifying.

  #verifyForWaiters(nowMs: number): void {
    const wanted = this.#connectionsForWaiters(nowMs) - this.#members.verifying;
    if (wanted <= 0) return;
    for (const member of this.#members.stale(nowMs).slice(0, wanted)) this.#verify(member);
  }

  #verify(member: PooledConnection<C>): void {
    if (!member.isIdle) return; // one with calls has a keepalive that looks after it
    this.#members.verify(member);
    this.#totals.verified += 1;
    member.connection.ping(this.#options.verifyTimeoutMs).then(
      () => this.#verified(member),
      (error: unknown) => this.#verifyFailed(member, error),
    );
  }

  #verified(member: PooledConnection<C>): void {
    if (member.state !== 'verifying') return;
    member.lastVerifiedMs = this.#time.nowMs();
    this.#members.reopen(member);
    this.#pump();
  }

  /** If one of them did not survive the silence, the others are doubtful: all are pinged at once. */
  #verifyFailed(member: PooledConnection<C>, cause: unknown): void {
    if (member.state !== 'verifying') return;
    for (const other of this.#members.stale(this.#time.nowMs())) this.#verify(other);
    const message = `an idle connection to ${this.#name} did not answer a ping`;
    this.#lose(member, refusal('RPC_KEEPALIVE_TIMEOUT', message, cause));
  }

  // Ending.

  #drain(member: PooledConnection<C>): void {
    if (member.state === 'draining' || member.state === 'ended') return;
    const wasLent = member.state === 'lent';
    this.#members.drain(member);
    if (!wasLent) member.connection.close(); // a borrower finishes first: `release` closes it
  }

  #lose(member: PooledConnection<C>, error: RpcError): void {
    this.#pump(() => {
      this.#remove(member);
      member.connection.destroy(error);
      this.#countLoss(member, error);
    });
  }

  /** Its slot is free from here on. */
  #remove(member: PooledConnection<C>): void {
    this.#members.remove(member);
    if (member.reservedTimer !== null) this.#time.cancel(member.reservedTimer);
    this.#owner.giveSlot();
  }

  #countLoss(member: PooledConnection<C>, error: RpcError): void {
    const nowMs = this.#time.nowMs();
    this.#totals.lost += 1;
    this.#gate.lost(member.createdMs, nowMs);
    this.#report({ kind: 'connection-lost', instanceId: this.#instance.id, error });
    this.#countFailure(error, nowMs);
  }

  #countFailure(error: RpcError, nowMs: number): void {
    this.#lastError = error;
    if (this.#phase === 'active' && this.#quarantine.failed(nowMs)) this.#cleanUp(error);
  }

  /** A quarantine begins: what is broken goes at once, what is idle stays if it answers. */
  #cleanUp(error: RpcError): void {
    this.#totals.quarantines += 1;
    this.#report({ kind: 'quarantine-began', instanceId: this.#instance.id, error });
    for (const member of this.#members.open()) {
      if (!member.connection.isUsable) this.#drain(member);
      else this.#verify(member);
    }
  }

  /** Oldest first, down to the minimum; all of them when the host is not in use. */
  #closeIdle(nowMs: number): void {
    const { connectionsMin, idleTimeoutMs } = this.#options;
    const keep = nowMs - this.#lastDemandMs < idleTimeoutMs ? connectionsMin : 0;
    for (const member of this.#members.idle()) {
      if (nowMs - member.lastTakenMs < idleTimeoutMs || this.#members.lasting <= keep) return;
      this.#totals.idled += 1;
      this.#drain(member);
    }
  }

  /** Where no replacement can or need come first an old connection goes at once. Otherwise #dialled sees to it. */
  #closeExpired(nowMs: number): void {
    const { connectionsMin, idleTimeoutMs } = this.#options;
    const isSpare = this.#members.lasting > connectionsMin || nowMs - this.#lastDemandMs >= idleTimeoutMs;
    if (this.#isFull || isSpare) this.#retireExpired(nowMs);
  }

  /** One at a time, so that age alone never leaves too few. */
  #retireExpired(nowMs: number): void {
    const [oldest] = this.#members.expired(nowMs);
    if (oldest === undefined || this.#members.draining > 0) return;
    this.#totals.expired += 1;
    this.#drain(oldest);
  }

  #end(): void {
    this.#pump(() => {
      const error = this.#refusal()!;
      if (this.#dialTimer !== null) this.#time.cancel(this.#dialTimer);
      this.#dialTimer = null;
      this.#wantsGrowth = false;
      this.#quarantine.close();
      this.#owner.dropClaim(this);
      for (let left = this.#dialler.abortAll(error); left > 0; left -= 1) this.#owner.giveSlot();
      for (const member of this.#members.all()) this.#drain(member);
      for (let waiter = this.#waiters.shift(); waiter !== null; waiter = this.#waiters.shift())
        this.#refuse(waiter, error);
    });
  }

  // Errors.

  #refusal(): RpcError | null {
    if (this.#phase === 'closed') return refusal('RPC_CLOSED', `the pool of ${this.#name} is closed`);
    if (this.#phase === 'leaving') return refusal('RPC_NO_INSTANCE', `${this.#name} is not listed any more`);
    const { waitersMax } = this.#options;
    return this.#waiters.size < waitersMax
      ? null
      : refusal('RPC_QUEUE_FULL', `${waitersMax} calls already wait for a connection to ${this.#name}`);
  }

  #timeoutError(timeoutMs: number): RpcError {
    if (this.#members.lasting === 0 && this.#gate.isFailing) return this.#connectError();
    return refusal(
      'RPC_POOL_TIMEOUT',
      `no connection to ${this.#name} came free within ${Math.round(timeoutMs)} ms ` +
        `(${this.#members.size} of ${this.#options.connectionsMax} connections, ${this.#dialler.size} dialling, ` +
        `${this.callsInFlight} calls in flight, ${this.#waiters.size} others waiting)`,
      this.#lastError,
    );
  }

  /** What trying again cannot mend keeps its code. */
  #connectError(): RpcError {
    const error = this.#lastError;
    if (error !== null && LASTING_ERRORS.has(error.code))
      return refusal(error.code, `${this.#name} refuses us: ${error.message}`, error);
    const why = error?.message ?? 'no attempt has succeeded';
    const code = error?.code === 'RPC_HELLO_TIMEOUT' ? error.code : 'RPC_CONNECT_FAILED'; // it is there, and silent
    return refusal(code, `${this.#name} could not be reached: ${why}`, error);
  }

  #report(event: PoolEvent): void {
    guarded(() => this.#options.onEvent(event));
  }

  get #name(): string {
    return instanceName(this.#instance);
  }

  get #isFull(): boolean {
    return this.#members.size + this.#dialler.size >= this.#options.connectionsMax;
  }

  #checkInvariants(): void {
    assert(this.#members.size + this.#dialler.size <= this.#options.connectionsMax);
    assert(this.#phase === 'active' || this.#waiters.size + this.#dialler.size === 0);
    this.#members.checkInvariants();
  }
}

function isSameAddress(a: Instance, b: Instance): boolean {
  return a.host === b.host && a.port === b.port && a.path === b.path;
}

/** Answers of a host that is there but does not want us, or with which we cannot speak. */
const LASTING_ERRORS: ReadonlySet<RpcErrorCode> = new Set<RpcErrorCode>([
  'RPC_UNAUTHENTICATED',
  'RPC_PERMISSION_DENIED',
  'RPC_VERSION_MISMATCH',
  'RPC_OPTION_INVALID',
]);

/** What a listener throws is its bug: it surfaces as an uncaught exception, and the others are served all the same. */
function guarded(tell: () => void): void {
  try {
    tell();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

function refusal(code: RpcErrorCode, message: string, cause?: unknown): RpcError {
  const hasCause = cause !== undefined && cause !== null;
  return new RpcError(code, message, { executed: 'no', ...(hasCause ? { cause } : {}) });
}

function cancelled(signal: AbortSignal): RpcError {
  return refusal('RPC_CANCELLED', 'the call was cancelled while it waited for a connection', signal.reason);
}
