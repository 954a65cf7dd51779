// Makes one request as often as it takes: chooses a member, calls it, judges what went wrong, waits, and ends at the deadline.
// clerk.ts and its parts stand on it; whom to ask and what a failure means is clerk-policy.ts.

import { detached, type Metadata, RpcError } from '../../rpc/index.js';
import { KvError, type KvErrorCode } from '../errors.js';
import type { KvClient, Leader } from '../proto/kv.js';
import { failureOf } from '../service/failures.js';
import type { CompleteClerkOptions } from './clerk-options.js';
import type { ClerkClock, ClerkParts, MemberStubs } from './clerk-parts.js';
import {
  attemptMs,
  type Backoff,
  backoffMs,
  type FailedAttempt,
  isUnreached,
  judge,
  MemberChoice,
  type Repetition,
} from './clerk-policy.js';
import { ClusterIdentity } from './cluster-identity.js';

/** What an attempt is given for its call. */
export interface Attempt {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly metadata?: Metadata;
}

export interface Request<A> {
  readonly repetition: Repetition;
  /** By the clerk's clock, when it ends. */
  readonly deadlineMs: number;
  readonly send: (client: KvClient, attempt: Attempt) => Promise<A & { readonly leader?: Leader }>;
  /** Any member will do. */
  readonly isAnywhere?: boolean;
  /** This member alone. */
  readonly at?: string;
  readonly signal?: AbortSignal;
  /** Default: the clerk's. */
  readonly attemptTimeoutMs?: number;
  /** An attempt may have been carried out. */
  readonly onUnknown?: () => void;
}

/** An attempt, and what came of it. */
interface Failed {
  readonly address: string;
  readonly attempt: FailedAttempt;
  readonly error: unknown;
}

const SUSPICION: Backoff = { firstMs: 250, maxMs: 4_000 };

export class ClerkCaller {
  readonly choice: MemberChoice;
  readonly clock: ClerkClock;
  readonly cluster: ClusterIdentity;
  readonly #options: CompleteClerkOptions;
  readonly #clients: MemberStubs;
  readonly #pauses = new Set<() => void>();
  #pending = 0;
  #isClosed = false;

