// A simulated cluster: members, a network that delays, loses, doubles, reorders and partitions, virtual time, one seed.
// Checks the promises of Raft after every event. swarm.ts makes it hostile, lab.ts plays the lab tests on it.

import type { Effect, Entry, RaftMessage, RaftOptions, SnapshotMeta } from '../../../../kv/raft/index.js';
import { bootstrap, membershipOf } from '../../../../kv/raft/index.js';
import type { Rules } from '../../../../kv/raft/rules.js';
import { SeededRandom } from '../../../support/seeded-random.js';
import { Checker, Violation } from './checker.js';
import { EventQueue } from './event-queue.js';
import type { DiskBugs } from './sim-disk.js';
import { mix } from './sim-machine.js';
import { SimNode } from './sim-node.js';

/** What the world does to messages and writes. Times are in virtual ms. */
export interface Weather {
  delayMin: number;
  delayMax: number;
  loss: number;
  duplication: number;
  /** Share of the messages that take up to longDelayMs: out of order by seconds. */
  longDelays: number;
  longDelayMs: number;
  /** What is on its way when a link is cut or its sender dies arrives nevertheless. */
  flightsSurvive: boolean;
  diskMin: number;
  diskMax: number;
  applyMax: number;
  tickMs: number;
  /** A tick may come this much late. */
  tickJitterMs: number;
}

export const CALM: Weather = {
  delayMin: 0,
  delayMax: 0,
  loss: 0,
  duplication: 0,
  longDelays: 0,
  longDelayMs: 0,
  flightsSurvive: false,
  diskMin: 0,
  diskMax: 0,
  applyMax: 0,
  tickMs: 50,
  tickJitterMs: 0,
};

export interface WorldOptions {
  readonly seed: number;
  readonly memberCount: number;
  /** The first of the members; the rest wait to be added. Default: all. */
  readonly voterCount?: number;
  readonly weather?: Partial<Weather>;
  readonly options?: Omit<RaftOptions, 'id'>;
  readonly rules?: Rules;
  readonly bugs?: DiskBugs;
}

const TRACE_LINES = 60;

export class World {
  readonly seed: number;
  readonly random: SeededRandom;
  readonly weather: Weather;
  readonly nodes: Map<number, SimNode> = new Map();
  readonly checker: Checker = new Checker(() => this.nodes.values());
  readonly #queue: EventQueue = new EventQueue();
  readonly #blocked = new Set<number>();
  #eventCount = 0;
  #traceHash = 0x811c9dc5;
  readonly #trace: [time: number, id: number, what: string, number: number][] = [];
  #traceCount = 0;
  /** Requests that were sent, and the bytes of their entries. */
  requestCount = 0;
  requestBytes = 0;
  onEffect: (node: SimNode, effect: Effect) => void = () => {};
  onApplied: (node: SimNode, entry: Entry) => void = () => {};
  onInstalled: (node: SimNode, snapshot: SnapshotMeta) => void = () => {};
  onStarted: (node: SimNode) => void = () => {};
  /** May take a message over (true), to deliver it in its own way. */
  route: (from: SimNode, to: SimNode, message: RaftMessage) => boolean = () => false;

  constructor(options: WorldOptions) {
    this.seed = options.seed;
    this.random = new SeededRandom(options.seed);
    this.weather = { ...CALM, ...options.weather };
    const ids = Array.from({ length: options.memberCount }, (_, slot) => slot + 1);
    const voters = ids.slice(0, options.voterCount ?? options.memberCount);
    for (const id of ids) {
      const membership = voters.includes(id) ? membershipOf(voters) : membershipOf([]);
      const random = new SeededRandom(this.random.integer(1, 2 ** 31));
      const initial = bootstrap(membership);
      const node = new SimNode(
        this,
        { ...options.options, id },
        random,
        initial,
        options.rules,
        options.bugs,
      );
      this.nodes.set(id, node);
    }
  }

