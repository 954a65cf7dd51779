// The client of the key-value store: remembers the leader, repeats what may be repeated, and says plainly when it does not
// know whether a write was carried out. Operations are in operations.ts; members, sessions and watches in files of their own.
// docs/kv-client.md tells what is promised.

import { KvError, type KvErrorCode } from '../errors.js';
import { type ExecuteResponse, type LeaseResult, ReadLevel } from '../proto/kv.js';
import { ClerkAdmin } from './admin.js';
import { ClerkCaller, closed } from './clerk-caller.js';
import { type ClerkOptions, type CompleteClerkOptions, completeClerkOptions } from './clerk-options.js';
import { type ClerkParts, REAL_PARTS } from './clerk-parts.js';
import { ClerkSessions, type WriteTimes } from './clerk-sessions.js';
import {
  type CasAnswer,
  type DeleteAnswer,
  type Expected,
  type KeySpan,
  op,
  type Operation,
  type PutAnswer,
  type PutOptions,
  type RangeAnswer,
  type RangeOptions,
  type SequentialAnswer,
  write,
} from './operations.js';
import type { BytesLike, KvPair } from './pair.js';
import { Lease, type LeaseOptions } from './lease.js';
import { ClerkTree } from './tree.js';
import { Txn, type TxnAnswer } from './txn.js';
import { ClerkWatch, type WatchOptions, type WatchTarget } from './watch.js';

export type ReadName = 'linearizable' | 'lease' | 'stale';

export interface RequestOptions {
  /** Default: that of the clerk. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface ReadOptions extends RequestOptions {
  /** Default 'linearizable'. */
  readonly level?: ReadName;
}

/** What is true of an answer whatever the operation. */
export interface Answered<A> {
  readonly answer: A;
  /** Of the store when the answer was made. */
  readonly revision: number;
  /** The store's time, in milliseconds since the Unix epoch. */
  readonly timeMs: number;
  /** It may be older than writes that were answered before. */
  readonly isStale: boolean;
}

const LEVELS: Readonly<Record<ReadName, ReadLevel>> = {
  linearizable: ReadLevel.LINEARIZABLE,
  lease: ReadLevel.LEASE,
  stale: ReadLevel.STALE,
};
const SESSIONS_MAX = 4;

export class Clerk {
  readonly #options: CompleteClerkOptions;
  readonly #caller: ClerkCaller;
  readonly #sessions: ClerkSessions | null;
  /** For operators. */
  readonly admin: ClerkAdmin;
  /** Nodes at paths, as in ZooKeeper. */
  readonly tree: ClerkTree;
  readonly #leases = new Set<Lease>();

