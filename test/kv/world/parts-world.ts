// A simulated cluster of real members: KvNode with its core, log, snapshots and state machine on simulated disks, clocks
// and network, in virtual time, from one seed. After every event the promises are checked. parts-swarm.ts makes it
// hostile, test/kv/labs plays the lab tests on it. Enter by outsideMicrotasks().

import type { KvNodeOptions } from '../../../kv/node/node-options.js';
import type { KvNode } from '../../../kv/node/kv-node.js';
import type { NodeId, RaftMessage } from '../../../kv/raft/index.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { Violation } from '../raft/support/checker.js';
import { EventQueue } from '../raft/support/event-queue.js';
import { mix } from '../raft/support/sim-machine.js';
import { runMicrotasks } from './microtasks.js';
import { CLUSTER_ID, Promises } from './promises.js';
import { type DiskWeather, type MemberBugs, type MemberHost, SimMember } from './sim-member.js';
import { addressOf, type NetHost, type NetWeather, SimNet } from './sim-net.js';

export type NodeSettings = Partial<Omit<KvNodeOptions, 'id' | 'clusterId' | 'boot' | 'firstMembers'>>;

export interface PartsOptions {
  readonly seed: number;
  /** Who votes from the beginning; ids from 1. */
  readonly voterCount: number;
  readonly net?: Partial<NetWeather>;
  readonly disk?: Partial<DiskWeather>;
  /** Clocks run up to so much fast or slow, in parts of a million. */
  readonly driftPpm?: number;
  /** Wall clocks are wrong by up to so much. */
  readonly wallSkewMs?: number;
  readonly node?: NodeSettings;
  /** Messages cross as bytes. */
  readonly isEncoded?: boolean;
  readonly bugs?: MemberBugs;
  /** Killed as soon as it cannot go on, and started again after so long; null: left alone. */
  readonly restartMs?: number | null;
  /** One in so many acknowledgements and commits is looked up on the disks. Default 64. */
  readonly lookEvery?: number;
}

const CALM: NetWeather = {
  delayMinMs: 0,
  delayMaxMs: 0,
  loss: 0,
  duplication: 0,
  longDelays: 0,
  longDelayMs: 0,
  flightsSurvive: false,
};

const TRACE_LINES = 60;

export class PartsWorld implements MemberHost, NetHost {
  readonly seed: number;
  readonly random: SeededRandom;
  readonly weather: NetWeather;
  readonly diskWeather: DiskWeather;
  readonly net: SimNet;
  readonly promises: Promises;
  readonly all: Map<NodeId, SimMember> = new Map();
  readonly #options: PartsOptions;
  readonly #queue = new EventQueue();
  readonly #touched = new Set<SimMember>();
  #checks: (() => Promise<void>)[] = [];
  #violation: Violation | null = null;
  #eventCount = 0;
  #traceHash = 0x811c9dc5;
  readonly #trace: [time: number, id: number, what: string, number: number][] = [];
  #traceCount = 0;
  onStarted: (member: SimMember, node: KvNode) => void = () => {};
  onMessage: (from: NodeId, to: NodeId, message: RaftMessage) => void = () => {};

  constructor(options: PartsOptions) {
    this.seed = options.seed;
    this.#options = options;
    this.random = new SeededRandom(options.seed);
    this.weather = { ...CALM, ...options.net };
    this.diskWeather = { syncMinMs: 0, syncMaxMs: 0, slowWrites: 0, ...options.disk };
    this.net = new SimNet(this, options.isEncoded === true);
    this.promises = new Promises({
      lookEvery: options.lookEvery ?? 64,
      random: new SeededRandom(options.seed ^ 0x10ad),
      members: () => this.all.values(),
      fail: (message) => this.note(message),
      afterEvent: (check) => this.#checks.push(check),
    });
    for (let id = 1; id <= options.voterCount; id += 1) this.#make(id, true);
  }

  /** A member that may join, with an empty disk and an id of its own. */
  newcomer(): SimMember {
    return this.#make(this.all.size + 1, false);
  }

  get eventCount(): number {
    return this.#eventCount;
  }

  /** The same for every run of the same seed and code. */
  get traceHash(): string {
    return this.#traceHash.toString(16).padStart(8, '0');
  }

