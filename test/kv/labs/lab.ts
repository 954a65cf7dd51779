// A cluster as the MIT 6.5840 labs see one from outside: members that are cut off, crash and come back, a network that may
// lose and delay, and clerks. The labs are written on this, once; virtual-lab.ts plays them in virtual time on simulated
// disks and networks, process-lab.ts over processes and sockets. Members count from 0.

import assert from 'node:assert/strict';
import {
  type Clerk,
  type ClerkOptions,
  KvError,
  type MemberStatus,
  mayHaveRun,
  op,
} from '../../../kv/index.js';
import type { SeededRandom } from '../../support/seeded-random.js';

/** T of the labs: an upper bound for electing a leader. */
export const ELECTION_MS = 1000;
/** The one key whose value is the log of commands, as raft labs see it. */
const LOG_KEY = 'log';

export interface LabOptions {
  readonly seed: number;
  readonly servers: number;
  readonly isUnreliable?: boolean;
  /** Of log, before a member takes a snapshot; left out: never. */
  readonly snapshotBytes?: number;
}

export interface LabClerkOptions extends Partial<Omit<ClerkOptions, 'endpoints'>> {
  /** Which members it may ask. Default: all. */
  readonly to?: readonly number[];
  /** Asks over a network of its own that nothing happens to. */
  readonly observes?: boolean;
  /** Uses the connections of another clerk of this lab, which outlives it. */
  readonly sharesWith?: Clerk;
}

export interface Traffic {
  /** Between members: what asks for something, without the answers. */
  readonly requests: number;
  readonly bytes: number;
}

export abstract class Lab {
  readonly count: number;
  readonly options: LabOptions;
  readonly random: SeededRandom;
  readonly #connected: boolean[];
  readonly #up: boolean[];
  readonly #asking = new Map<number, Clerk>();
  readonly #looking = new Map<number, Clerk>();
  /** Commands that were answered. */
  readonly #acked: string[] = [];

  protected constructor(options: LabOptions, random: SeededRandom) {
    this.options = options;
    this.count = options.servers;
    this.random = random;
    this.#connected = Array.from({ length: this.count }, () => true);
    this.#up = Array.from({ length: this.count }, () => true);
  }

  // -- what differs ----------------------------------------------------------------------------------------------

  abstract readonly isVirtual: boolean;
  abstract nowMs(): number;
  abstract sleep(ms: number): Promise<void>;
  abstract clerk(options?: LabClerkOptions): Clerk;
  abstract setUnreliable(isUnreliable: boolean): void;
  /** Answers between members come late and out of order, by seconds. */
  abstract setLongReordering(isReordering: boolean): void;
  abstract traffic(): Promise<Traffic>;
  /** Content of the last snapshot that a member took. */
  abstract snapshotBytes(member: number): Promise<number>;
  /** Snapshots that members were sent, over all lives. */
  abstract installs(): Promise<number>;
  /** Of a member's memory, what is in use, garbage collected; null where it has none of its own. */
  abstract heapBytes(member: number): Promise<number | null>;
  protected abstract observedAt(member: number): string;
  /** Members of one group hear each other; whoever is in none hears nobody. */
  protected abstract cut(groups: readonly (readonly number[])[]): void;
  protected abstract end(member: number): Promise<void>;
  protected abstract begin(member: number): Promise<void>;

  // -- members ---------------------------------------------------------------------------------------------------

  members(): number[] {
    return Array.from({ length: this.count }, (_, member) => member);
  }

  isUp(member: number): boolean {
    return this.#up[member % this.count] === true;
  }

  isConnected(member: number): boolean {
    return this.#connected[member % this.count] === true;
  }

  disconnect(...members: readonly number[]): void {
    for (const member of members) this.#connected[member % this.count] = false;
    this.#link();
  }

  connect(...members: readonly number[]): void {
    for (const member of members) this.#connected[member % this.count] = true;
    this.#link();
  }

