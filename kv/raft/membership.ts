// Who belongs to the cluster: voters, learners, and, while a joint change is under way, the outgoing voters as well.
// core.ts keeps the one in force (the newest in its log, committed or not); quorum.ts counts by it. Values, no state.
// Bytes, little-endian, in `config` entries: u8 version 1 | u8 flags (1 = auto leave) | four lists of u32 count, u32 ids.

import { NODE_ID_MAX, type NodeId } from './entry.js';
import { RaftError } from './errors.js';

export interface Membership {
  /** Those whose votes and logs count; all lists are in ascending order. */
  readonly voters: readonly NodeId[];
  /** The voters before a joint change, whose majority counts too until it is left; else empty. */
  readonly outgoing: readonly NodeId[];
  /** Replicated to, not counted. */
  readonly learners: readonly NodeId[];
  /** Outgoing voters that become learners when the joint configuration is left. */
  readonly learnersNext: readonly NodeId[];
  /** The leader leaves the joint configuration by itself once it is committed. */
  readonly autoLeave: boolean;
}

export interface ConfigChange {
  readonly type: 'add-voter' | 'add-learner' | 'remove';
  readonly id: NodeId;
}

/**
 * `auto`: in one step if at most one voter differs, else joint and left automatically. `joint`: joint in any case, left
 * automatically. `joint-explicit`: joint until `changeConfig([])`.
 */
export type ConfigTransition = 'auto' | 'joint' | 'joint-explicit';

/** @throws RaftError KV_RAFT_CONFIG_INVALID on ids that are none or that are in both lists */
export function membershipOf(voters: readonly NodeId[], learners: readonly NodeId[] = []): Membership {
  const membership = { voters: sorted(voters), outgoing: [], learners: sorted(learners) };
  for (const id of [...voters, ...learners]) checkNodeId(id);
  if (new Set([...voters, ...learners]).size !== voters.length + learners.length) {
    throw invalid('an id is listed twice');
  }
  return { ...membership, learnersNext: [], autoLeave: false };
}

export function isJoint(membership: Membership): boolean {
  return membership.outgoing.length > 0;
}

export function isVoter(membership: Membership, id: NodeId): boolean {
  return membership.voters.includes(id) || membership.outgoing.includes(id);
}

/** Everybody once, ascending. */
export function membersOf(membership: Membership): readonly NodeId[] {
  const { voters, outgoing, learners, learnersNext } = membership;
  return sorted([...new Set([...voters, ...outgoing, ...learners, ...learnersNext])]);
}

/**
 * What the next `config` entry holds.
 * @throws RaftError KV_RAFT_CONFIG_INVALID naming what is wrong with the change
 * @throws RaftError KV_RAFT_CONFIG_PENDING when the configuration is joint and the change is not its end
 */
export function changed(
  now: Membership,
  changes: readonly ConfigChange[],
  transition: ConfigTransition,
): Membership {
  if (changes.length === 0) return left(now);
  if (isJoint(now)) throw new RaftError('KV_RAFT_CONFIG_PENDING', 'a joint configuration must be left first');
  const voters = new Set(now.voters);
  const learners = new Set(now.learners);
  const touched = new Set<NodeId>();
  for (const { type, id } of changes) {
    checkNodeId(id);
    if (touched.has(id)) throw invalid(`member ${id} is changed twice`);
    touched.add(id);
    change(voters, learners, type, id);
  }
  if (voters.size === 0) throw invalid('no voter would be left');
  const differing =
    now.voters.filter((id) => !voters.has(id)).length +
    [...voters].filter((id) => !now.voters.includes(id)).length;
  if (transition === 'auto' && differing <= 1) return membershipOf([...voters], [...learners]);
  return {
    voters: sorted([...voters]),
    outgoing: now.voters,
    learners: sorted([...learners].filter((id) => !now.voters.includes(id))),
    learnersNext: sorted([...learners].filter((id) => now.voters.includes(id))),
    autoLeave: transition !== 'joint-explicit',
  };
}

/** The end of a joint change. @throws RaftError KV_RAFT_CONFIG_INVALID if there is none */
export function left(now: Membership): Membership {
  if (!isJoint(now)) throw invalid('an empty change leaves a joint configuration, and this one is not joint');
  return membershipOf(now.voters, [...now.learners, ...now.learnersNext]);
}

export function encodeMembership(membership: Membership): Uint8Array {
  const lists = [membership.voters, membership.outgoing, membership.learners, membership.learnersNext];
  const bytes = new Uint8Array(2 + lists.reduce((sum, list) => sum + 4 + 4 * list.length, 0));
  const view = new DataView(bytes.buffer);
  bytes[0] = 1;
  bytes[1] = membership.autoLeave ? 1 : 0;
  let at = 2;
  for (const list of lists) {
    view.setUint32(at, list.length, true);
    at += 4;
    for (const id of list) {
      view.setUint32(at, id, true);
      at += 4;
    }
  }
  return bytes;
}

/** @throws RaftError KV_RAFT_MESSAGE_INVALID on bytes that are no membership */
export function decodeMembership(bytes: Uint8Array): Membership {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 18 || bytes[0] !== 1) throw unreadable();
  let at = 2;
  const list = (): NodeId[] => {
    if (at + 4 > bytes.length) throw unreadable();
    const count = view.getUint32(at, true);
    at += 4;
    if (count > (bytes.length - at) / 4) throw unreadable();
    const ids = Array.from({ length: count }, (_, slot) => view.getUint32(at + 4 * slot, true));
    at += 4 * count;
    return ids;
  };
  const [voters, outgoing, learners, learnersNext] = [list(), list(), list(), list()];
  if (at !== bytes.length) throw unreadable();
  return { voters, outgoing, learners, learnersNext, autoLeave: bytes[1] === 1 };
}

/** @throws RaftError KV_RAFT_CONFIG_INVALID */
export function checkNodeId(id: unknown): asserts id is NodeId {
  if (typeof id === 'number' && Number.isInteger(id) && id >= 1 && id <= NODE_ID_MAX) return;
  throw invalid(`a member's id is a whole number from 1 to ${NODE_ID_MAX}, not ${String(id)}`);
}

function change(voters: Set<NodeId>, learners: Set<NodeId>, type: ConfigChange['type'], id: NodeId): void {
  switch (type) {
    case 'add-voter':
      if (voters.has(id)) throw invalid(`member ${id} is a voter already`);
      learners.delete(id);
      voters.add(id);
      return;
    case 'add-learner':
      if (learners.has(id)) throw invalid(`member ${id} is a learner already`);
      voters.delete(id);
      learners.add(id);
      return;
    case 'remove':
      if (!voters.delete(id) && !learners.delete(id)) throw invalid(`there is no member ${id}`);
      return;
    default:
      throw invalid(`a change is add-voter, add-learner or remove, not ${String(type satisfies never)}`);
  }
}

function sorted(ids: readonly NodeId[]): NodeId[] {
  return ids.toSorted((a, b) => a - b);
}

function invalid(message: string): RaftError {
  return new RaftError('KV_RAFT_CONFIG_INVALID', message);
}

function unreadable(): RaftError {
  return new RaftError('KV_RAFT_MESSAGE_INVALID', 'the bytes of a config entry are no membership');
}
