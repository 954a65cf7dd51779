// What a member promises the others and its clients, checked after every event for the members it touched, against one
// history of everything that was ever committed, and now and then against what is on the platters of their disks.
// Knows the cores and the files, and nothing of how they keep these promises.

import type { Entry, Membership, NodeId, RaftCore, RaftMessage } from '../../../kv/raft/index.js';
import { type ReplayedLog, replay } from '../../../kv/wal/recovery.js';
import { SnapshotFiles } from '../../../kv/wal/snapshot-files.js';
import { mix } from '../raft/support/sim-machine.js';
import type { SeededRandom } from '../../support/seeded-random.js';
import type { SimMember } from './sim-member.js';

export const CLUSTER_ID = 77;

interface Committed {
  readonly term: number;
  readonly contents: number;
}

const UNSEEN: Committed = { term: -1, contents: 0 };

interface Seen {
  life: number;
  term: number;
  commit: number;
  applied: number;
  revision: number;
  role: string;
  /** In force after what it did last; null in a life that has done nothing yet. */
  membership: Membership | null;
  /** The last entry it acknowledged, and the last vote it gave, in whichever life. */
  acked: { index: number; term: number };
  voted: { term: number; to: NodeId };
}

export interface PromisesHost {
  /** One in so many acknowledgements and commits is looked up on the disks. */
  readonly lookEvery: number;
  readonly random: SeededRandom;
  members(): Iterable<SimMember>;
  fail(message: string): void;
  /** Runs what looks at disks, which takes promises, once the event is over. */
  afterEvent(check: () => Promise<void>): void;
}

/** One in so many entries has the whole state of the members compared that apply it. */
const HASH_EVERY = 32;

export class Promises {
  /** By index - 1. */
  readonly committed: Committed[] = [];
  readonly #host: PromisesHost;
  readonly #leaders = new Map<number, NodeId>();
  /** By index and term. */
  readonly #entries = new Map<number, { contents: number; prevTerm: number }>();
  readonly #seen = new Map<NodeId, Seen>();
  /** By index: of the state just before its entry. */
  readonly #states = new Map<number, string>();
  readonly #hashes = new Map<number, string>();
  looks = 0;

  constructor(host: PromisesHost) {
    this.#host = host;
  }

  /** A new life began; what was durable must be there. */
  started(member: SimMember, core: RaftCore): void {
    const seen = this.#of(member);
    const { term, vote, lastIndex, lastTerm, snapshotIndex } = core.status();
    if (!member.isRotten) {
      if (term < seen.voted.term) this.#fail(member, `forgot term ${seen.voted.term} in which it voted`);
      if (seen.voted.to !== 0 && term === seen.voted.term && vote !== seen.voted.to)
        this.#fail(member, `forgot its vote in term ${term}`);
      const { acked } = seen;
      const isThere =
        acked.index <= snapshotIndex ||
        lastTerm > acked.term ||
        (lastIndex >= acked.index && (core.entryAt(acked.index)?.term ?? acked.term) === acked.term);
      if (!isThere)
        this.#fail(member, `lost entry ${acked.index} of term ${acked.term}, which it acknowledged`);
    }
    Object.assign(seen, {
      life: member.life,
      term,
      commit: 0,
      applied: 0,
      revision: 0,
      role: 'follower',
      membership: null,
    });
  }

  /** The member has done something. */
  after(member: SimMember): void {
    const { node } = member;
    if (node === null) return;
    const { core } = node;
    const seen = this.#of(member);
    if (seen.life !== member.life) return;
    const { term, commitIndex, appliedIndex, role } = core;
    if (term < seen.term) this.#fail(member, `went back to term ${term}`);
    seen.term = term;
    if (commitIndex < seen.commit) this.#fail(member, 'forgot that it committed');
    if (appliedIndex < seen.applied || appliedIndex > commitIndex)
      this.#fail(member, `applied ${appliedIndex} after ${seen.applied}, with ${commitIndex} committed`);
    seen.applied = appliedIndex;
    const { revision } = node.machine;
    if (revision < seen.revision) this.#fail(member, `shows revision ${revision} after ${seen.revision}`);
    seen.revision = revision;
    if (role === 'leader') this.#leads(member, core, seen);
    seen.role = role;
    if (commitIndex > seen.commit) this.#commits(member, core, seen, commitIndex);
    seen.commit = commitIndex;
    seen.membership = core.membership;
  }

