// A hostile run from one seed: which faults, how big the cluster and how tight the limits is drawn first, then members
// crash, disks hang, the network breaks, and clients propose, read, change the configuration and hand leadership over.
// Ends with a phase without faults in which everything must come to rest. simulate.ts and tests run many of these.

import type { ConfigChange, Effect, RaftErrorCode } from '../../../../kv/raft/index.js';
import { isJoint } from '../../../../kv/raft/index.js';
import type { Rules } from '../../../../kv/raft/rules.js';
import { SeededRandom } from '../../../support/seeded-random.js';
import { Violation } from './checker.js';
import type { DiskBugs } from './sim-disk.js';
import type { SimNode } from './sim-node.js';
import { World } from './world.js';

export interface SwarmOptions {
  readonly seed: number;
  readonly eventCount: number;
  readonly rules?: Rules;
  readonly bugs?: DiskBugs;
}

export interface SwarmResult {
  readonly seed: number;
  readonly events: number;
  readonly committed: number;
  readonly reads: number;
  readonly traceHash: string;
  /** Null if every promise was kept. */
  readonly failure: string | null;
  /** The last events before the end. */
  readonly trace: readonly string[];
  readonly refusals: ReadonlyMap<RaftErrorCode, number>;
}

interface OpenRead {
  /** What was committed anywhere when the read was asked for. */
  readonly from: number;
}

/** Bounds of the phase without faults, in virtual ms: tight limits send a long log one entry at a time. */
const REST_MS = 20_000;
const REST_MS_PER_ENTRY = 200;

export function runSwarm(options: SwarmOptions): SwarmResult {
  const swarm = new Swarm(options);
  let failure: string | null = null;
  try {
    swarm.run(options.eventCount);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    failure = error instanceof Violation ? error.message : (error.stack ?? error.message);
  }
  return swarm.result(failure);
}