  partition(...groups: readonly (readonly number[])[]): void {
    this.cut(groups);
  }

  heal(): void {
    this.connect(...this.members());
  }

  async crash(...members: readonly number[]): Promise<void> {
    this.disconnect(...members);
    await Promise.all(
      members.map(async (each) => {
        const member = each % this.count;
        if (!this.isUp(member)) return;
        this.#up[member] = false;
        await this.end(member);
      }),
    );
  }

  async restart(...members: readonly number[]): Promise<void> {
    await this.crash(...members);
    await Promise.all(
      members.map(async (each) => {
        const member = each % this.count;
        await this.begin(member);
        this.#up[member] = true;
        this.connect(member);
      }),
    );
  }

  // -- looking ---------------------------------------------------------------------------------------------------

  /** Null: it does not answer. */
  async status(member: number): Promise<MemberStatus | null> {
    if (!this.isUp(member)) return null;
    try {
      return await this.#look(member).admin.status(this.observedAt(member), { timeoutMs: 2000 });
    } catch (error) {
      if (error instanceof KvError) return null;
      throw error;
    }
  }

  async leads(member: number): Promise<boolean> {
    return (await this.status(member))?.role === 'leader';
  }

  /** The leader of the newest term among the connected. */
  async leader(): Promise<number | null> {
    const found: { member: number; term: number }[] = [];
    for (const member of this.members()) {
      if (!this.isConnected(member)) continue;
      const status = await this.status(member);
      if (status?.role === 'leader') found.push({ member, term: status.term });
    }
    const terms = found.map(({ term }) => term);
    assert.equal(new Set(terms).size, terms.length, 'two leaders in one term');
    return found.toSorted((a, b) => b.term - a.term)[0]?.member ?? null;
  }

  async checkOneLeader(): Promise<number> {
    for (let attempt = 0; attempt < 10; attempt += 1) {
      await this.sleep(450 + this.random.integer(0, 99));
      const leader = await this.leader();
      if (leader !== null) return leader;
    }
    throw new assert.AssertionError({ message: 'one leader was expected, there is none' });
  }

  async checkTerms(): Promise<number> {
    const terms = new Set<number>();
    for (const member of this.members()) {
      if (this.isConnected(member)) terms.add((await this.status(member))?.term ?? -1);
    }
    assert.equal(terms.size, 1, `the members agree on the term: ${[...terms].join(' ')}`);
    return [...terms][0]!; // just counted
  }

  async checkNoLeader(): Promise<void> {
    for (const member of this.members()) {
      if (!this.isConnected(member)) continue;
      assert(!(await this.leads(member)), `member ${member} claims to lead`);
    }
  }

  /** What a member has applied under a key; null: no such key, or no answer. */
  async peek(member: number, key: string): Promise<string | null> {
    if (!this.isUp(member)) return null;
    try {
      const { answer } = await this.#look(member).inquire(op.get(key), { level: 'stale', timeoutMs: 2000 });
      return answer?.text ?? null;
    } catch (error) {
      if (error instanceof KvError) return null;
      throw error;
    }
  }

  /** The commands that a member has applied, in order. */
  async commands(member: number): Promise<string[]> {
    const log = await this.peek(member, LOG_KEY);
    return log === null ? [] : log.split(' ').filter((command) => command !== '');
  }

  /** How many members have applied a command. */
  async holders(command: string): Promise<number> {
    const logs = await Promise.all(this.members().map((member) => this.peek(member, LOG_KEY)));
    return logs.filter((log) => log !== null && ` ${log}`.includes(` ${command} `)).length;
  }

  async until(holds: () => Promise<boolean> | boolean, withinMs: number, stepMs = 20): Promise<boolean> {
    const endMs = this.nowMs() + withinMs;
    while (!(await holds())) {
      if (this.nowMs() >= endMs) return false;
      await this.sleep(stepMs);
    }
    return true;
  }