  /** Just before an entry is applied: all members are in the same state there. */
  applies(member: SimMember, index: number): void {
    const machine = member.node?.machine;
    if (machine === undefined) return;
    const { keyspace, revision } = machine;
    const state = `${revision} ${keyspace.size} ${keyspace.memoryBytes} ${keyspace.nowMs}`;
    this.#compare(member, this.#states, index, state);
    if (index % HASH_EVERY === 0) this.#compare(member, this.#hashes, index, machine.hash());
  }

  sent(member: SimMember, to: NodeId, message: RaftMessage): void {
    if (message.type === 'append') {
      this.#logMatches(message.entries, message.prevTerm);
    } else if (message.type === 'append-response' && message.success) {
      this.#acknowledges(member, message.matchIndex, message.term);
    } else if (message.type === 'vote-response' && message.granted) {
      const seen = this.#of(member);
      if (seen.voted.term === message.term && seen.voted.to !== to)
        this.#fail(member, `voted for ${seen.voted.to} and ${to} in term ${message.term}`);
      seen.voted = { term: message.term, to };
      this.#look(member, (log) => {
        const { term, vote } = log?.image.hardState ?? { term: 0, vote: null };
        if (term < message.term || (term === message.term && vote !== to))
          this.#fail(member, `gave a vote in term ${message.term} that is not on its disk`);
      });
    }
  }

  #acknowledges(member: SimMember, index: number, term: number): void {
    const core = member.node?.core;
    if (core === undefined || core.term !== term) return;
    const entryTerm = core.entryAt(index)?.term;
    if (entryTerm === undefined) return; // under its snapshot
    this.#of(member).acked = { index, term: entryTerm };
    if (!this.#host.random.chance(1 / this.#host.lookEvery)) return;
    this.#look(member, (log) => {
      if (!holds(log, index, entryTerm))
        this.#fail(member, `acknowledged entry ${index} of term ${entryTerm}, which is not on its disk`);
    });
  }

  #leads(member: SimMember, core: RaftCore, seen: Seen): void {
    const other = this.#leaders.get(core.term);
    if (other !== undefined && other !== member.id) {
      this.#fail(member, `leads term ${core.term} as member ${other} does`);
    }
    if (other === member.id && seen.role === 'leader') return;
    this.#leaders.set(core.term, member.id);
    const last = this.committed.length;
    if (core.lastIndex < last) this.#fail(member, 'leads and lacks committed entries');
    for (let index = Math.max(1, last - 20); index <= last; index += 1) {
      const entry = core.entryAt(index);
      const known = this.committed[index - 1]!; // without gaps
      if (entry !== undefined && known !== UNSEEN && entry.term !== known.term)
        this.#fail(member, `leads with another entry at ${index} than the committed one`);
    }
  }

  #commits(member: SimMember, core: RaftCore, seen: Seen, to: number): void {
    for (let index = seen.commit + 1; index <= to; index += 1) {
      const entry = core.entryAt(index);
      const known = this.committed[index - 1];
      if (entry === undefined) {
        // Under its snapshot; if nobody was seen to commit it before, it was compacted within one event.
        this.committed[index - 1] ??= UNSEEN;
        continue;
      }
      const contents = contentsOf(entry);
      if (known === undefined || known === UNSEEN) this.committed[index - 1] = { term: entry.term, contents };
      else if (known.term !== entry.term || known.contents !== contents)
        this.#fail(member, `committed another entry at ${index}`);
    }
    const entry = core.entryAt(to);
    if (core.role !== 'leader' || entry === undefined || !this.#host.random.chance(1 / this.#host.lookEvery))
      return;
    // A commit may be followed at once by the next configuration, which did not decide on it.
    const memberships = [seen.membership ?? core.membership, core.membership];
    this.#host.afterEvent(() => this.#restsOnQuorum(member, to, entry.term, memberships));
  }

  /** Counted by hand, on the disks, crashed members included: a majority of both halves of one of the memberships. */
  async #restsOnQuorum(
    member: SimMember,
    index: number,
    term: number,
    memberships: readonly Membership[],
  ): Promise<void> {
    this.looks += 1;
    const holders = new Set<NodeId>();
    for (const other of this.#host.members()) {
      if (other.isRotten)
        holders.add(other.id); // nobody can tell any more
      else if (holds(await logOf(other), index, term)) holders.add(other.id);
    }
    const isMajority = (half: readonly NodeId[]): boolean =>
      half.length === 0 || half.filter((id) => holders.has(id)).length * 2 > half.length;
    if (memberships.some(({ voters, outgoing }) => isMajority(voters) && isMajority(outgoing))) return;
    const [{ voters, outgoing }] = memberships as [Membership];
    const found = [...holders].join(' ');
    this.#fail(
      member,
      `committed ${index} of ${voters.join(' ')} and ${outgoing.join(' ')}, which is on the disks of ${found}`,
    );
  }

  /** An index and a term name one entry, and what comes before it. */
  #logMatches(entries: readonly Entry[], prevTerm: number): void {
    let before = prevTerm;
    for (const entry of entries) {
      const key = entry.index * 2 ** 20 + entry.term;
      const known = this.#entries.get(key);
      if (known === undefined) {
        this.#entries.set(key, { contents: contentsOf(entry), prevTerm: before });
      } else if (known.prevTerm !== before || known.contents !== contentsOf(entry)) {
        this.#host.fail(`there are two entries ${entry.index} of term ${entry.term}`);
      }
      before = entry.term;
    }
  }

  #compare(member: SimMember, states: Map<number, string>, index: number, state: string): void {
    const known = states.get(index);
    if (known === undefined) states.set(index, state);
    else if (known !== state)
      this.#fail(member, `is in another state before entry ${index}: ${state}, others ${known}`);
  }

  #look(member: SimMember, judge: (log: ReplayedLog | null) => void): void {
    this.#host.afterEvent(async () => {
      if (member.isRotten) return;
      this.looks += 1;
      judge(await logOf(member));
    });
  }

  #of(member: SimMember): Seen {
    let seen = this.#seen.get(member.id);
    if (seen === undefined) {
      seen = {
        life: 0,
        term: 0,
        commit: 0,
        applied: 0,
        revision: 0,
        role: 'follower',
        membership: null,
        acked: { index: 0, term: 0 },
        voted: { term: 0, to: 0 },
      };
      this.#seen.set(member.id, seen);
    }
    return seen;
  }

  #fail(member: SimMember, message: string): void {
    this.#host.fail(`member ${member.id} ${message}`);
  }
}

/** What its log would hold if all that was not synced were lost now. */
async function logOf(member: SimMember): Promise<(ReplayedLog & { snapshotIndex: number }) | null> {
  const platter = member.disk.platter();
  const log = await replay(platter, { clusterId: CLUSTER_ID, memberId: member.id });
  const snapshots = await (await SnapshotFiles.open(platter, CLUSTER_ID)).list();
  return { ...log, snapshotIndex: snapshots[0]?.index ?? 0 };
}

function holds(log: (ReplayedLog & { snapshotIndex?: number }) | null, index: number, term: number): boolean {
  if (log === null) return false;
  if (index <= Math.max(log.image.snapshot.index, log.snapshotIndex ?? 0)) return true;
  const first = log.entries[0]?.index ?? 0;
  return log.entries[index - first]?.term === term;
}

function contentsOf(entry: Entry): number {
  let hash = mix(entry.term, entry.kind.length);
  for (const byte of entry.data) hash = mix(hash, byte);
  return hash;
}