  constructor(options: CompleteClerkOptions, { clock, members }: ClerkParts) {
    this.#options = options;
    this.clock = clock;
    this.cluster = new ClusterIdentity(options.clusterId);
    this.#clients = members(options);
    this.choice = new MemberChoice(options.endpoints, {
      suspicion: SUSPICION,
      followsUnlisted: options.followsUnlisted,
      start: Math.floor(options.random() * options.endpoints.length),
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The client of a member, for streams, and what they send along. @throws RpcError; KvError KV_CLUSTER_FOREIGN, KV_CLOSED */
  async streamsOf(
    address: string,
    signal?: AbortSignal,
  ): Promise<{ readonly client: KvClient; readonly callOptions: { readonly metadata?: Metadata } }> {
    const { cluster } = this;
    const client = this.#clientOf(address);
    if (cluster.isToAsk(address)) {
      const { attemptTimeoutMs: timeoutMs } = this.#options;
      await cluster.ask(address, client, { timeoutMs, ...(signal === undefined ? {} : { signal }) });
    }
    return { client, callOptions: cluster.callOptions };
  }

  #clientOf(address: string): KvClient {
    if (this.#isClosed) throw closed();
    return this.#clients.of(address);
  }

  /**
   * @throws KvError what a member answered; KV_UNREACHABLE, KV_NO_LEADER, KV_TIMEOUT: surely not carried out;
   *   KV_CLUSTER_FOREIGN: the same, all that answered are of other clusters; KV_OUTCOME_UNKNOWN;
   *   KV_QUEUE_FULL, KV_CLOSED, KV_CANCELLED, KV_REFUSED
   */
  async call<A>(request: Request<A>): Promise<A> {
    if (this.#isClosed) throw closed();
    if (this.#pending >= this.#options.pendingMax)
      throw new KvError('KV_QUEUE_FULL', `${this.#pending} requests of this clerk are under way`);
    this.#pending += 1;
    try {
      return await this.#attempts(request);
    } finally {
      this.#pending -= 1;
    }
  }

  async close(drainMs: number): Promise<void> {
    this.#isClosed = true;
    for (const wake of this.#pauses) wake();
    await this.#clients.close(drainMs);
  }

  /** Resolves after the time, or when the clerk closes or the signal aborts. */
  pause(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        cancel();
        this.#pauses.delete(wake);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const cancel = this.clock.after(ms, wake);
      this.#pauses.add(wake);
      signal?.addEventListener('abort', wake, { once: true });
      if (this.#isClosed || signal?.aborted === true) wake();
    });
  }

  async #attempts<A>(request: Request<A>): Promise<A> {
    const { choice, cluster } = this;
    const { repetition, deadlineMs, signal } = request;
    const { random } = this.#options;
    const { attemptTimeoutMs = this.#options.attemptTimeoutMs } = request;
    let tried: Set<string> | null = null;
    let last: Failed | null = null;
    /** What members of other clusters said, while nothing was heard of ours. */
    let foreign: Failed | null = null;
    let isHeard = false;
    let mayHaveRun = false;
    let pauses = 0;
    /** Rounds of all members in which one did not answer. */
    let silentRounds = 0;
    let isSilent = false;
    for (;;) {
      const nowMs = this.clock.nowMs();
      const leftMs = deadlineMs - nowMs;
      if (leftMs <= 0 || this.#isClosed || signal?.aborted === true)
        throw this.#ended(
          isHeard ? last : (foreign ?? last),
          mayHaveRun && repetition !== 'harmless',
          signal,
        );
      const address: string | null =
        request.at ??
        (request.isAnywhere === true ? choice.pickAny(nowMs, tried) : choice.pick(nowMs, tried));
      if (address === null) {
        // All have been asked.
        tried = null;
        if (isSilent) silentRounds += 1;
        isSilent = false;
        await this.pause(Math.min(this.#backoffMs(pauses), leftMs), signal);
        pauses += 1;
        continue;
      }
      let error: unknown;
      let isSent = false;
      try {
        const attempt: Attempt = {
          timeoutMs: Math.min(leftMs, attemptMs(attemptTimeoutMs, silentRounds)),
          ...(signal === undefined ? {} : { signal }),
        };
        // Outside of the call in whose handler we may be: an answer is worth having when that call is over.
        const answer = await detached(() => {
          const client = this.#clientOf(address);
          if (!cluster.isToAsk(address)) {
            isSent = true;
            return request.send(client, { ...attempt, ...cluster.callOptions });
          }
          return this.#askFirst(address, client, attempt, (timeoutMs) => {
            isSent = true;
            return request.send(client, { ...attempt, ...cluster.callOptions, timeoutMs });
          });
        });
        choice.succeeded(address);
        if (answer.leader !== undefined) choice.leaderIs(answer.leader.address);
        return answer;
      } catch (failed) {
        error = failed;
      }
      const attempt: FailedAttempt = isSent ? attemptOf(error) : { ...attemptOf(error), executed: 'no' };
      last = { address, attempt, error };
      if (attempt.code === 'KV_CLUSTER_FOREIGN') foreign = last;
      else isHeard ||= attempt.code.startsWith('KV_');
      if (attempt.executed !== 'no') {
        mayHaveRun = true;
        request.onUnknown?.();
      }
      const verdict = judge(attempt, repetition);
      isSilent ||= attempt.code === 'RPC_DEADLINE_EXCEEDED';
      const isFinal = verdict.kind === 'final' || (foreign === last && request.at !== undefined); // nobody else will be asked
      if (isFinal) throw this.#final(last, mayHaveRun && repetition !== 'harmless');
      const failedMs = this.clock.nowMs();
      if (verdict.blames) choice.failed(address, failedMs, random);
      else if (verdict.elsewhere) choice.notLeader(address);
      choice.leaderIs(attempt.leader === address && verdict.elsewhere ? '' : attempt.leader);
      if (verdict.elsewhere && request.at === undefined) (tried ??= new Set()).add(address);
      if (verdict.pauses || request.at !== undefined) {
        await this.pause(Math.min(this.#backoffMs(pauses), Math.max(0, deadlineMs - failedMs)), signal);
        pauses += 1;
        // After a pause anybody may have become the right one.
        tried = null;
      }
    }
  }

  /** Learns the cluster of a member before it is given anything to do. */
  async #askFirst<A>(
    address: string,
    client: KvClient,
    attempt: Attempt,
    send: (timeoutMs: number) => Promise<A>,
  ): Promise<A> {
    const startedMs = this.clock.nowMs();
    await this.cluster.ask(address, client, attempt);
    return send(Math.max(1, attempt.timeoutMs - (this.clock.nowMs() - startedMs)));
  }

  #backoffMs(pauses: number): number {
    const { backoffFirstMs: firstMs, backoffMaxMs: maxMs, random } = this.#options;
    return backoffMs(pauses, { firstMs, maxMs }, random);
  }

  /** No time is left, or nobody wants it any more. */
  #ended(last: Failed | null, mayHaveRun: boolean, signal?: AbortSignal): KvError {
    const cause = last === null ? {} : { cause: last.error };
    if (mayHaveRun) return unknown(last?.error);
    if (signal?.aborted === true) return new KvError('KV_CANCELLED', 'the request was cancelled', cause);
    if (this.#isClosed) return closed();
    if (last === null) return new KvError('KV_TIMEOUT', 'there was no time to send the request');
    const { code } = last.attempt;
    const text = textOf(last.error);
    if (code === 'KV_CLUSTER_FOREIGN') {
      const { id } = this.cluster;
      const what = `no member of cluster ${id} answered, and ${last.address} is of another one: ${text}`;
      return new KvError('KV_CLUSTER_FOREIGN', what, cause);
    }
    if (isUnreached(code)) return new KvError('KV_UNREACHABLE', `no member could be reached: ${text}`, cause);
    if (code === 'KV_NO_LEADER' || code === 'KV_NOT_LEADER')
      return new KvError('KV_NO_LEADER', 'the cluster has no leader', cause);
    return new KvError('KV_TIMEOUT', `not answered in time: ${text}`, cause);
  }

  #final({ attempt: { code }, error }: Failed, mayHaveRun: boolean): KvError {
    if (this.#isClosed && !mayHaveRun) return closed();
    if (mayHaveRun) return unknown(error);
    const cause = { cause: error };
    if (code === 'RPC_CANCELLED') return new KvError('KV_CANCELLED', 'the request was cancelled', cause);
    if (code.startsWith('RPC_')) return new KvError('KV_REFUSED', `${code}: ${textOf(error)}`, cause);
    return new KvError(code as KvErrorCode, textOf(error), cause); // of this or a newer version
  }
}

export function closed(): KvError {
  return new KvError('KV_CLOSED', 'the clerk is closed');
}

export function attemptOf(error: unknown): FailedAttempt {
  if (error instanceof KvError) return { code: error.code, executed: 'no', leader: '' };
  if (!(error instanceof RpcError)) return { code: 'RPC_INTERNAL', executed: 'unknown', leader: '' };
  const told = failureOf(error);
  return {
    code: told?.code ?? error.code,
    executed: error.executed,
    leader: told?.leader.address ?? '',
  };
}

function unknown(cause: unknown): KvError {
  const text = `the request may have been carried out, or may be later: ${textOf(cause)}`;
  return new KvError('KV_OUTCOME_UNKNOWN', text, { cause });
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return failureOf(error)?.message ?? error.message;
}