class Swarm {
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #faults: {
    readonly crash: number;
    /** Of dying at the worst time: just elected, just having committed, voted or received a snapshot. */
    readonly kill: number;
    readonly partition: number;
    readonly stall: number;
    readonly config: number;
    readonly transfer: number;
  };
  readonly #reads: Map<number, OpenRead> = new Map<number, OpenRead>();
  readonly #refusals = new Map<RaftErrorCode, number>();
  #readCount = 0;
  #nextValue = 1;
  #breakCount = 0;
  #isResting = false;

  constructor({ seed, rules, bugs }: SwarmOptions) {
    const random = new SeededRandom(seed ^ 0x5eed);
    this.#random = random;
    const voterCount = random.pick([1, 2, 3, 3, 3, 5, 5]);
    const hasConfig = random.chance(0.4);
    const leaseReads = random.chance(0.25);
    const level = (most: number): number => (random.chance(0.35) ? 0 : random.fraction() * most);
    this.#world = new World({
      seed,
      memberCount: hasConfig ? Math.max(voterCount + 2, 4) : voterCount,
      voterCount,
      weather: {
        delayMin: 1,
        delayMax: random.pick([2, 10, 30, 100]),
        loss: level(0.2),
        duplication: level(0.3),
        longDelays: level(0.2),
        longDelayMs: random.pick([600, 3000]),
        flightsSurvive: random.chance(0.5),
        diskMin: 0,
        diskMax: random.pick([0, 5, 40, 200]),
        applyMax: random.pick([0, 0, 20]),
        tickMs: 50,
        // A lease trusts clocks to run at nearly the same speed.
        tickJitterMs: leaseReads ? 1 : random.pick([0, 5, 40]),
      },
      options: {
        electionTicks: random.pick([5, 5, 10]),
        preVote: random.chance(0.85),
        checkQuorum: leaseReads || random.chance(0.85),
        leaseReads,
        forwardProposals: random.chance(0.7),
        messageBytesMax: random.pick([1, 100, 4096]),
        inflightMessagesMax: random.pick([1, 3, 64]),
        inflightBytesMax: random.pick([50, 1000, 1_000_000]),
        uncommittedBytesMax: random.pick([40, 2000, 1_000_000]),
        applyBytesMax: random.pick([1, 100, 4096]),
        applyInflightBytesMax: random.pick([1, 500, 100_000]),
        snapshotEntries: random.pick([0, 5, 20, 60]),
        snapshotTicks: random.pick([0, 0, 40]),
        trailingEntries: random.pick([0, 3, 50]),
        chunkBytes: random.pick([7, 16, 64]),
        transfersMax: random.pick([1, 2]),
        snapshotBytesPerTick: random.pick([0, 0, 20]),
      },
      ...(rules === undefined ? {} : { rules }),
      ...(bugs === undefined ? {} : { bugs }),
    });
    this.#faults = {
      crash: level(0.08),
      kill: level(0.3),
      partition: level(0.08),
      stall: level(0.04),
      config: hasConfig ? random.pick([0.05, 0.2]) : 0,
      transfer: random.chance(leaseReads ? 0.2 : 0.5) ? 0 : random.fraction() * 0.1,
    };
    this.#watchReads();
    this.#killAtTheWorstTime();
  }

  run(eventCount: number): void {
    this.#world.startAll();
    this.#scheduleClient();
    while (this.#world.eventCount < eventCount) this.#world.step();
    this.#rest();
  }

  result(failure: string | null): SwarmResult {
    return {
      seed: this.#world.seed,
      events: this.#world.eventCount,
      committed: this.#world.checker.committed.length,
      reads: this.#readCount,
      traceHash: this.#world.traceHash,
      failure,
      trace: this.#world.trace,
      refusals: this.#refusals,
    };
  }

  #scheduleClient(): void {
    const pause = this.#world.leaders.length > 0 ? 40 : 400;
    this.#world.after(this.#random.integer(1, pause), () => {
      if (this.#isResting) return;
      this.#act();
      this.#scheduleClient();
    });
  }

  #act(): void {
    const random = this.#random;
    const { crash, partition, stall, config, transfer } = this.#faults;
    const node = this.#anyNode();
    if (random.chance(crash)) {
      if (node.core !== null) this.#bounce(node, random.integer(1, random.pick([50, 500, 5000])));
    }
    if (random.chance(partition)) this.#breakNetwork();
    if (random.chance(stall)) this.#stall(node);
    if (random.chance(config)) this.#changeConfig();
    if (random.chance(transfer)) {
      const target = random.integer(1, this.#world.nodes.size);
      const leader = this.#leaderOr(node);
      this.#tell(leader, (core) => core.transferLeadership(target));
      if (random.chance(0.6)) this.#isolate(leader.id);
    }
    if (random.chance(0.3)) this.#read(random.chance(0.7) ? this.#leaderOr(node) : node);
    if (random.chance(0.8)) this.#propose(random.chance(0.8) ? this.#leaderOr(node) : node);
  }

  #propose(node: SimNode): void {
    const values = Array.from({ length: this.#random.pick([1, 1, 1, 2, 8]) }, () => this.#value());
    this.#tell(node, (core) => core.propose(values));
  }

  #value(): Uint8Array {
    const bytes = new Uint8Array(this.#random.integer(4, 24));
    new DataView(bytes.buffer).setUint32(0, this.#nextValue);
    this.#nextValue += 1;
    return bytes;
  }

  #read(node: SimNode): void {
    this.#readCount += 1;
    const context = this.#readCount;
    this.#reads.set(context, { from: this.#world.checker.committed.length });
    const refusal = this.#tell(node, (core) => core.readIndex(context));
    if (refusal !== null) this.#reads.delete(context);
  }

  #stall(node: SimNode): void {
    node.stall = this.#random.integer(100, 3000);
    this.#world.after(this.#random.integer(100, 3000), () => {
      node.stall = 0;
    });
  }

  /** Dies and comes back. */
  #bounce(node: SimNode, downMs: number): void {
    node.crash();
    this.#world.after(downMs, () => {
      if (node.core === null) node.start();
    });
  }

  #killAtTheWorstTime(): void {
    const { onEffect } = this.#world;
    this.#world.onEffect = (node, effect) => {
      onEffect(node, effect);
      if (this.#isResting || !isBadTimeToDie(node, effect) || !this.#random.chance(this.#faults.kill)) return;
      const { life } = node;
      const down = this.#random.pick([1, 1, 100, 1000]);
      this.#world.after(this.#random.pick([1, 1, 10, 100]), () => {
        if (node.life === life && !this.#isResting) this.#bounce(node, down);
      });
    };
  }

  #watchReads(): void {
    this.#world.onEffect = (node, effect) => {
      if (effect.kind === 'reads-failed') {
        for (const context of effect.contexts) this.#reads.delete(context as number); // ours are numbers
      }
      if (effect.kind !== 'reads-ready') return;
      for (const context of effect.contexts) {
        const read = this.#reads.get(context as number); // as above
        if (read !== undefined && node.machine.index < read.from) {
          this.#world.fail(
            `a read at member ${node.id} saw ${node.machine.index} entries, ${read.from} were committed before`,
          );
        }
        this.#reads.delete(context as number); // as above
      }
    };
  }

  #changeConfig(): void {
    const leader = this.#leaderOr(this.#anyNode());
    const { core } = leader;
    if (core === null) return;
    const transition = this.#random.pick(['auto', 'auto', 'joint', 'joint-explicit'] as const);
    if (isJoint(core.membership) && this.#random.chance(0.7)) {
      this.#tell(leader, (core) => core.changeConfig([]));
      return;
    }
    const { voters, learners } = core.membership;
    const changes: ConfigChange[] = [];
    const moveCount = this.#random.pick([1, 1, 2, this.#world.nodes.size]);
    for (const id of shuffled([...this.#world.nodes.keys()], this.#random).slice(0, moveCount)) {
      const isMember = voters.includes(id) || learners.includes(id);
      const type = this.#random.pick(
        isMember
          ? (['remove', 'remove', 'add-learner', 'add-voter'] as const)
          : (['add-voter', 'add-learner'] as const),
      );
      changes.push({ type, id });
    }
    this.#tell(leader, (core) => core.changeConfig(changes, transition));
  }

  #breakNetwork(): void {
    const ids = [...this.#world.nodes.keys()];
    const random = this.#random;
    const kind = random.pick(['halves', 'leader', 'leader', 'oneWay']);
    this.#world.heal();
    if (kind === 'halves') {
      const left = ids.filter(() => random.chance(0.5));
      this.#world.partition([left, ids.filter((id) => !left.includes(id))]);
    } else if (kind === 'leader') {
      this.#isolate(this.#leaderOr(this.#anyNode()).id);
    } else if (kind === 'oneWay') {
      for (const from of ids) for (const to of ids) if (random.chance(0.25)) this.#world.block(from, to);
    }
    this.#healLater();
  }

  /** Reads go on at a leader that does not hear that it was replaced. */
  #isolate(lone: number): void {
    const node = this.#world.node(lone);
    const { life } = node;
    for (let after = 20; after <= 900; after += 40) {
      this.#world.after(after, () => {
        if (node.life === life && !this.#isResting) this.#read(node);
      });
    }
    this.#world.partition([[lone], [...this.#world.nodes.keys()].filter((id) => id !== lone)]);
    this.#healLater();
  }

  /** Unless another break came in between. */
  #healLater(): void {
    this.#breakCount += 1;
    const count = this.#breakCount;
    this.#world.after(this.#random.integer(50, this.#random.pick([300, 1000, 4000])), () => {
      if (this.#breakCount === count) this.#world.heal();
    });
  }

  /** No more faults: one leader, one configuration, the same log and state on every member, new entries commit. */
  #rest(): void {
    const world = this.#world;
    this.#isResting = true;
    world.heal();
    Object.assign(world.weather, {
      loss: 0,
      duplication: 0,
      longDelays: 0,
      delayMax: Math.min(world.weather.delayMax, 20),
    });
    Object.assign(world.weather, { diskMax: Math.min(world.weather.diskMax, 10), tickJitterMs: 1 });
    for (const node of world.nodes.values()) node.stall = 0;
    world.startAll();
    let isTold = false;
    const isDone = (): boolean => {
      const members = this.#members();
      if (members.length === 0) return false;
      const leader = this.#leader();
      if (leader === undefined) return false;
      if (isJoint(leader.core!.membership)) {
        this.#tell(leader, (core) => core.changeConfig([])); // one that is left by hand
        return false;
      }
      if (!isTold) isTold = this.#tell(leader, (core) => core.propose([this.#value()])) === null;
      const { lastIndex } = leader.core!; // a leader lives
      return isTold && members.every((node) => node.machine.index === lastIndex);
    };
    const backlog = Math.max(...[...world.nodes.values()].map(({ core }) => core!.lastIndex)); // all were started
    if (!world.runUntil(isDone, REST_MS + backlog * REST_MS_PER_ENTRY)) {
      world.fail(`the members did not come to rest without faults: ${this.#states()}`);
    }
  }

  #states(): string {
    return [...this.#world.nodes.values()]
      .map(({ id, core, machine }) => {
        const status = core!.status(); // all were started
        const { voters, outgoing } = status.membership;
        const config = `${voters.join(' ')}/${outgoing.join(' ')}`;
        const log = `log ${status.firstIndex}-${status.lastIndex}@${status.lastTerm} applied ${machine.index}`;
        return `${id} ${status.role} of ${status.leader} term ${status.term} ${log} config ${config}`;
      })
      .join('; ');
  }

  #leader(): SimNode | undefined {
    return this.#world.leaders.toSorted((a, b) => b.core!.term - a.core!.term)[0]; // leaders live
  }

  #leaderOr(node: SimNode): SimNode {
    const { leaders } = this.#world; // more than one, when some do not know yet that they were replaced
    if (leaders.length === 0 || this.#random.chance(0.1)) return node;
    return leaders[this.#random.integer(0, leaders.length - 1)]!;
  }

  /** Everybody in the leader's configuration; nobody without a leader. */
  #members(): SimNode[] {
    const membership = this.#leader()?.core?.membership;
    if (membership === undefined) return [];
    return [...membership.voters, ...membership.learners].map((id) => this.#world.node(id));
  }

  #anyNode(): SimNode {
    return this.#world.node(this.#random.integer(1, this.#world.nodes.size));
  }

  #tell(node: SimNode, call: Parameters<SimNode['input']>[0]): RaftErrorCode | null {
    const refusal = node.input(call);
    if (refusal !== null) this.#refusals.set(refusal, (this.#refusals.get(refusal) ?? 0) + 1);
    return refusal;
  }
}

function isBadTimeToDie(node: SimNode, effect: Effect): boolean {
  switch (effect.kind) {
    case 'role':
      return effect.role === 'leader' && effect.term % 4 !== 0; // or nobody would lead for long
    case 'apply':
      return node.core?.role === 'leader' && node.core.term % 4 === 1; // or nobody would lead for long
    case 'send':
      return effect.message.type === 'vote-response' && effect.message.granted;
    default:
      return effect.kind === 'install';
  }
}

function shuffled<T>(items: readonly T[], random: SeededRandom): T[] {
  return items
    .map((item) => ({ item, order: random.fraction() }))
    .toSorted((a, b) => a.order - b.order)
    .map(({ item }) => item);
}
