// The harness of the MIT 6.5840 Raft labs, re-created from its description on the simulator: the same network, the same
// ways to ask, in virtual milliseconds. Differences: a term begins with a no-op, so indexes are those of the log and
// tests compare positions; a driver hands all commands of one turn to the core in one proposal, as the real one does.

import assert from 'node:assert/strict';
import type { RaftOptions } from '../../../../kv/raft/index.js';
import type { SimNode } from './sim-node.js';
import { World } from './world.js';

/** ELECTION in the lab: an upper bound for electing a leader. */
export const ELECTION_MS = 1000;

const OPTIONS: Omit<RaftOptions, 'id'> = {
  electionTicks: 10,
  heartbeatTicks: 2,
  forwardProposals: false,
  snapshotEntries: 0,
};

export interface LabOptions {
  readonly seed: number;
  readonly isUnreliable?: boolean;
  /** Members take a snapshot every ten entries. */
  readonly hasSnapshots?: boolean;
}

export interface Started {
  readonly index: number;
  readonly term: number;
}

export class Lab {
  readonly world: World;
  readonly count: number;
  /** By index: what was applied there, on whichever member. */
  readonly applied: Map<number, string> = new Map();
  readonly #connected: boolean[];
  #proposed: Started | null = null;
  #isReordering = false;

  constructor(count: number, options: LabOptions) {
    this.count = count;
    this.world = new World({
      seed: options.seed,
      memberCount: count,
      options: options.hasSnapshots ? { ...OPTIONS, snapshotEntries: 10, trailingEntries: 0 } : OPTIONS,
    });
    this.#connected = Array.from({ length: count }, () => true);
    if (options.isUnreliable) this.setUnreliable(true);
    this.world.onEffect = (_, effect) => {
      if (effect.kind === 'proposed') this.#proposed = effect;
    };
    this.world.onApplied = (_, entry) => {
      if (entry.kind === 'normal') this.applied.set(entry.index, Buffer.from(entry.data).toString());
    };
    this.world.route = (from, to, message) => {
      if (!this.#isReordering || !message.type.endsWith('-response')) return false;
      const { random } = this.world;
      if (!random.chance(2 / 3)) return false;
      this.world.deliver(from, to, message, 200 + random.integer(0, random.integer(0, 1999)));
      return true;
    };
    this.world.startAll();
  }

  get random(): World['random'] {
    return this.world.random;
  }

  /** Members count from 0, as in the lab. */
  node(member: number): SimNode {
    return this.world.node((member % this.count) + 1);
  }

  isUp(member: number): boolean {
    return this.node(member).core !== null;
  }

  isConnected(member: number): boolean {
    return this.#connected[member % this.count] === true;
  }

  setUnreliable(isUnreliable: boolean): void {
    Object.assign(this.world.weather, isUnreliable ? { delayMax: 26, loss: 0.1 } : { delayMax: 0, loss: 0 });
  }

  setLongReordering(isReordering: boolean): void {
    this.#isReordering = isReordering;
  }

  sleep(ms: number): void {
    this.world.runFor(ms);
  }

  disconnect(...members: readonly number[]): void {
    for (const member of members) this.#connected[member % this.count] = false;
    this.#link();
  }

  connect(...members: readonly number[]): void {
    for (const member of members) this.#connected[member % this.count] = true;
    this.#link();
  }

  crash(...members: readonly number[]): void {
    for (const member of members) {
      this.disconnect(member);
      this.node(member).crash();
    }
  }

  restart(...members: readonly number[]): void {
    for (const member of members) {
      this.node(member).crash();
      this.node(member).start();
      this.connect(member);
    }
  }

  members(): number[] {
    return Array.from({ length: this.count }, (_, member) => member);
  }

  /** Null unless the member believes to lead. */
  start(member: number, ...commands: readonly string[]): Started | null {
    this.#proposed = null;
    const refusal = this.node(member).input((core) =>
      core.propose(commands.map((each) => Buffer.from(each))),
    );
    return refusal === null ? this.#proposed : null;
  }

  leads(member: number): boolean {
    return this.node(member).core?.role === 'leader';
  }

  term(member: number): number {
    return this.node(member).core?.term ?? 0;
  }

  checkOneLeader(): number {
    for (let attempt = 0; attempt < 10; attempt += 1) {
      this.sleep(450 + this.random.integer(0, 99));
      const leaders = this.members().filter((member) => this.isConnected(member) && this.leads(member));
      const terms = leaders.map((member) => this.term(member));
      assert.equal(new Set(terms).size, terms.length, 'two leaders in one term');
      const newest = leaders.toSorted((a, b) => this.term(b) - this.term(a))[0];
      if (newest !== undefined) return newest;
    }
    throw new assert.AssertionError({ message: 'one leader was expected, there is none' });
  }

  checkTerms(): number {
    const connected = this.members().filter((member) => this.isConnected(member));
    const terms = new Set(connected.map((member) => this.term(member)));
    assert.equal(terms.size, 1, 'the members agree on the term');
    return [...terms][0]!; // just counted
  }

  checkNoLeader(): void {
    for (const member of this.members()) {
      assert(!(this.isConnected(member) && this.leads(member)), `member ${member} claims to lead`);
    }
  }

  /** Members whose state machine holds the entry; that it is the same entry is the checker's business. */
  committedOn(index: number): number {
    return this.members().filter((member) => this.node(member).machine.index >= index).length;
  }

  waitFor(index: number, members: number, withinMs: number = 10_000): void {
    assert(
      this.world.runUntil(() => this.committedOn(index) >= members, withinMs),
      `entry ${index} did not reach ${members} members`,
    );
  }

  /** Agreement on one command; returns its index. */
  one(command: string, members: number, mayRetry: boolean): number {
    const end = this.world.now + 10_000;
    let next = 0;
    while (this.world.now < end) {
      const started = this.#startAnywhere(command, next);
      next += 1;
      if (started === null) {
        this.sleep(50);
        continue;
      }
      const isDone = (): boolean =>
        this.committedOn(started.index) >= members && this.applied.get(started.index) === command;
      if (this.world.runUntil(isDone, 2000)) return started.index;
      assert(mayRetry, `'${command}' did not reach agreement at the first attempt`);
    }
    throw new assert.AssertionError({ message: `'${command}' did not reach ${members} members` });
  }

  /** The commands in the order they were applied. */
  commands(): string[] {
    return [...this.applied].toSorted(([a], [b]) => a - b).map(([, command]) => command);
  }

  #startAnywhere(command: string, first: number): Started | null {
    for (const offset of this.members()) {
      const member = (first + offset) % this.count;
      if (!this.isConnected(member) || !this.isUp(member)) continue;
      const started = this.start(member, command);
      if (started !== null) return started;
    }
    return null;
  }

  #link(): void {
    const up = this.members().filter((member) => this.isConnected(member));
    this.world.partition([up.map((member) => member + 1)]);
  }
}