  // -- asking ----------------------------------------------------------------------------------------------------

  /**
   * Appends to a key by way of one member, once: null where that surely did not happen, -1 where nobody knows, else the
   * new length.
   */
  async submit(member: number, key: string, text: string, timeoutMs: number): Promise<number | null> {
    const at = member % this.count;
    try {
      return await this.#ask(at).append(key, text, { timeoutMs });
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      return mayHaveRun(error) ? -1 : null;
    }
  }

  /** Gives a command to a member and does not wait; whether it is answered is remembered. */
  start(member: number, command: string): void {
    void this.#start(member, command, 10_000);
  }

  /** Agreement on one command, on so many members; without `mayRetry`, by the first attempt once there is a leader. */
  async one(command: string, members: number, mayRetry: boolean, withinMs = 10_000): Promise<string> {
    const endMs = this.nowMs() + withinMs;
    if (!mayRetry) await this.until(async () => (await this.leader()) !== null, 10_000);
    const first = this.random.integer(0, this.count - 1);
    for (let attempt = 0; this.nowMs() < endMs; attempt += 1) {
      const member = (first + attempt) % this.count;
      if (!this.isConnected(member) || !this.isUp(member)) {
        await this.sleep(5);
        continue;
      }
      // A command may be executed later than it was given up: the next attempt has another name.
      const name = attempt === 0 ? command : `${command}~${attempt}`;
      const answer = await this.#start(member, name, 2000);
      if (answer === null) {
        await this.sleep(50);
        continue;
      }
      const isThere = async (): Promise<boolean> => (await this.holders(name)) >= members;
      if (await this.until(isThere, 2000)) return name;
      assert(mayRetry, `'${name}' did not reach ${members} members at the first attempt`);
    }
    throw new assert.AssertionError({
      message: `'${command}' did not reach ${members} members in ${withinMs} ms`,
    });
  }

  /** All are well: they have the same log, each command once, and all that was answered is in it. */
  async checkLogs(): Promise<void> {
    this.setLongReordering(false);
    this.setUnreliable(false);
    for (const member of this.members()) if (!this.isUp(member)) await this.restart(member);
    this.heal();
    await this.one('at-last', this.count, true);
    let logs: string[] = [];
    const areSame = async (): Promise<boolean> => {
      logs = await Promise.all(this.members().map(async (member) => (await this.commands(member)).join(' ')));
      return new Set(logs).size === 1;
    };
    assert(await this.until(areSame, 5000), `the logs differ: ${logs.map((log) => log.length).join(' ')}`);
    const log = logs[0]!.split(' '); // there is a member
    const once = new Set(log);
    assert.equal(log.length, once.size, 'a command was executed twice');
    for (const command of this.#acked) assert(once.has(command), `'${command}' was answered and is gone`);
  }

  async #start(member: number, command: string, timeoutMs: number): Promise<number | null> {
    const answer = await this.submit(member, LOG_KEY, `${command} `, timeoutMs);
    if (answer !== null && answer >= 0) this.#acked.push(command);
    return answer;
  }

  /** Of the member, by which nothing is repeated: as a call of a program that the member is a part of. */
  #ask(member: number): Clerk {
    const once = { session: false, attemptTimeoutMs: 60_000 };
    return this.#of(this.#asking, member, { to: [member], observes: true, ...once });
  }

  #look(member: number): Clerk {
    return this.#of(this.#looking, member, { to: [member], session: false, observes: true });
  }

  #of(clerks: Map<number, Clerk>, member: number, options: LabClerkOptions): Clerk {
    const at = member % this.count;
    let clerk = clerks.get(at);
    if (clerk === undefined) {
      clerk = this.clerk({ ...options, backoffMaxMs: 100 });
      clerks.set(at, clerk);
    }
    return clerk;
  }

  #link(): void {
    this.cut([this.members().filter((member) => this.isConnected(member))]);
  }
}
