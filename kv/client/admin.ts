// What operators ask of a cluster and of single members: status, members, leadership, snapshots, hashes.
// Clerk.admin is one. Changes go to the leader, wherever that is.

import { KvError } from '../errors.js';
import type { ResponseStream } from '../../rpc/index.js';
import type {
  BackupChunk,
  HashAtResponse,
  KvClient,
  Member,
  MemberListResponse,
  SnapshotNowResponse,
  StatusResponse,
  TransferResponse,
} from '../proto/kv.js';
import { type Attempt, attemptOf, type ClerkCaller } from './clerk-caller.js';
import { isUnreached } from './clerk-policy.js';
import type { RequestOptions } from './clerk.js';

export interface MemberStatus {
  readonly address: string;
  readonly id: number;
  readonly clusterId: string;
  readonly role: string;
  /** 0: it knows none. */
  readonly leader: number;
  readonly term: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly snapshotIndex: number;
  readonly revision: number;
  readonly timeMs: number;
  readonly keys: number;
  readonly memoryBytes: number;
  readonly logBytes: number;
  readonly sessions: number;
  readonly leases: number;
  readonly watches: number;
  readonly alarms: readonly string[];
  readonly version: string;
  readonly uptimeMs: number;
}

export interface ClusterMember {
  readonly id: number;
  readonly role: string;
  readonly address: string;
  readonly respAddress: string;
  readonly isLeader: boolean;
  /** How far its log is known to be the leader's, and durable; 0 where a member was asked that does not lead. */
  readonly matchIndex: number;
}

export interface StateHash {
  readonly index: number;
  readonly revision: number;
  readonly hash: string;
}

/** Said before the first message of a backup, so that another member may be asked. */
const BEFORE_ALL: ReadonlySet<string> = new Set(['KV_CLUSTER_FOREIGN', 'KV_UNREACHABLE']);
/** Between two messages of a backup. */
const SILENT_MS = 30_000;

export class ClerkAdmin {
  readonly #caller: ClerkCaller;
  readonly #timeoutMs: number;

  constructor(caller: ClerkCaller, timeoutMs: number) {
    this.#caller = caller;
    this.#timeoutMs = timeoutMs;
  }