  /** The last events, oldest first. */
  get trace(): readonly string[] {
    const oldest = this.#traceCount % TRACE_LINES;
    const lines = [...this.#trace.slice(oldest), ...this.#trace.slice(0, oldest)];
    return lines.map(([time, ...rest]) => [time.toFixed(3), ...rest].join(' '));
  }

  member(id: NodeId): SimMember {
    const member = this.all.get(id);
    if (member === undefined) throw new Error(`there is no member ${id}`);
    return member;
  }

  end(id: NodeId): SimMember | undefined {
    return this.all.get(id);
  }

  get up(): SimMember[] {
    return [...this.all.values()].filter(({ isUp }) => isUp);
  }

  /** Who believes to lead, newest term first. */
  get leaders(): SimMember[] {
    return this.up
      .filter(({ node }) => node!.isLeader)
      .toSorted((a, b) => b.node!.core.term - a.node!.core.term); // they are up
  }

  // -- time ------------------------------------------------------------------------------------------------------

  now(): number {
    return this.#queue.now;
  }

  later(delayMs: number, run: () => void): void {
    this.#queue.after(delayMs, run);
  }

  /** One event and all that follows from it at once. @throws Violation */
  step(until: number = Infinity): boolean {
    if (!this.#queue.step(until)) return false;
    this.#eventCount += 1;
    this.settle();
    return true;
  }

  /** What follows from something that was done to the world from outside. @throws Violation */
  settle(): void {
    runMicrotasks();
    for (const member of this.#touched) this.promises.after(member);
    this.#touched.clear();
    while (this.#checks.length > 0) {
      for (const check of this.#checks.splice(0)) {
        check().catch((error: unknown) => this.note(`a disk cannot be read: ${String(error)}`));
      }
      runMicrotasks();
    }
    if (this.#violation !== null) throw this.#violation;
  }

  runFor(ms: number): void {
    const end = this.now() + ms;
    while (this.step(end));
    this.#queue.runUntil(end);
  }

  /** Runs until `holds`, in steps of 5 ms. @returns false when `withinMs` passed before */
  runUntil(holds: () => boolean, withinMs: number): boolean {
    this.settle();
    const end = this.now() + withinMs;
    while (!holds()) {
      if (this.now() >= end) return false;
      this.runFor(5);
    }
    return true;
  }

  startAll(): void {
    for (const member of this.all.values()) member.start();
    this.settle();
  }

  // -- the network -----------------------------------------------------------------------------------------------

  partition(groups: readonly (readonly NodeId[])[]): void {
    this.net.partition(this.all.keys(), groups);
  }

  transport(member: SimMember): ReturnType<SimNet['transport']> {
    return this.net.transport(member);
  }

  sent(from: NodeId, to: NodeId, message: RaftMessage): void {
    this.promises.sent(this.member(from), to, message);
    this.onMessage(from, to, message);
  }

  arrives(_from: NodeId, to: NodeId, message: RaftMessage): void {
    this.traced(to, message.type, 'term' in message ? message.term : 0);
  }

  // -- what members tell -----------------------------------------------------------------------------------------

  touched(member: SimMember): void {
    this.#touched.add(member);
  }

  started(member: SimMember): void {
    const node = member.node!; // it has just started
    if (member.isRotten) {
      this.note(`member ${member.id} starts on a log with a bit of it changed`);
      return;
    }
    this.traced(member.id, 'start', node.core.lastIndex);
    this.promises.started(member, node.core);
    this.touched(member);
    this.onStarted(member, node);
  }

  refused(member: SimMember, error: Error): void {
    const { code } = error as { readonly code?: string };
    this.traced(member.id, `refused ${code}`, 0);
    if (member.isRotten) {
      member.state = 'damaged';
    } else if (member.hadDiskError || code === 'KV_DISK_FULL') {
      this.#restart(member);
    } else {
      this.note(`member ${member.id} does not start on the disk it left: ${error.stack}`);
    }
  }

  failed(member: SimMember, error: Error): void {
    const { code } = error as { readonly code?: string };
    this.traced(member.id, `failed ${code}`, 0);
    if (!member.hadDiskError || (code !== 'KV_POISONED' && code !== 'KV_IO')) {
      this.note(`member ${member.id} cannot go on: ${error.stack}`);
      return;
    }
    const { life } = member;
    this.later(0, () => {
      if (member.life !== life) return;
      member.end('process');
      this.#restart(member);
    });
  }

  removed(member: SimMember): void {
    this.traced(member.id, 'removed', 0);
    const { life } = member;
    this.later(0, () => {
      if (member.life !== life) return;
      member.end('process');
      member.state = 'removed';
    });
  }

  applies(member: SimMember, index: number): void {
    this.promises.applies(member, index);
  }

  logged(member: SimMember, message: string): void {
    this.traced(member.id, message, 0);
  }

  /** What is on its disk is not what was written: it must not start, and nobody relies on it. */
  spoiled(member: SimMember): void {
    member.isRotten = true;
    this.traced(member.id, 'rot', 0);
  }

  /** A promise was broken: the event ends, and then the run. */
  note(message: string): void {
    this.#violation ??= new Violation(message);
  }

  /** @throws Violation */
  fail(message: string): never {
    throw new Violation(message);
  }

  traced(id: number, what: string, number: number): void {
    const name = what.length * 31 + what.charCodeAt(0);
    this.#traceHash = mix(mix(mix(mix(this.#traceHash, id), number), Math.floor(this.now() * 1024)), name);
    this.#trace[this.#traceCount % TRACE_LINES] = [this.now(), id, what, number];
    this.#traceCount += 1;
  }

  #restart(member: SimMember): void {
    const { restartMs = 200 } = this.#options;
    if (restartMs === null) return;
    const { life } = member;
    this.later(restartMs, () => {
      if (member.life === life) member.start();
    });
  }

  #make(id: NodeId, isVoter: boolean): SimMember {
    const { voterCount, node, driftPpm = 0, wallSkewMs = 0, bugs = {} } = this.#options;
    const random = new SeededRandom(this.random.integer(1, 2 ** 31));
    // What flags say: whoever joins later is found through what members tell of each other.
    const first = Array.from({ length: voterCount }, (_, at) => at + 1);
    const addresses = new Map(first.map((member) => [member, addressOf(member)]));
    const firstMembers = isVoter ? first : [];
    const member = new SimMember(
      this,
      {
        wal: { segmentBytes: 16_384 },
        ...node,
        id,
        clusterId: CLUSTER_ID,
        firstMembers,
        addresses,
        rpcAddress: addressOf(id),
      },
      random,
      {
        rate: 1 + (random.fraction() * 2 - 1) * driftPpm * 1e-6,
        wallOffsetMs: Math.floor((random.fraction() * 2 - 1) * wallSkewMs),
      },
      bugs,
    );
    this.all.set(id, member);
    return member;
  }
}
