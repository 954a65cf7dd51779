// The promises of Raft, checked while a simulation runs: after every event for the member it touched, against one history
// of everything that was ever committed. Knows nothing of how the core keeps them.

import {
  decodeMembership,
  type Effect,
  type Entry,
  isJoint,
  type RaftMessage,
} from '../../../../kv/raft/index.js';
import { mix } from './sim-machine.js';
import type { SimNode } from './sim-node.js';

export class Violation extends Error {}

interface Committed {
  readonly term: number;
  readonly contents: number;
  /** Of the state machine once it applied this entry; 0 before anybody did. */
  stateHash: number;
}

interface Seen {
  term: number;
  vote: number | null;
  commit: number;
  role: string;
}

export class Checker {
  /** By index - 1. */
  readonly committed: Committed[] = [];
  readonly #leaders = new Map<number, number>();
  /** By index and term. */
  readonly #entries = new Map<number, { contents: number; prevTerm: number }>();
  readonly #seen = new Map<number, Seen>();
  readonly #nodes: () => Iterable<SimNode>;

  constructor(nodes: () => Iterable<SimNode>) {
    this.#nodes = nodes;
  }

  /** What a life that ended had not made durable may be gone; what was durable may not. */
  restarted(node: SimNode): void {
    const { hardState } = node.disk;
    this.#seen.set(node.id, { term: hardState.term, vote: hardState.vote, commit: 0, role: 'follower' });
  }

  /** An effect is about to be carried out. */
  effect(node: SimNode, effect: Effect): void {
    if (effect.kind === 'persist') this.#logMatches(node, effect.entries);
    else if (effect.kind === 'send') this.#isDurable(node, effect.to, effect.message);
  }

  applied(node: SimNode, entry: Entry, stateHash: number): void {
    const known = this.committed[entry.index - 1];
    if (known === undefined || known.term !== entry.term || known.contents !== contentsOf(entry)) {
      throw new Violation(
        `member ${node.id} applied an entry at ${entry.index} that is not the committed one`,
      );
    }
    if (known.stateHash === 0) known.stateHash = stateHash;
    else if (known.stateHash !== stateHash) {
      throw new Violation(`member ${node.id} is in another state at ${entry.index}`);
    }
  }

  installed(node: SimNode, index: number, stateHash: number): void {
    const known = this.committed[index - 1];
    if (known === undefined || (known.stateHash !== 0 && known.stateHash !== stateHash)) {
      throw new Violation(`member ${node.id} installed a snapshot at ${index} of another state`);
    }
  }

  /** The member `node` has done something. */
  after(node: SimNode): void {
    const { core } = node;
    if (core === null) return;
    const status = { term: core.term, commit: core.commitIndex, role: core.role };
    let seen = this.#seen.get(node.id);
    if (seen === undefined) {
      seen = { term: 0, vote: null, commit: 0, role: 'follower' };
      this.#seen.set(node.id, seen);
    }
    if (status.term < seen.term) throw new Violation(`member ${node.id} went back to term ${status.term}`);
    seen.term = status.term;
    if (status.commit < seen.commit) throw new Violation(`member ${node.id} forgot that it committed`);
    if (status.role === 'leader') this.#leads(node, seen);
    seen.role = status.role;
    if (status.commit > seen.commit) this.#commits(node, seen.commit, status.commit);
    seen.commit = status.commit;
  }

