// Whom a member talks to, and at which address: the members as the replicated list has them, those that left a while ago,
// and those that talk to this member though its list, which may lag behind, does not have them (yet, or elsewhere).
// A lagging member has to answer a leader it never heard of: else it would never get the entries that tell of it.
// Pure; kv-node.ts tells it of time and of what it hears, and hands the addresses to its network.

import type { NodeId } from '../raft/index.js';

/** Strangers that are answered at a time: their list is not ours to judge, but its length is. */
const STRANGERS_MAX = 64;

interface Said {
  readonly address: string;
  readonly untilTick: number;
}

export class Reach {
  readonly #patienceTicks: number;
  #listed: ReadonlyMap<NodeId, string> = new Map();
  #current: ReadonlyMap<NodeId, string> = new Map();
  /** Until which tick those who left are reached. */
  readonly #leaving = new Map<NodeId, number>();
  /** What those say of themselves whom the list does not have, or has elsewhere. */
  readonly #said = new Map<NodeId, Said>();

  /** @param patienceTicks how long somebody who is not listed is reached after the list or it spoke for it last. */
  constructor(patienceTicks: number) {
    this.#patienceTicks = patienceTicks;
  }

  /** The list says this now. @returns host:port of everybody to reach */
  listIs(listed: ReadonlyMap<NodeId, string>, tick: number): ReadonlyMap<NodeId, string> {
    this.#listed = listed;
    return this.at(tick);
  }

  /** Somebody who belongs to the cluster spoke, and says where it is. True if others are to be reached than before: ask `at`. */
  heard(from: NodeId, address: string, tick: number): boolean {
    if (address === '' || this.#listed.get(from) === address) return this.#said.delete(from);
    if (!this.#said.has(from) && this.#said.size >= STRANGERS_MAX) return false;
    this.#said.set(from, { address, untilTick: tick + this.#patienceTicks });
    return this.#current.get(from) !== address;
  }

  /** Whether somebody's time is over: ask `at`. */
  isOverdue(tick: number): boolean {
    for (const untilTick of this.#leaving.values()) if (untilTick <= tick) return true;
    for (const { untilTick } of this.#said.values()) if (untilTick <= tick) return true;
    return false;
  }

  at(tick: number): ReadonlyMap<NodeId, string> {
    const addresses = new Map(this.#listed);
    for (const [id, { address, untilTick }] of this.#said) {
      if (untilTick > tick) addresses.set(id, address);
      else this.#said.delete(id);
    }
    for (const [id, address] of this.#current) {
      if (addresses.has(id)) {
        this.#leaving.delete(id);
        continue;
      }
      const untilTick = this.#leaving.get(id) ?? tick + this.#patienceTicks;
      if (untilTick > tick) {
        this.#leaving.set(id, untilTick);
        addresses.set(id, address);
      } else {
        this.#leaving.delete(id);
      }
    }
    this.#current = addresses;
    return addresses;
  }
}
