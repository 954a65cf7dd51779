// A hostile run of real members from one seed: what the weather is like, how big the cluster is and how tight its limits
// are drawn first; then members crash, pause and lose power, disks stall, fill up, fail and rot, the network breaks, members
// come and go, and clients ask for all of it. Ends with a phase without faults in which everything must come to rest and
// what the clients saw is judged. simulate.ts and tests run many of these; enter by outsideMicrotasks().

import { Violation } from '../raft/support/checker.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { isJoint, membersOf } from '../../../kv/raft/index.js';
import { parseSegmentName, SEGMENT_HEAD_BYTES } from '../../../kv/wal/segment.js';
import { Fleet } from './fleet.js';
import { PartsWorld } from './parts-world.js';
import { addressOf } from './sim-net.js';
import type { MemberBugs, SimMember } from './sim-member.js';

export interface PartsSwarmOptions {
  readonly seed: number;
  readonly eventCount: number;
  readonly bugs?: MemberBugs;
}

export interface PartsResult {
  readonly seed: number;
  readonly events: number;
  readonly committed: number;
  /** Requests of clients that were answered. */
  readonly answered: number;
  readonly virtualMs: number;
  readonly traceHash: string;
  /** Null if every promise was kept. */
  readonly failure: string | null;
  readonly trace: readonly string[];
  readonly figures: PartsFigures;
}

/** What happened, to see that a swarm is hostile enough. */
export interface PartsFigures {
  crashes: number;
  powerLosses: number;
  pauses: number;
  diskErrors: number;
  rotten: number;
  joins: number;
  removals: number;
  transfers: number;
  snapshots: number;
  sessionsLost: number;
  looks: number;
  undecided: number;
}

/** Bound of the phase without faults, in virtual ms. */
const REST_MS = 60_000;
const MEMBERS_MAX = 9;

export function runPartsSwarm(options: PartsSwarmOptions): PartsResult {
  const swarm = new PartsSwarm(options);
  let failure: string | null = null;
  try {
    swarm.run(options.eventCount);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    failure = error instanceof Violation ? error.message : (error.stack ?? error.message);
  }
  return swarm.result(failure);
}