  #leads(node: SimNode, seen: Seen): void {
    const core = node.core!; // called for a live one
    const other = this.#leaders.get(core.term);
    if (other !== undefined && other !== node.id) {
      throw new Violation(`members ${other} and ${node.id} both lead term ${core.term}`);
    }
    if (other === node.id && seen.role === 'leader') return;
    this.#leaders.set(core.term, node.id);
    const last = this.committed.length;
    if (core.lastIndex < last) throw new Violation(`leader ${node.id} lacks committed entries`);
    for (let index = Math.max(1, last - 20); index <= last; index += 1) {
      const entry = core.entryAt(index);
      if (entry !== undefined && entry.term !== this.committed[index - 1]!.term) {
        throw new Violation(`leader ${node.id} has another entry at ${index} than the committed one`);
      }
    }
  }

  #commits(node: SimNode, from: number, to: number): void {
    const core = node.core!; // called for a live one
    for (let index = from + 1; index <= to; index += 1) {
      const entry = core.entryAt(index);
      const known = this.committed[index - 1];
      if (entry === undefined) {
        if (known === undefined)
          throw new Violation(`member ${node.id} committed ${index}, unknown to anybody`);
        continue; // under its snapshot
      }
      const contents = contentsOf(entry);
      if (known === undefined) this.committed[index - 1] = { term: entry.term, contents, stateHash: 0 };
      else if (known.term !== entry.term || known.contents !== contents) {
        throw new Violation(`member ${node.id} committed another entry at ${index}`);
      }
    }
    const last = core.entryAt(to);
    if (core.role === 'leader' && last !== undefined) this.#restsOnQuorum(node, to, last.term);
  }

  /** Counted by hand, on the disks, crashed members included. */
  #restsOnQuorum(node: SimNode, index: number, term: number): void {
    const { membership } = node.core!; // called for a live one
    const holders = new Set<number>();
    for (const other of this.#nodes()) if (other.disk.holds(index, term)) holders.add(other.id);
    for (const half of [membership.voters, membership.outgoing]) {
      const count = half.filter((id) => holders.has(id)).length;
      if (half.length > 0 && count * 2 <= half.length) {
        throw new Violation(`member ${node.id} committed ${index}, durable on ${count} of ${half.join(' ')}`);
      }
    }
  }

  /** An index and a term name one entry, and what comes before it. */
  #logMatches(node: SimNode, entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.kind === 'config') this.#leftJoint(node, entry);
      const key = entry.index * 2 ** 20 + entry.term;
      const contents = contentsOf(entry);
      const before = entry.index - 1;
      const prevTerm = node.core!.entryAt(before)?.term ?? -1; // called for a live one
      const known = this.#entries.get(key);
      if (known === undefined) this.#entries.set(key, { contents, prevTerm });
      else if (known.contents !== contents)
        throw new Violation(`two entries have index ${entry.index} and term ${entry.term}`);
      else if (prevTerm !== -1 && known.prevTerm !== -1 && known.prevTerm !== prevTerm) {
        throw new Violation(`entry ${entry.index} of term ${entry.term} follows different entries`);
      }
    }
  }

  /** A joint configuration is in force until it is committed. */
  #leftJoint(node: SimNode, left: Entry): void {
    const core = node.core!; // called for a live one
    for (let index = left.index - 1; index > 0; index -= 1) {
      const entry = core.entryAt(index);
      if (entry === undefined) return;
      if (entry.kind !== 'config') continue;
      if (isJoint(decodeMembership(entry.data)) && this.committed[index - 1]?.term !== entry.term) {
        throw new Violation(`the joint configuration at ${index} was left before it was committed`);
      }
      return;
    }
  }

  /** Nothing leaves that rests on what a crash would take back. */
  #isDurable(node: SimNode, to: number, message: RaftMessage): void {
    const { hardState } = node.disk;
    if (!('term' in message) || message.type === 'propose-response') return;
    const isPreVote = message.type === 'pre-vote' || message.type === 'pre-vote-response';
    if (!isPreVote && hardState.term < message.term) {
      throw new Violation(`member ${node.id} speaks in term ${message.term} before it is durable`);
    }
    if (message.type === 'vote-response' && message.granted && hardState.term === message.term) {
      if (hardState.vote !== to) throw new Violation(`member ${node.id} granted a vote that is not durable`);
    }
    if (message.type === 'append-response' && message.success && message.term === node.core!.term) {
      if (node.disk.lastIndex < message.matchIndex) {
        throw new Violation(`member ${node.id} acknowledged ${message.matchIndex} before it was durable`);
      }
      const entry = node.core!.entryAt(message.matchIndex);
      if (entry !== undefined && !node.disk.holds(entry.index, entry.term)) {
        throw new Violation(
          `member ${node.id} acknowledged entry ${entry.index} of which an older one is durable`,
        );
      }
    }
  }
}

function contentsOf(entry: Entry): number {
  let hash = mix(entry.term, entry.kind.length);
  for (const byte of entry.data) hash = mix(hash, byte);
  return hash;
}
