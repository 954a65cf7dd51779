// What operators ask of a cluster and of single members: status, members, leadership, snapshots, hashes.
// Clerk.admin is one. Changes go to the leader, wherever that is.

import type { Member, MemberListResponse, StatusResponse } from '../proto/kv.js';
import type { ClerkCaller } from './clerk-caller.js';
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
}

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

  /** The members, as of all writes that were answered. */
  async members(options: RequestOptions = {}): Promise<readonly ClusterMember[]> {
    const answer = await this.#caller.call<MemberListResponse>({
      ...this.#times(options),
      repetition: 'harmless',
      send: (client, attempt) => client.memberList({}, attempt),
    });
    return membersOf(answer);
  }

  #times({ timeoutMs = this.#timeoutMs, signal }: RequestOptions): {
    deadlineMs: number;
    signal?: AbortSignal;
  } {
    return { deadlineMs: performance.now() + timeoutMs, ...(signal === undefined ? {} : { signal }) };
  }
}

function membersOf({ members }: MemberListResponse): readonly ClusterMember[] {
  return members.map(({ id, role, address, respAddress, isLeader }: Member) => ({
    id,
    role,
    address,
    respAddress,
    isLeader,
  }));
}
