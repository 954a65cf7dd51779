// The labs in virtual time: whole members, their logs, snapshots and services on simulated disks, clocks and networks, and
// the clerk that programs use, from one seed. The world checks the promises of Raft after every event (world/promises.ts).

import { Clerk } from '../../../kv/index.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { bytesOf, decoded, type Told, valueOf } from '../world/commands.js';
import { outsideMicrotasks, runMicrotasks } from '../world/microtasks.js';
import { PartsWorld } from '../world/parts-world.js';
import { addressOf } from '../world/sim-net.js';
import { type CallWeather, SimRpc } from '../world/sim-rpc.js';
import type { MemberBugs, SimMember } from '../world/sim-member.js';
import { ELECTION_MS, Lab, type LabClerkOptions, type LabOptions, type Traffic } from './lab.js';

/** Of virtual time, for one lab. */
const LAB_MS_MAX = 900_000;
const CALM: CallWeather = { delayMaxMs: 0, loss: 0 };
const RELIABLE: CallWeather = { delayMaxMs: 3, loss: 0 };
const UNRELIABLE: CallWeather = { delayMaxMs: 26, loss: 0.1 };
/** Of an ordinary disk that others use as well. */
const DISK = { syncMinMs: 10, syncMaxMs: 20 };
const CLIENT_ATTEMPT_MS = 1000;

/** Bugs that labs have to notice. */
export interface LabBugs extends MemberBugs {
  /** Reads are answered from what a member has, without a round among the members. */
  readonly readsCarelessly?: boolean;
}

export class VirtualLab extends Lab {
  readonly isVirtual = true;
  readonly #world: PartsWorld;
  readonly #rpc: SimRpc;
  readonly #weather: CallWeather = { delayMaxMs: 0, loss: 0 };
  #installs = 0;

  constructor(options: LabOptions, bugs: LabBugs = {}) {
    super(options, new SeededRandom(options.seed ^ 0x1ab));
    const { seed, servers, snapshotBytes = 0, isUnreliable = false } = options;
    this.#world = new PartsWorld({
      seed,
      voterCount: servers,
      disk: DISK,
      lookEvery: 1024,
      bugs,
      node: {
        heartbeatMs: 100,
        electionMs: ELECTION_MS,
        snapshotEntries: 0,
        snapshotBytes,
        trailingEntries: 0,
      },
    });
    const addresses = new Map([...this.#world.all.values()].map((member) => [addressOf(member.id), member]));
    this.#rpc = new SimRpc(this.#world, new SeededRandom(seed ^ 0x59c), addresses);
    this.#world.onStarted = (member, node) => {
      if (bugs.readsCarelessly === true) node.read = (done) => done(null);
      this.#rpc.started(member, node);
      node.onReplaced(() => (this.#installs += 1));
    };
    this.setUnreliable(isUnreliable);
    this.#world.startAll();
  }

  /** Plays a lab from its beginning to its end. Outside of promises: see outsideMicrotasks. @throws Violation, AssertionError */
  play(run: (lab: Lab) => Promise<void>): void {
    const played: { isOver: boolean; error: unknown } = { isOver: false, error: null };
    const over = (error: unknown): void => {
      Object.assign(played, { isOver: true, error });
    };
    run(this).then(() => over(null), over);
    runMicrotasks();
    while (!played.isOver) {
      if (!this.#world.step(LAB_MS_MAX)) throw new Error(`the lab does not end within ${LAB_MS_MAX} ms`);
    }
    if (played.error !== null) throw played.error;
  }

  get traceHash(): string {
    return this.#world.traceHash;
  }

  nowMs(): number {
    return this.#world.now();
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#world.later(ms, resolve));
  }

  /** `sharesWith` changes nothing: there are no connections. */
  clerk(given: LabClerkOptions = {}): Clerk {
    const { to = this.members(), observes = false, ...options } = given;
    const weather = observes ? CALM : this.#weather;
    return new Clerk(
      {
        attemptTimeoutMs: CLIENT_ATTEMPT_MS,
        timeoutMs: 120_000,
        random: () => this.random.fraction(),
        followsUnlisted: to.length === this.count,
        ...options,
        endpoints: to.map((member) => addressOf((member % this.count) + 1)),
      },
      { clock: this.#rpc.clock, members: () => this.#rpc.stubs(weather) },
    );
  }

  setUnreliable(isUnreliable: boolean): void {
    const weather = isUnreliable ? UNRELIABLE : RELIABLE;
    Object.assign(this.#weather, weather);
    Object.assign(this.#world.weather, weather);
  }

  setLongReordering(isReordering: boolean): void {
    Object.assign(
      this.#world.weather,
      isReordering ? { longDelays: 1 / 3, longDelayMs: 2200 } : { longDelays: 0, longDelayMs: 0 },
    );
  }

  override async peek(member: number, key: string): Promise<string | null> {
    const { node } = this.#member(member);
    if (node === null) return null;
    return valueOf(node.machine.queryNative(decoded({ get: { key: bytesOf(key) } })) as Told); // the executor's type
  }

  async traffic(): Promise<Traffic> {
    return { requests: this.#world.net.requestCount, bytes: this.#world.net.requestBytes };
  }

  async snapshotBytes(member: number): Promise<number> {
    return this.#member(member).node?.figures().snapshotBytes ?? 0;
  }

  async installs(): Promise<number> {
    return this.#installs;
  }

  async heapBytes(): Promise<number | null> {
    return null;
  }

  protected observedAt(member: number): string {
    return addressOf((member % this.count) + 1);
  }

  protected cut(groups: readonly (readonly number[])[]): void {
    this.#world.partition(groups.map((group) => group.map((member) => (member % this.count) + 1)));
  }

  protected async end(member: number): Promise<void> {
    const it = this.#member(member);
    it.end(this.random.chance(0.5) ? 'process' : 'power');
    this.#rpc.ended(it);
  }

  protected async begin(member: number): Promise<void> {
    const it = this.#member(member);
    it.start();
    if (!(await this.until(() => it.isUp, 10_000, 1)))
      throw new Error(`member ${member} does not start: ${it.state}`);
  }

  #member(member: number): SimMember {
    return this.#world.member((member % this.count) + 1);
  }
}

/** Plays one lab in virtual time; gives the hash of its trace. @throws Violation, AssertionError */
export function playVirtually(
  options: LabOptions,
  run: (lab: Lab) => Promise<void>,
  bugs: LabBugs = {},
): Promise<string> {
  return outsideMicrotasks(() => {
    const lab = new VirtualLab(options, bugs);
    lab.play(run);
    return lab.traceHash;
  });
}
