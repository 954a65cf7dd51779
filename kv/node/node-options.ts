// The options of a member, complete and checked once. kv-server.ts fills them from flags; tests give what they need.

import { KvError } from '../errors.js';
import { PROTOCOL_VERSION, PROTOCOL_VERSION_MIN } from '../machine/protocol-version.js';
import { NODE_ID_MAX } from '../raft/index.js';
import type { WalOptions } from '../wal/wal-options.js';

export interface KvNodeOptions {
  readonly id: number;
  readonly clusterId: number;
  /** The voters that a new cluster begins with, this one among them; empty: it joins one that is there. */
  readonly firstMembers: readonly number[];
  /** Told from other lives of this member; drawn anew by each process, 1 to 2^53 - 1. */
  readonly boot: number;
  /** Where others reach it; goes into the replicated list of members. */
  readonly rpcAddress?: string;
  readonly respAddress?: string;
  /** Where the first members are, until the replicated list says otherwise. */
  readonly addresses?: ReadonlyMap<number, string>;
  /** Default 100 ms. */
  readonly heartbeatMs?: number;
  /** Default 1,000 ms; a multiple of heartbeatMs is right. */
  readonly electionMs?: number;
  readonly leaseReads?: boolean;
  /** Entries that are applied before a snapshot is taken. Default 100,000; 0: never. */
  readonly snapshotEntries?: number;
  /** Bytes of log held in memory before a snapshot is taken. Default 64 MiB; 0: never. */
  readonly snapshotBytes?: number;
  /** Entries kept behind a snapshot for members that lag. Default 10,000. */
  readonly trailingEntries?: number;
  /** Default 2. */
  readonly snapshotsKept?: number;
  /** How long a request may take unless it says otherwise. Default 10,000 ms. */
  readonly requestTimeoutMs?: number;
  /** How long a request waits for a leader to be there. Default three times electionMs: an election takes up to two. */
  readonly leaderWaitMs?: number;
  /** Of one batch; a single bigger request goes alone. Default 1 MiB. */
  readonly batchBytesMax?: number;
  /** Of one request. Default 4 MiB, which is also the most. */
  readonly requestBytesMax?: number;
  /** Of all requests that wait. Default 128 MiB. */
  readonly pendingBytesMax?: number;
  /** Default 262,144. */
  readonly pendingCountMax?: number;
  /** The newest protocol version it says it knows; less than the program knows to be able to go back. */
  readonly protocolVersion?: number;
  readonly wal?: WalOptions;
}

export type CompleteNodeOptions = Required<KvNodeOptions>;

const MIB = 2 ** 20;

const DEFAULTS: Omit<CompleteNodeOptions, 'id' | 'clusterId' | 'firstMembers' | 'boot'> = {
  rpcAddress: '',
  respAddress: '',
  addresses: new Map(),
  heartbeatMs: 100,
  electionMs: 1000,
  leaseReads: false,
  snapshotEntries: 100_000,
  snapshotBytes: 64 * MIB,
  trailingEntries: 10_000,
  snapshotsKept: 2,
  requestTimeoutMs: 10_000,
  leaderWaitMs: 3000,
  batchBytesMax: MIB,
  requestBytesMax: 4 * MIB,
  pendingBytesMax: 128 * MIB,
  pendingCountMax: 262_144,
  protocolVersion: PROTOCOL_VERSION,
  wal: {},
};

/** @throws KvError KV_OPTION_INVALID naming the option and what would be right */
export function completeNodeOptions(options: KvNodeOptions): CompleteNodeOptions {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const complete: CompleteNodeOptions = { ...DEFAULTS, ...(given as unknown as KvNodeOptions) };
  if (options.leaderWaitMs === undefined) {
    Object.assign(complete, { leaderWaitMs: 3 * complete.electionMs });
  }
  const whole: readonly (readonly [keyof CompleteNodeOptions, number, number])[] = [
    ['id', 1, NODE_ID_MAX],
    ['clusterId', 1, Number.MAX_SAFE_INTEGER],
    ['boot', 1, Number.MAX_SAFE_INTEGER],
    ['heartbeatMs', 1, 60_000],
    ['electionMs', 2, 600_000],
    ['snapshotEntries', 0, Number.MAX_SAFE_INTEGER],
    ['snapshotBytes', 0, Number.MAX_SAFE_INTEGER],
    ['trailingEntries', 0, Number.MAX_SAFE_INTEGER],
    ['snapshotsKept', 1, 1000],
    ['requestTimeoutMs', 1, 2 ** 31 - 1],
    ['leaderWaitMs', 0, 2 ** 31 - 1],
    ['batchBytesMax', 1024, 4 * MIB],
    ['requestBytesMax', 1024, 4 * MIB],
    ['pendingBytesMax', 1024, 2 ** 40],
    ['pendingCountMax', 1, 2 ** 31],
    ['protocolVersion', PROTOCOL_VERSION_MIN, PROTOCOL_VERSION],
  ];
  for (const [name, min, max] of whole) {
    const value = complete[name];
    if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) continue;
    throw invalid(name, `a whole number from ${min} to ${max}`, value);
  }
  if (complete.electionMs < 3 * complete.heartbeatMs) {
    throw invalid(
      'electionMs',
      `at least three times heartbeatMs (${complete.heartbeatMs})`,
      complete.electionMs,
    );
  }
  const { firstMembers, id } = complete;
  if (firstMembers.length > 0 && !firstMembers.includes(id)) {
    throw invalid('firstMembers', `a list with this member (${id}) in it`, firstMembers.join(', '));
  }
  return complete;
}

function invalid(name: string, right: string, value: unknown): KvError {
  return new KvError('KV_OPTION_INVALID', `${name} is ${String(value)}: ${right} is right`);
}