  /** What the member at `address` says of itself. @throws KvError KV_UNREACHABLE, KV_TIMEOUT */
  async status(address: string, options: RequestOptions = {}): Promise<MemberStatus> {
    const answer = await this.#caller.call<StatusResponse>({
      ...this.#times(options),
      repetition: 'harmless',
      at: address,
      send: (client, attempt) => client.status({}, attempt),
    });
    const { id, clusterId, role, leader, sessions, leases, watches, alarms, version, ...numbers } = answer;
    return {
      address,
      id,
      clusterId,
      role,
      leader: leader?.id ?? 0,
      term: Number(numbers.term),
      commitIndex: Number(numbers.commitIndex),
      appliedIndex: Number(numbers.appliedIndex),
      firstIndex: Number(numbers.firstIndex),
      lastIndex: Number(numbers.lastIndex),
      snapshotIndex: Number(numbers.snapshotIndex),
      revision: Number(numbers.revision),
      timeMs: Number(numbers.timeMs),
      keys: Number(numbers.keys),
      memoryBytes: Number(numbers.memoryBytes),
      logBytes: Number(numbers.logBytes),
      sessions,
      leases,
      watches,
      alarms,
      version,
      uptimeMs: Number(numbers.uptimeMs),
    };
  }

  /** The members, as of all writes that were answered; with `stale` as the asked one has it. */
  async members(
    options: RequestOptions & { readonly stale?: boolean } = {},
  ): Promise<readonly ClusterMember[]> {
    const answer = await this.#caller.call<MemberListResponse>({
      ...this.#times(options),
      repetition: 'harmless',
      send: (client, attempt) => client.memberList({ stale: options.stale ?? false }, attempt),
    });
    return membersOf(answer);
  }

  /** Takes a member in; it is a learner at first unless it is to vote at once. @throws KvError KV_MEMBER_INVALID, KV_OUTCOME_UNKNOWN */
  addMember(
    member: { readonly id: number; readonly address: string; readonly respAddress?: string },
    options: RequestOptions & { readonly asVoter?: boolean } = {},
  ): Promise<readonly ClusterMember[]> {
    const { id, address, respAddress = '' } = member;
    const { asVoter = false } = options;
    return this.#change(options, (client, attempt) =>
      client.memberAdd({ id, address, respAddress, asVoter }, attempt),
    );
  }

  /** A learner votes from now on. @throws KvError KV_MEMBER_INVALID: it has not caught up, KV_OUTCOME_UNKNOWN */
  promoteMember(id: number, options: RequestOptions = {}): Promise<readonly ClusterMember[]> {
    return this.#change(options, (client, attempt) => client.memberPromote({ id }, attempt));
  }

  /** For good: the id is never used again. @throws KvError KV_MEMBER_INVALID, KV_OUTCOME_UNKNOWN */
  removeMember(id: number, options: RequestOptions = {}): Promise<readonly ClusterMember[]> {
    return this.#change(options, (client, attempt) => client.memberRemove({ id }, attempt));
  }

  /** @param to 0 leaves the choice to the leader. @returns who leads then; 0: nobody is known to */
  async transfer(to: number, options: RequestOptions = {}): Promise<number> {
    const times = this.#times(options);
    const { leader } = await this.#caller.call<TransferResponse>({
      ...times,
      repetition: 'harmless',
      attemptTimeoutMs: Number.POSITIVE_INFINITY,
      send: (client, attempt) => client.transfer({ to }, attempt),
    });
    return leader?.id ?? 0;
  }

  /** The member at `address` writes a snapshot of what it has. */
  async snapshot(
    address: string,
    options: RequestOptions = {},
  ): Promise<{ index: number; term: number; bytes: number }> {
    const { index, term, bytes } = await this.#caller.call<SnapshotNowResponse>({
      ...this.#times(options),
      repetition: 'harmless',
      at: address,
      attemptTimeoutMs: Number.POSITIVE_INFINITY,
      send: (client, attempt) => client.snapshotNow({}, attempt),
    });
    return { index: Number(index), term: Number(term), bytes: Number(bytes) };
  }

  /**
   * The hash of the whole state of a member after one applied index.
   * @param at `address` of the member, and the `index` of a mark, 0 for a new one. @throws KvError KV_HASH_UNKNOWN
   */
  async hash(
    at: { readonly address?: string; readonly index: number },
    options: RequestOptions = {},
  ): Promise<StateHash> {
    const { index, revision, hash } = await this.#caller.call<HashAtResponse & { leader?: never }>({
      ...this.#times(options),
      repetition: 'harmless',
      attemptTimeoutMs: Number.POSITIVE_INFINITY,
      ...(at.address === undefined ? {} : { at: at.address }),
      send: (client, attempt) => client.hashAt({ index: BigInt(at.index) }, attempt),
    });
    return { index: Number(index), revision: Number(revision), hash };
  }

  /** The state of one member, in messages as they come; `address` null: of any. @throws KvError KV_CLUSTER_FOREIGN, KV_UNREACHABLE, KV_REFUSED */
  async *backup(address: string | null = null): AsyncGenerator<BackupChunk, void, undefined> {
    const { choice, clock } = this.#caller;
    const tried = new Set<string>();
    for (;;) {
      const from = address ?? choice.pickAny(clock.nowMs(), tried) ?? '';
      tried.add(from);
      try {
        yield* this.#backupOf(from);
        return;
      } catch (error) {
        const isElsewhere = error instanceof KvError && BEFORE_ALL.has(error.code);
        if (!isElsewhere || address !== null || choice.pickAny(clock.nowMs(), tried) === null) throw error;
      }
    }
  }

  async *#backupOf(from: string): AsyncGenerator<BackupChunk, void, undefined> {
    const { clock, cluster } = this.#caller;
    let stream: ResponseStream<BackupChunk>;
    try {
      const { client, callOptions } = await this.#caller.streamsOf(from);
      stream = client.backup({}, { ...callOptions, timeoutMs: Number.POSITIVE_INFINITY });
    } catch (error) {
      throw noBackup(from, error);
    }
    stream.headers.catch(() => {}); // whoever reads the messages hears of the failure
    stream.trailers.catch(() => {});
    let cancelTimer = clock.after(SILENT_MS, () => stream.cancel());
    try {
      for await (const chunk of stream) {
        cancelTimer();
        // Members of older versions refuse no call.
        if (chunk.head !== undefined) cluster.check(chunk.head.clusterId);
        yield chunk;
        cancelTimer = clock.after(SILENT_MS, () => stream.cancel());
      }
    } catch (error) {
      throw noBackup(from, error);
    } finally {
      cancelTimer();
    }
  }

  async #change(
    options: RequestOptions,
    send: (client: KvClient, attempt: Attempt) => Promise<MemberListResponse>,
  ): Promise<readonly ClusterMember[]> {
    const attemptTimeoutMs = Number.POSITIVE_INFINITY; // it ends once the new configuration is committed
    return membersOf(
      await this.#caller.call<MemberListResponse>({
        ...this.#times(options),
        repetition: 'never',
        attemptTimeoutMs,
        send,
      }),
    );
  }

  #times({ timeoutMs = this.#timeoutMs, signal }: RequestOptions): {
    deadlineMs: number;
    signal?: AbortSignal;
  } {
    return {
      deadlineMs: this.#caller.clock.nowMs() + timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    };
  }
}

function noBackup(from: string, error: unknown): KvError {
  const { code } = attemptOf(error);
  const told = code === 'KV_CLUSTER_FOREIGN' ? code : isUnreached(code) ? 'KV_UNREACHABLE' : 'KV_REFUSED';
  return new KvError(told, `no backup from ${from}: ${String(error)}`, { cause: error });
}

function membersOf({ members }: MemberListResponse): readonly ClusterMember[] {
  return members.map(({ id, role, address, respAddress, isLeader, matchIndex }: Member) => ({
    id,
    role,
    address,
    respAddress,
    isLeader,
    matchIndex: Number(matchIndex),
  }));
}