class PartsSwarm {
  readonly #world: PartsWorld;
  readonly #fleet: Fleet;
  readonly #random: SeededRandom;
  readonly #faults: {
    readonly crash: number;
    readonly power: number;
    readonly pause: number;
    readonly partition: number;
    readonly stall: number;
    readonly diskError: number;
    readonly diskFull: number;
    readonly rot: number;
    readonly config: number;
    readonly transfer: number;
    readonly snapshot: number;
  };
  readonly #voterCount: number;
  readonly #figures: PartsFigures = {
    crashes: 0,
    powerLosses: 0,
    pauses: 0,
    diskErrors: 0,
    rotten: 0,
    joins: 0,
    removals: 0,
    transfers: 0,
    snapshots: 0,
    sessionsLost: 0,
    looks: 0,
    undecided: 0,
  };
  #breakCount = 0;
  #isResting = false;

  constructor({ seed, bugs }: PartsSwarmOptions) {
    const random = new SeededRandom(seed ^ 0x9a275);
    this.#random = random;
    this.#voterCount = random.pick([1, 3, 3, 3, 3, 5]);
    const level = (most: number): number => (random.chance(0.35) ? 0 : random.fraction() * most);
    const heartbeatMs = random.pick([50, 100]);
    const leaseReads = random.chance(0.2);
    this.#world = new PartsWorld({
      seed,
      voterCount: this.#voterCount,
      isEncoded: random.chance(0.15),
      net: {
        delayMinMs: random.pick([0, 1]),
        delayMaxMs: random.pick([2, 10, 40]),
        loss: level(0.1),
        duplication: level(0.2),
        longDelays: level(0.1),
        longDelayMs: random.pick([300, 1500]),
        flightsSurvive: random.chance(0.5),
      },
      disk: {
        syncMinMs: random.pick([0, 1]),
        syncMaxMs: random.pick([1, 5, 30]),
        slowWrites: random.pick([0, 0.1]),
      },
      driftPpm: random.pick([0, 200, 2000]),
      wallSkewMs: random.pick([0, 100, 3000]),
      node: {
        heartbeatMs,
        electionMs: heartbeatMs * random.pick([5, 10]),
        leaseReads,
        snapshotEntries: random.pick([0, 12, 40, 100]),
        trailingEntries: random.pick([0, 5, 50]),
        snapshotsKept: random.pick([1, 2]),
        requestTimeoutMs: 2000,
        batchBytesMax: random.pick([1024, 65_536]),
        wal: { segmentBytes: random.pick([4096, 8192, 32_768]) },
      },
      ...(bugs === undefined ? {} : { bugs }),
    });
    const hasConfig = random.chance(0.35);
    this.#faults = {
      crash: level(0.05),
      power: level(0.06),
      pause: level(0.04),
      partition: level(0.08),
      stall: level(0.04),
      diskError: level(0.02),
      diskFull: level(0.02),
      rot: !hasConfig && this.#voterCount >= 3 && random.chance(0.3) ? 0.02 : 0,
      config: hasConfig ? random.pick([0.05, 0.15]) : 0,
      transfer: random.chance(0.5) ? 0 : random.fraction() * 0.08,
      snapshot: level(0.03),
    };
    this.#fleet = new Fleet(this.#world, {
      clientCount: random.integer(2, 6),
      keyCount: random.pick([1, 2, 4]),
      sessionTtlMs: random.pick([1000, 2500, 60_000]),
      thinkMs: random.pick([20, 60, 200]),
      passing: random.pick([0, 0.1, 0.3]),
      weather: {
        delayMaxMs: random.pick([1, 20]),
        loss: level(0.1),
        attemptMs: random.pick([150, 400, 1000]),
        patienceMs: random.pick([1500, 6000]),
      },
    });
  }

  run(eventCount: number): void {
    this.#world.startAll();
    this.#fleet.start();
    this.#scheduleFaults();
    while (this.#world.eventCount < eventCount) this.#world.step();
    this.#rest();
    this.#fleet.judge();
  }

  result(failure: string | null): PartsResult {
    const world = this.#world;
    this.#figures.sessionsLost = this.#fleet.clients.reduce((sum, { sessionsLost }) => sum + sessionsLost, 0);
    this.#figures.looks = world.promises.looks;
    this.#figures.undecided = this.#fleet.undecided;
    return {
      seed: world.seed,
      events: world.eventCount,
      committed: world.promises.committed.length,
      answered: this.#fleet.answeredCount,
      virtualMs: world.now(),
      traceHash: world.traceHash,
      failure,
      trace: world.trace,
      figures: this.#figures,
    };
  }

  #scheduleFaults(): void {
    this.#world.later(this.#random.integer(1, 200), () => {
      if (this.#isResting) return;
      this.#act();
      this.#scheduleFaults();
    });
  }

  #act(): void {
    const random = this.#random;
    const faults = this.#faults;
    const member = this.#anyMember();
    if (random.chance(faults.crash)) this.#bounce(member, 'process');
    if (random.chance(faults.power))
      this.#bounce(random.chance(0.4) ? this.#leaderOr(member) : member, 'power');
    if (random.chance(faults.power / 8)) this.#blackout();
    if (random.chance(faults.pause)) {
      this.#figures.pauses += 1;
      (random.chance(0.5) ? this.#leaderOr(member) : member).pause(
        random.integer(50, random.pick([400, 3000])),
      );
    }
    if (random.chance(faults.partition)) this.#breakNetwork();
    if (random.chance(faults.stall)) {
      member.stallUntilMs = this.#world.now() + random.integer(50, 2500);
    }
    if (random.chance(faults.diskError)) {
      this.#figures.diskErrors += 1;
      if (member.isUp) member.breakDisk(random.pick(['write', 'dataSync', 'dataSync', 'syncFolder']));
    }
    if (random.chance(faults.diskFull)) this.#fill(member);
    if (random.chance(faults.rot)) this.#rot();
    if (random.chance(faults.config)) this.#changeConfig();
    if (random.chance(faults.transfer)) {
      this.#figures.transfers += 1;
      const [leader] = this.#world.leaders;
      leader?.run(() => leader.node?.transfer(random.chance(0.5) ? null : this.#anyMember().id, () => {}));
    }
    if (random.chance(faults.snapshot)) {
      member.run(() => {
        if (member.node === null || member.node.core.appliedIndex === 0) return;
        this.#figures.snapshots += 1;
        member.node.snapshotNow().catch(() => undefined); // a full disk refuses it
      });
    }
    if (random.chance(faults.crash / 2)) this.#stopAndStart(member);
  }

  #bounce(member: SimMember, how: 'process' | 'power'): void {
    if (member.state !== 'up' && member.state !== 'starting') return;
    this.#figures[how === 'power' ? 'powerLosses' : 'crashes'] += 1;
    member.end(how);
    this.#startLater(member);
  }

  /** All lose power at once. */
  #blackout(): void {
    for (const member of this.#world.all.values()) this.#bounce(member, 'power');
  }

  #startLater(member: SimMember): void {
    const { life } = member;
    this.#world.later(this.#random.integer(1, this.#random.pick([50, 500, 4000])), () => {
      if (member.life === life) member.start();
    });
  }

  #stopAndStart(member: SimMember): void {
    if (!member.isUp || member.hadDiskError) return;
    member.stop(() => this.#startLater(member));
  }

  #fill(member: SimMember): void {
    if (!member.isUp) return;
    const { life } = member;
    member.disk.capacityBytes = member.disk.usedBytes + this.#random.integer(0, 3000);
    this.#world.later(this.#random.integer(200, 3000), () => {
      if (member.life === life) member.disk.capacityBytes = Number.POSITIVE_INFINITY;
    });
  }

  /** Once in a run, while a member is down, a bit of its log changes: in the middle of what was durable. */
  #rot(): void {
    if (this.#figures.rotten > 0) return;
    const member = [...this.#world.all.values()].find(({ state }) => state === 'down');
    if (member === undefined) return;
    const name = member.disk.names().find((each) => parseSegmentName(each) !== null);
    if (name === undefined) return;
    const bytes = Buffer.from(member.disk.bytes(name));
    let end = bytes.length;
    while (end > 0 && bytes[end - 1] === 0) end -= 1;
    const at = SEGMENT_HEAD_BYTES + this.#random.integer(0, 200);
    // Behind it must be more than one batch, or it may be taken for the end that a crash tore.
    if (at + 1500 > end) return;
    this.#figures.rotten += 1;
    bytes[at] = (bytes[at] ?? 0) ^ (1 << this.#random.integer(0, 7));
    member.disk.put(name, bytes);
    this.#world.spoiled(member);
  }

  #breakNetwork(): void {
    const random = this.#random;
    const world = this.#world;
    const ids = [...world.all.keys()];
    const kind = random.pick(['halves', 'leader', 'oneWay', 'links']);
    if (kind === 'halves') {
      const left = ids.filter(() => random.chance(0.5));
      world.partition([left, ids.filter((id) => !left.includes(id))]);
    } else if (kind === 'leader') {
      const lone = this.#leaderOr(this.#anyMember()).id;
      world.partition([[lone], ids.filter((id) => id !== lone)]);
    } else if (kind === 'oneWay') {
      const lone = this.#leaderOr(this.#anyMember()).id;
      const hears = random.chance(0.5);
      for (const id of ids) world.net.block(hears ? lone : id, hears ? id : lone);
    } else {
      for (const from of ids) for (const to of ids) if (random.chance(0.25)) world.net.block(from, to);
    }
    this.#breakCount += 1;
    const count = this.#breakCount;
    world.later(random.integer(50, random.pick([300, 1000, 4000])), () => {
      if (this.#breakCount === count) world.net.heal();
    });
  }

  #changeConfig(): void {
    const random = this.#random;
    const [leader] = this.#world.leaders;
    if (leader === undefined) return;
    const { voters, learners } = leader.node!.core.membership; // a leader is up
    const members = [...voters, ...learners];
    leader.run(() => {
      const { node } = leader;
      if (node === null) return;
      const dice = random.fraction();
      const mayGrow = this.#world.all.size < MEMBERS_MAX;
      if (dice < 0.45 && mayGrow) {
        const newcomer = this.#world.newcomer();
        this.#figures.joins += 1;
        newcomer.start();
        node.addMember(
          { id: newcomer.id, rpc: addressOf(newcomer.id), resp: '' },
          random.chance(0.2),
          () => {},
        );
      } else if (dice < 0.8 && members.length > 2) {
        const id = members[random.integer(0, members.length - 1)]!; // within length
        this.#figures.removals += 1;
        node.removeMember(id, () => {});
      } else if (mayGrow && voters.length > 1) {
        // One goes and another comes, in one joint step.
        const newcomer = this.#world.newcomer();
        const gone = voters[random.integer(0, voters.length - 1)]!; // within length
        this.#figures.joins += 1;
        this.#figures.removals += 1;
        newcomer.start();
        const member = { id: newcomer.id, rpc: addressOf(newcomer.id), resp: '' };
        node.addMember(member, true, (error) => {
          if (error !== null) return;
          node.changeMembers(
            [
              { type: 'remove', id: gone },
              { type: 'add-voter', id: newcomer.id },
            ],
            () => {},
            'joint',
          );
        });
      }
    });
  }

  /** No more faults: one leader, one configuration, the same state on every member, all clients served. */
  #rest(): void {
    const world = this.#world;
    this.#isResting = true;
    world.net.heal();
    Object.assign(world.weather, { loss: 0, duplication: 0, longDelays: 0 });
    world.weather.delayMaxMs = Math.min(world.weather.delayMaxMs, 10);
    world.diskWeather.syncMaxMs = Math.min(world.diskWeather.syncMaxMs, 5);
    for (const client of this.#fleet.clients) client.calm();
    for (const member of world.all.values()) {
      member.stallUntilMs = 0;
      member.disk.capacityBytes = Number.POSITIVE_INFINITY;
      member.disk.fault = () => null;
      member.start();
    }
    this.#fleet.stop();
    if (!world.runUntil(() => this.#fleet.isIdle, REST_MS)) world.fail('clients are not served');
    if (this.#random.chance(0.5)) this.#leaveBehind();
    let isRead = false;
    this.#fleet.readAll(() => {
      isRead = true;
    });
    const isDone = (): boolean => {
      const [leader] = world.leaders;
      if (!isRead || leader === undefined) return false;
      const { core } = leader.node!; // a leader is up
      if (isJoint(core.membership)) return false;
      const { voters, learners } = core.membership;
      return [...voters, ...learners].every((id) => {
        const member = world.member(id);
        if (member.state === 'damaged') return true;
        return member.node?.core.appliedIndex === core.lastIndex;
      });
    };
    if (!world.runUntil(isDone, REST_MS)) {
      world.fail(`the members did not come to rest without faults (read: ${isRead}): ${this.#states()}`);
    }
    const { voters, learners } = world.leaders[0]!.node!.core.membership; // it came to rest
    const hashes = new Set<string>();
    for (const id of [...voters, ...learners]) {
      const { node } = world.member(id);
      if (node !== null) hashes.add(node.machine.hash());
    }
    if (hashes.size !== 1) world.fail('the members rest in different states');
  }

  /** Of the configuration of whoever has the newest log. */
  #hasQuorumUp(): boolean {
    const cores = this.#world.up.map(({ node }) => node!.core); // they are up
    const ends = cores.map((core) => ({ core, term: core.entryAt(core.lastIndex)?.term ?? 0 }));
    const [newest] = ends
      .toSorted((a, b) => b.term - a.term || b.core.lastIndex - a.core.lastIndex)
      .map(({ core }) => core);
    if (newest === undefined) return false;
    const { voters, outgoing } = newest.membership;
    return [voters, outgoing].every((half) => {
      const up = half.filter((id) => this.#world.member(id).isUp);
      return half.length === 0 || up.length * 2 > half.length;
    });
  }

  /** One that was away while all the log was let go comes back, and nobody asks for anything. */
  #leaveBehind(): void {
    const world = this.#world;
    const isLed = (): boolean =>
      world.leaders.length > 0 && !isJoint(world.leaders[0]!.node!.core.membership);
    if (!world.runUntil(isLed, REST_MS)) world.fail(`there is no leader without faults: ${this.#states()}`);
    const { voters } = world.leaders[0]!.node!.core.membership; // it leads
    const others = voters.map((id) => world.member(id)).filter(({ node }) => node !== null && !node.isLeader);
    // Without it there must be a majority.
    if ((others.length + 1 - 1) * 2 <= voters.length) return;
    const away = others[this.#random.integer(0, others.length - 1)]!; // within length
    away.end('process');
    let isRead = false;
    this.#fleet.readAll(() => {
      isRead = true;
    });
    // A removal that was under way may leave a configuration in which the one that is away is needed.
    const isNeeded = (): boolean => !this.#hasQuorumUp();
    if (!world.runUntil(() => isRead || isNeeded(), REST_MS))
      world.fail('a client is not served while one member is away');
    if (!world.runUntil(() => isLed() || isNeeded(), REST_MS))
      world.fail(`there is no leader without faults: ${this.#states()}`);
    if (isNeeded()) return away.start();
    const leader = world.leaders[0]!; // it leads
    leader.run(() => void leader.node?.snapshotNow().catch(() => undefined)); // a full disk refuses it
    world.runFor(300);
    away.start();
    const isBack = (): boolean => {
      const core = world.leaders[0]?.node?.core;
      // A removal that was under way may have been its own; nobody owes it the log then.
      if (core !== undefined && !membersOf(core.membership).includes(away.id)) return true;
      const goal = core?.commitIndex;
      return goal !== undefined && (away.node?.core.appliedIndex ?? -1) >= goal;
    };
    if (!world.runUntil(isBack, 20_000))
      world.fail(`a member that was away does not catch up: ${this.#states()}`);
  }

  #states(): string {
    return [...this.#world.all.values()]
      .map(({ id, state, node }) => {
        if (node === null) return `${id} ${state}`;
        const status = node.core.status();
        const { voters, outgoing, learners } = status.membership;
        const config = `${voters.join(' ')}/${outgoing.join(' ')}/${learners.join(' ')}`;
        const log = `log ${status.firstIndex}-${status.lastIndex}@${status.lastTerm}`;
        const progress = status.progress.map((each) => `${each.id}:${each.state}:${each.match}`).join(' ');
        return (
          `${id} ${status.role} of ${status.leader} term ${status.term} ${log} commit ${status.commitIndex} ` +
          `applied ${status.appliedIndex} config ${config} progress ${progress} ${node.notReady ?? ''}`
        );
      })
      .join('\n');
  }

  #anyMember(): SimMember {
    return this.#world.member(this.#random.integer(1, this.#world.all.size));
  }

  #leaderOr(member: SimMember): SimMember {
    return this.#world.leaders[0] ?? member;
  }
}
