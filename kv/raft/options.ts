// Options of a member's core and their defaults. Checked once, in the constructor of core.ts. Times are in ticks.

import type { NodeId } from './entry.js';
import { RaftError } from './errors.js';
import { checkNodeId } from './membership.js';

export interface RaftOptions {
  /** This member's. */
  readonly id: NodeId;
  /** A follower that hears no leader for one to two of these campaigns. Default 10. */
  readonly electionTicks?: number;
  /** Between two heartbeats of a leader. Default 1. */
  readonly heartbeatTicks?: number;
  /** Ask whether an election could be won before starting one. Default true. */
  readonly preVote?: boolean;
  /** A leader that hears no majority for an election timeout steps down. Default true. */
  readonly checkQuorum?: boolean;
  /** A leader whose oldest write is older steps down, and nobody campaigns meanwhile. Default: electionTicks. */
  readonly diskStallTicks?: number;
  /**
   * Reads of the leader are answered without asking the others while a quorum heard it recently. Needs ticks that run
   * at nearly the same speed on every member. Default false.
   */
  readonly leaseReads?: boolean;
  /** What a lease is shorter than the election timeout. Default 2. */
  readonly leaseDriftTicks?: number;
  /** Followers hand proposals to the leader. Default true. */
  readonly forwardProposals?: boolean;
  /** Data and overhead of the entries of one message; a longer entry goes alone. Default 1 MiB. */
  readonly messageBytesMax?: number;
  /** Appends on the way to one follower. Default 256. */
  readonly inflightMessagesMax?: number;
  /** Data and overhead of entries on the way to one follower. Default 16 MiB. */
  readonly inflightBytesMax?: number;
  /** Data of one entry. Default 4 MiB. */
  readonly entryBytesMax?: number;
  /** Proposed and not committed; one proposal is always let in. Default 64 MiB. */
  readonly uncommittedBytesMax?: number;
  /** Entries of one apply effect. Default 1 MiB. */
  readonly applyBytesMax?: number;
  /** Handed out for applying and not reported as applied. Default 16 MiB. */
  readonly applyInflightBytesMax?: number;
  /** Reads that wait. Default 65,536. */
  readonly readsMax?: number;
  /** Applied entries behind the last snapshot that ask for the next; 0: never. Default 10,000. */
  readonly snapshotEntries?: number;
  /** The same in bytes of the log held; 0: never. Default 64 MiB. */
  readonly snapshotBytes?: number;
  /** The same in ticks, if anything was applied since; 0: never. Default 0. */
  readonly snapshotTicks?: number;
  /** Entries kept behind a snapshot for members that lag. Default 5,000. */
  readonly trailingEntries?: number;
  /** Bytes of them. Default 16 MiB. */
  readonly trailingBytesMax?: number;
  /** Of a snapshot in one message. Default 256 KiB. */
  readonly chunkBytes?: number;
  /** Snapshots a leader sends at the same time. Default 2. */
  readonly transfersMax?: number;
  /** Bytes of snapshots a leader sends per tick; 0: as fast as they are acknowledged. Default 0. */
  readonly snapshotBytesPerTick?: number;
}

const MIB = 2 ** 20;

const DEFAULTS: Required<Omit<RaftOptions, 'id' | 'diskStallTicks'>> = {
  electionTicks: 10,
  heartbeatTicks: 1,
  preVote: true,
  checkQuorum: true,
  leaseReads: false,
  leaseDriftTicks: 2,
  forwardProposals: true,
  messageBytesMax: MIB,
  inflightMessagesMax: 256,
  inflightBytesMax: 16 * MIB,
  entryBytesMax: 4 * MIB,
  uncommittedBytesMax: 64 * MIB,
  applyBytesMax: MIB,
  applyInflightBytesMax: 16 * MIB,
  readsMax: 65_536,
  snapshotEntries: 10_000,
  snapshotBytes: 64 * MIB,
  snapshotTicks: 0,
  trailingEntries: 5_000,
  trailingBytesMax: 16 * MIB,
  chunkBytes: MIB / 4,
  transfersMax: 2,
  snapshotBytesPerTick: 0,
};

/** May be 0; every other number is at least 1. */
const MAY_BE_ZERO: ReadonlySet<string> = new Set([
  'leaseDriftTicks',
  'snapshotEntries',
  'snapshotBytes',
  'snapshotTicks',
  'trailingEntries',
  'trailingBytesMax',
  'snapshotBytesPerTick',
]);

/** @throws RaftError KV_RAFT_OPTION_INVALID naming the option and what would be right */
export function completeOptions(options: RaftOptions): Required<RaftOptions> {
  const electionTicks = options.electionTicks ?? DEFAULTS.electionTicks;
  const known: Record<string, unknown> = { ...DEFAULTS, diskStallTicks: electionTicks };
  const complete: Record<string, unknown> = { ...known };
  for (const [name, value] of Object.entries(options)) {
    if (name === 'id' || value === undefined) continue;
    if (!Object.hasOwn(known, name)) throw invalid(`${name} is no option of a Raft core`);
    checkKind(name, value, typeof known[name]);
    complete[name] = value;
  }
  const checked = { ...complete, id: options.id } as Required<RaftOptions>; // every name was filled in above
  try {
    checkNodeId(checked.id);
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : 'id');
  }
  if (checked.electionTicks <= checked.heartbeatTicks) {
    throw invalid('electionTicks must be above heartbeatTicks');
  }
  if (checked.leaseReads && !checked.checkQuorum) throw invalid('leaseReads need checkQuorum');
  if (checked.leaseReads && checked.leaseDriftTicks >= checked.electionTicks) {
    throw invalid('leaseDriftTicks must be below electionTicks');
  }
  return checked;
}

function checkKind(name: string, value: unknown, kind: string): void {
  if (kind === 'boolean') {
    if (typeof value !== 'boolean') throw invalid(`${name} must be true or false, not ${String(value)}`);
    return;
  }
  const min = MAY_BE_ZERO.has(name) ? 0 : 1;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min) return;
  throw invalid(`${name} must be a whole number from ${min}, not ${String(value)}`);
}

function invalid(message: string): RaftError {
  return new RaftError('KV_RAFT_OPTION_INVALID', message);
}