  /** Connects to nothing yet. `parts` are for simulations. @throws KvError KV_OPTION_INVALID */
  constructor(options: ClerkOptions, parts: ClerkParts = REAL_PARTS) {
    this.#options = completeClerkOptions(options);
    this.#caller = new ClerkCaller(this.#options, parts);
    this.admin = new ClerkAdmin(this.#caller, this.#options.timeoutMs);
    this.tree = new ClerkTree((operation, options) => this.execute(operation, options));
    const { session, sessionTtlMs: ttlMs } = this.#options;
    this.#sessions = session ? new ClerkSessions(this.#caller, { ttlMs, sessionsMax: SESSIONS_MAX }) : null;
  }

  /** Address of the member that leads, as far as is known; '' else. */
  get leader(): string {
    return this.#caller.choice.leader;
  }

  /** Id of the cluster whose members alone are believed; '' until one has answered. */
  get clusterId(): string {
    return this.#caller.cluster.id;
  }

  /** Null: there is no such key. @throws KvError KV_WRONG_TYPE where it holds no string */
  get(key: BytesLike, options: ReadOptions = {}): Promise<KvPair | null> {
    return this.execute(op.get(key), options);
  }

  put(key: BytesLike, value: BytesLike, options: PutOptions & RequestOptions = {}): Promise<PutAnswer> {
    return this.execute(op.put(key, value, options), options);
  }

  /** Makes the key where there is none; gives the bytes of the whole value. */
  async append(key: BytesLike, value: BytesLike, options: RequestOptions = {}): Promise<number> {
    return (await this.execute(op.append(key, value), options)).length;
  }

  /** Gives whether there was such a key. */
  async delete(key: BytesLike, options: RequestOptions = {}): Promise<boolean> {
    return (await this.execute(op.delete(key), options)).deleted > 0;
  }

  /** As one step; at most 100,000 keys, then `more` is set. */
  deleteRange(
    span: KeySpan,
    options: RequestOptions & { wantPrevious?: boolean; limit?: number } = {},
  ): Promise<DeleteAnswer> {
    return this.execute(op.deleteRange(span, options), options);
  }

  /** @param newValue null deletes the key */
  compareAndSet(
    key: BytesLike,
    expected: Expected,
    newValue: BytesLike | null,
    options: Pick<PutOptions, 'lease' | 'ttlMs' | 'keepLease' | 'keepTtl'> & RequestOptions = {},
  ): Promise<CasAnswer> {
    return this.execute(op.compareAndSet(key, expected, newValue, options), options);
  }

  /** Counts a ttl from now; 0: the key stays for good. Gives whether there is such a key. */
  touch(key: BytesLike, ttlMs: number, options: RequestOptions = {}): Promise<boolean> {
    return this.execute(op.touch(key, ttlMs), options);
  }

  /** The key is the prefix and its next number, in ten digits. */
  putSequential(
    prefix: BytesLike,
    value: BytesLike,
    options: Pick<PutOptions, 'lease' | 'ttlMs'> & RequestOptions = {},
  ): Promise<SequentialAnswer> {
    return this.execute(op.putSequential(prefix, value, options), options);
  }

  /** `clerk.txn().if(when.absent('a')).do(op.put('a', '1')).else(op.get('a')).commit()` */
  txn(options: RequestOptions = {}): Txn {
    return new Txn((operation: Operation<TxnAnswer>) => this.execute(operation, options));
  }

  /** One page. */
  range(span: KeySpan, options: RangeOptions & ReadOptions = {}): Promise<RangeAnswer> {
    return this.execute(op.range(span, options), options);
  }

  async count(span: KeySpan, options: RangeOptions & ReadOptions = {}): Promise<number> {
    return (await this.execute(op.count(span, options), options)).count;
  }

  /** All keys of a span, page by page: what is written meanwhile may or may not be among them. `limit` is that of a page. */
  async *scan(
    span: KeySpan,
    options: RangeOptions & ReadOptions = {},
  ): AsyncGenerator<KvPair, void, undefined> {
    let { after } = options;
    for (;;) {
      const { pairs, more, lastKey } = await this.range(
        span,
        after === undefined ? options : { ...options, after },
      );
      yield* pairs;
      if (!more) return;
      after = lastKey;
    }
  }

  /**
   * Changes as they happen, from `from` on, each once and in order, whatever becomes of members and connections.
   * `for await (const event of clerk.watch({ prefix: 'users/' })) …`
   */
  watch(target: WatchTarget, options: WatchOptions = {}): ClerkWatch {
    const { backoffFirstMs: firstMs, backoffMaxMs: maxMs, random } = this.#options;
    return new ClerkWatch(this.#caller, { backoff: { firstMs, maxMs }, random }, target, options);
  }

  /** A lease that is kept alive until it is revoked, or lost, of which its signal tells. @throws KvError KV_LEASES_FULL */
  async lease({ ttlMs }: LeaseOptions, options: RequestOptions = {}): Promise<Lease> {
    const sentMs = this.#caller.clock.nowMs();
    const granted = await this.#grant(ttlMs, options);
    const id = Number(granted.id);
    const lease = new Lease(
      this.#caller,
      { id, ttlMs: Number(granted.ttlMs), sentMs },
      () => this.revokeLease(id),
      (ended) => this.#leases.delete(ended),
    );
    this.#leases.add(lease);
    return lease;
  }

  /** Grants a lease that the caller keeps alive, by its id: `lease()` does that by itself. @throws KvError KV_LEASES_FULL */
  async grantLease(ttlMs: number, options: RequestOptions = {}): Promise<number> {
    return Number((await this.#grant(ttlMs, options)).id);
  }

  /** Gives the milliseconds that each lease lasts from now; 0: there is none. At most 1,000 at a time. */
  async renewLeases(ids: readonly number[], options: RequestOptions = {}): Promise<readonly number[]> {
    const operation = write({ leaseKeepAlive: { ids: ids.map(BigInt) } }, ({ leases }) =>
      (leases?.leases ?? []).map(({ remainingMs }) => Number(remainingMs)),
    );
    const response = await this.#caller.call<ExecuteResponse>({
      ...this.#times(options),
      repetition: 'harmless',
      send: (client, attempt) => client.execute({ command: operation.command }, attempt),
    });
    return answerOf(operation, response);
  }

  /** Ends a lease with its keys; one that is over is no error. */
  async revokeLease(id: number, options: RequestOptions = {}): Promise<void> {
    try {
      await this.execute(
        write({ leaseRevoke: { id: BigInt(id) } }, () => undefined),
        options,
      );
    } catch (error) {
      if (!(error instanceof KvError) || error.code !== 'KV_LEASE_NOT_FOUND') throw error;
    }
  }

  /** Renews all its leases now; they are renewed in time anyway. Those that are lost say so by their signals. */
  async keepLeasesAlive(): Promise<void> {
    await Promise.allSettled([...this.#leases].map((lease) => lease.keepAlive()));
  }

  /**
   * Carries out any operation.
   * @throws KvError the store's own; KV_OUTCOME_UNKNOWN and KV_SESSION_EXPIRED: a write may have been carried out, or may
   *   be later; KV_UNREACHABLE, KV_CLUSTER_FOREIGN, KV_NO_LEADER, KV_TIMEOUT, KV_QUEUE_FULL, KV_CANCELLED, KV_REFUSED:
   *   surely not
   */
  async execute<A>(operation: Operation<A>, options: ReadOptions = {}): Promise<A> {
    return answerOf(operation, await this.#send(operation, options));
  }

  /** The same, with what is true of the answer: its revision, whether it is stale. */
  async inquire<A>(operation: Operation<A>, options: ReadOptions = {}): Promise<Answered<A>> {
    const response = await this.#send(operation, options);
    const answer = answerOf(operation, response);
    const { revision, timeMs, isStale } = response;
    return { answer, revision: Number(revision), timeMs: Number(timeMs), isStale };
  }

  /** Gives up its leases, ends its sessions, and its connections once what is under way is done, or after `drainMs` (default 1,000). Idempotent. */
  async close(drainMs: number = 1_000): Promise<void> {
    if (this.#caller.isClosed) return;
    for (const lease of this.#leases) lease.abandon(closed());
    await this.#sessions?.close();
    await this.#caller.close(drainMs);
  }

  async #grant(ttlMs: number, options: RequestOptions): Promise<LeaseResult> {
    const granted = await this.execute(
      write({ leaseGrant: { ttlMs: BigInt(ttlMs) } }, ({ lease }) => lease),
      options,
    );
    if (granted === undefined) throw new KvError('KV_REFUSED', 'the member answered without a lease');
    return granted;
  }

  #times({ timeoutMs = this.#options.timeoutMs, signal }: RequestOptions): WriteTimes {
    return {
      deadlineMs: this.#caller.clock.nowMs() + timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    };
  }

  #send<A>({ command, isRead }: Operation<A>, options: ReadOptions): Promise<ExecuteResponse> {
    const { level = 'linearizable' } = options;
    const times = this.#times(options);
    if (!isRead && this.#sessions !== null) return this.#sessions.write(command, times);
    return this.#caller.call<ExecuteResponse>({
      ...times,
      repetition: isRead ? 'harmless' : 'never',
      isAnywhere: isRead && level === 'stale',
      send: (client, attempt) => client.execute({ command, readLevel: LEVELS[level] }, attempt),
    });
  }
}

/** @throws KvError what the store said */
function answerOf<A>(operation: Operation<A>, { outcome }: ExecuteResponse): A {
  if (outcome === undefined) throw new KvError('KV_REFUSED', 'the member answered without an outcome');
  const { error } = outcome;
  if (error !== undefined) throw new KvError(error.code as KvErrorCode, error.message); // of this or a newer version
  return operation.answerOf(outcome);
}

/** Whether a failed write may have been carried out, or may be later. */
export function mayHaveRun(error: unknown): boolean {
  return !(error instanceof KvError) || UNCERTAIN.has(error.code);
}

const UNCERTAIN: ReadonlySet<KvErrorCode> = new Set([
  'KV_OUTCOME_UNKNOWN',
  'KV_SESSION_EXPIRED',
  'KV_REPLY_LOST',
]);