  get now(): number {
    return this.#queue.now;
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
    return [...this.#trace.slice(oldest), ...this.#trace.slice(0, oldest)].map((line) => line.join(' '));
  }

  node(id: number): SimNode {
    const node = this.nodes.get(id);
    if (node === undefined) throw new Error(`there is no member ${id}`);
    return node;
  }

  startAll(): void {
    for (const node of this.nodes.values()) if (node.core === null) node.start();
  }

  get leaders(): SimNode[] {
    return [...this.nodes.values()].filter((node) => node.core?.role === 'leader');
  }

  after(delay: number, run: () => void): void {
    this.#queue.after(delay, run);
  }

  step(): boolean {
    this.#eventCount += 1;
    return this.#queue.step();
  }

  runFor(ms: number): void {
    const end = this.now + ms;
    while (this.#queue.step(end)) this.#eventCount += 1;
    this.#queue.runUntil(end);
  }

  /** Runs until `holds`, in steps of 5 ms. @returns false when `withinMs` passed before */
  runUntil(holds: () => boolean, withinMs: number): boolean {
    const end = this.now + withinMs;
    while (!holds()) {
      if (this.now >= end) return false;
      this.runFor(5);
    }
    return true;
  }

  // Links are directed; from and to are ids.

  block(from: number, to: number): void {
    this.#blocked.add(from * 1000 + to);
  }

  unblock(from: number, to: number): void {
    this.#blocked.delete(from * 1000 + to);
  }

  /** Only members of the same group hear each other; whoever is in none hears nobody. */
  partition(groups: readonly (readonly number[])[]): void {
    this.#blocked.clear();
    const groupOf = (id: number): number => groups.findIndex((group) => group.includes(id));
    for (const from of this.nodes.keys()) {
      for (const to of this.nodes.keys()) {
        if (from !== to && (groupOf(from) === -1 || groupOf(from) !== groupOf(to))) this.block(from, to);
      }
    }
  }

  heal(): void {
    this.#blocked.clear();
  }

  isBlocked(from: number, to: number): boolean {
    return this.#blocked.has(from * 1000 + to);
  }

  send(from: SimNode, to: number, message: RaftMessage): void {
    const target = this.nodes.get(to);
    if (target === undefined) return;
    if (!message.type.endsWith('-response')) {
      this.requestCount += 1;
      this.requestBytes += bytesOf(message);
    }
    if (this.route(from, target, message)) return;
    if (this.random.chance(this.weather.loss)) return;
    this.deliver(from, target, message, this.#delay());
    if (this.weather.duplication > 0 && this.random.chance(this.weather.duplication)) {
      this.deliver(from, target, message, this.#delay());
    }
  }

  /** After `delay`, if the way is open then too, or need not be. */
  deliver(from: SimNode, to: SimNode, message: RaftMessage, delay: number): void {
    if (this.isBlocked(from.id, to.id)) return;
    const { life } = from;
    this.after(delay, () => {
      const isCut = this.isBlocked(from.id, to.id) || from.life !== life;
      if (to.core === null || (isCut && !this.weather.flightsSurvive)) return;
      this.#note(to.id, message.type, 'term' in message ? message.term : 0);
      to.input((core) => core.receive(from.id, message));
    });
  }

  // What members tell the world.

  saw(node: SimNode, effect: Effect): void {
    this.checker.effect(node, effect);
    this.#note(node.id, effect.kind, effect.kind === 'send' ? effect.to : 0);
    this.onEffect(node, effect);
  }

  applied(node: SimNode, entry: Entry): void {
    this.onApplied(node, entry);
  }

  installed(node: SimNode, snapshot: SnapshotMeta): void {
    this.onInstalled(node, snapshot);
  }

  started(node: SimNode): void {
    this.#note(node.id, 'start', node.life);
    this.onStarted(node);
  }

  diskDelay(): number {
    return this.random.integer(this.weather.diskMin, this.weather.diskMax);
  }

  applyDelay(): number {
    return this.weather.applyMax === 0 ? 0 : this.random.integer(0, this.weather.applyMax);
  }

  tickDelay(): number {
    return this.weather.tickMs + this.random.integer(0, this.weather.tickJitterMs);
  }

  /** @throws Violation with the seed and the last events in its message */
  fail(message: string): never {
    throw new Violation(message);
  }

  #delay(): number {
    const { delayMin, delayMax, longDelays, longDelayMs } = this.weather;
    const isLong = longDelays > 0 && this.random.chance(longDelays);
    return this.random.integer(delayMin, isLong ? longDelayMs : delayMax);
  }

  #note(id: number, what: string, number: number): void {
    const name = what.length * 31 + what.charCodeAt(0);
    this.#traceHash = mix(mix(mix(mix(this.#traceHash, id), number), this.now), name);
    this.#trace[this.#traceCount % TRACE_LINES] = [this.now, id, what, number];
    this.#traceCount += 1;
  }
}

function bytesOf(message: RaftMessage): number {
  if (message.type === 'append')
    return message.entries.reduce((sum, entry) => sum + entry.data.length + 24, 48);
  return message.type === 'snapshot' ? message.data.length + 64 : 48;
}
