// The labs over processes and sockets: members as `reactor-net kv serve` runs them (chaos/member.ts), each with data in a
// folder, reaching each other and reached by clients through TCP proxies. A message cannot be lost out of a TCP stream, so
// the unreliable network delays every piece by up to 26 ms and resets connections at random; a partition is a black hole.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { REAL_PARTS, type MemberStubs } from '../../../kv/client/clerk-parts.js';
import { Clerk } from '../../../kv/index.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { freePort } from '../../support/free-port.js';
import type { MemberReport } from '../chaos/member.js';
import { MemberProcess, within } from '../chaos/member-process.js';
import { type Passage, ProxyNetwork } from '../chaos/proxy.js';
import { ELECTION_MS, Lab, type LabClerkOptions, type LabOptions, type Traffic } from './lab.js';

/** In the network of proxies: who looks, and who asks. Members follow, by their ids. */
const OBSERVER = 0;
const CLIENTS = 1000;
const CLUSTER_ID = 7;
const READY_MS = 60_000;
const START_TRIES = 3;
const LAB_MS_MAX = 600_000;
const ATTEMPT_MS = 2000;
const RESET_MS = 120;
const PASS: Passage = { kind: 'pass' };
const DROP: Passage = { kind: 'drop' };
const LATE: Passage = { kind: 'delay', minMs: 0, maxMs: 26 };
const VERY_LATE: Passage = { kind: 'delay', minMs: 0, maxMs: 400 };

export class ProcessLab extends Lab {
  readonly isVirtual = false;
  readonly #network: ProxyNetwork;
  readonly #folder: string;
  readonly #processes = new Map<number, MemberProcess>();
  readonly #clerks: Clerk[] = [];
  readonly #stubs = new WeakMap<Clerk, MemberStubs>();
  /** Where the program ends early. Members end when their input does. */
  readonly #clean = (): void => rmSync(this.#folder, { recursive: true, force: true });
  #groups: readonly (readonly number[])[];
  #isUnreliable = false;
  #isReordering = false;
  #isClosed = false;
  #breaking: NodeJS.Timeout | null = null;
  /** Of lives that ended. */
  #earlierInstalls = 0;
  #earlierMessages = 0;

  private constructor(options: LabOptions, network: ProxyNetwork, folder: string) {
    super(options, new SeededRandom(options.seed ^ 0x1ab));
    this.#network = network;
    this.#folder = folder;
    process.once('exit', this.#clean);
    this.#groups = [this.members()];
  }

  static async open(options: LabOptions): Promise<ProcessLab> {
    const random = new SeededRandom(options.seed);
    const ids = Array.from({ length: options.servers }, (_, at) => at + 1);
    const network = await ProxyNetwork.open([OBSERVER, CLIENTS, ...ids], () => random.fraction());
    const folder = mkdtempSync(path.join(tmpdir(), 'reactor-net-lab-'));
    const lab = new ProcessLab(options, network, folder);
    try {
      await Promise.all(lab.members().map((member) => lab.begin(member)));
      lab.setUnreliable(options.isUnreliable === true);
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  /** @throws Error a member ended by itself */
  checkAlive(): void {
    for (const member of this.members()) {
      const process = this.#processes.get(member);
      if (this.isUp(member) && process !== undefined)
        assert(process.isAlive, `member ${member} ended by itself: ${process.lastWord}`);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#breaking !== null) clearTimeout(this.#breaking);
    await Promise.all(this.#clerks.map((clerk) => clerk.close(0)));
    await Promise.all([...this.#processes.values()].map((process) => process.kill()));
    await this.#network.close();
    process.off('exit', this.#clean);
    this.#clean();
  }

  nowMs(): number {
    return performance.now();
  }

  async sleep(ms: number): Promise<void> {
    await pause(ms);
  }

  clerk({ to = this.members(), observes = false, sharesWith, ...options }: LabClerkOptions = {}): Clerk {
    const from = observes ? OBSERVER : CLIENTS;
    const shared = sharesWith === undefined ? undefined : this.#stubs.get(sharesWith);
    let stubs: MemberStubs | null = null;
    const clerk = new Clerk(
      {
        attemptTimeoutMs: ATTEMPT_MS,
        timeoutMs: 120_000,
        random: () => this.random.fraction(),
        followsUnlisted: false,
        ...options,
        endpoints: to.map((member) => this.#network.address(from, (member % this.count) + 1)),
      },
      {
        clock: REAL_PARTS.clock,
        members: (complete) => {
          stubs = REAL_PARTS.members(complete);
          return shared === undefined
            ? stubs
            : { of: (address) => shared.of(address), close: async () => {} };
        },
      },
    );
    if (stubs !== null) this.#stubs.set(clerk, stubs);
    if (shared === undefined) this.#clerks.push(clerk);
    return clerk;
  }

  setUnreliable(isUnreliable: boolean): void {
    this.#isUnreliable = isUnreliable;
    this.#steer();
    if (isUnreliable && this.#breaking === null) this.#breakLater();
  }

  setLongReordering(isReordering: boolean): void {
    this.#isReordering = isReordering;
    this.#steer();
  }

  async traffic(): Promise<Traffic> {
    let bytes = 0;
    for (const from of this.#ids()) {
      for (const to of this.#ids()) if (from !== to) bytes += this.#network.counts(from, to).passedBytes;
    }
    const reports = await Promise.all(this.members().map((member) => this.#report(member)));
    const messages = reports.reduce(
      (sum, report) => sum + (report?.sentMessages ?? 0),
      this.#earlierMessages,
    );
    // Each has its answer.
    return { requests: Math.ceil(messages / 2), bytes };
  }

  async snapshotBytes(member: number): Promise<number> {
    return (await this.#report(member))?.snapshotBytes ?? 0;
  }

  async installs(): Promise<number> {
    const reports = await Promise.all(this.members().map((member) => this.#report(member)));
    return reports.reduce((sum, report) => sum + (report?.snapshotsInstalled ?? 0), this.#earlierInstalls);
  }

  async heapBytes(member: number): Promise<number | null> {
    const process = this.#processes.get(member);
    if (process === undefined) return null;
    return (await process.order<{ heapBytes: number }>({ do: 'heap' }, READY_MS)).heapBytes;
  }

  protected observedAt(member: number): string {
    return this.#network.address(OBSERVER, (member % this.count) + 1);
  }

  protected cut(groups: readonly (readonly number[])[]): void {
    this.#groups = groups.map((group) => group.map((member) => member % this.count));
    this.#steer();
  }

  protected async end(member: number): Promise<void> {
    const process = this.#processes.get(member);
    if (process === undefined) return;
    const report = await this.#report(member);
    this.#earlierInstalls += report?.snapshotsInstalled ?? 0;
    this.#earlierMessages += report?.sentMessages ?? 0;
    await process.kill();
  }

  protected async begin(member: number): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      const process = await this.#launch(member);
      this.#processes.set(member, process);
      try {
        await process.ready(READY_MS);
        return;
      } catch (error) {
        // Its port may have been taken by another process in between.
        if (tries === START_TRIES || this.#isClosed) throw error;
      }
    }
  }

  async #launch(member: number): Promise<MemberProcess> {
    const id = member + 1;
    const port = await freePort();
    const { snapshotBytes = 0 } = this.options;
    this.#network.target(id, port);
    return new MemberProcess(
      {
        id,
        clusterId: CLUSTER_ID,
        cluster: this.#ids().map((other) => [other, this.#network.address(CLIENTS, other)]),
        join: null,
        port,
        dataDir: path.join(this.#folder, `member-${id}`),
        links: this.#ids()
          .filter((other) => other !== id)
          .map((other) => [other, this.#network.address(id, other)]),
        electionMs: ELECTION_MS,
        heartbeatMs: ELECTION_MS / 10,
        snapshotEntries: 0,
        snapshotBytes,
        trailingEntries: 0,
        readsCarelessly: false,
      },
      path.join(this.#folder, `member-${id}.log`),
    );
  }

  async #report(member: number): Promise<MemberReport | null> {
    const process = this.#processes.get(member);
    if (process === undefined || !process.isAlive) return null;
    try {
      return await process.order<MemberReport>({ do: 'status' }, ATTEMPT_MS);
    } catch {
      return null; // it is starting, or has just ended
    }
  }

  #ids(): number[] {
    return this.members().map((member) => member + 1);
  }

  #steer(): void {
    const network = this.#network;
    network.heal();
    const passage = this.#isReordering ? VERY_LATE : this.#isUnreliable ? LATE : PASS;
    const groupOf = (id: number): number => this.#groups.findIndex((group) => group.includes(id - 1));
    for (const from of this.#ids()) {
      for (const to of this.#ids()) {
        const together = groupOf(from) !== -1 && groupOf(from) === groupOf(to);
        if (from !== to) network.steer(from, to, together ? passage : DROP);
      }
      network.steer(from, CLIENTS, this.#isUnreliable ? LATE : PASS);
      network.steer(CLIENTS, from, this.#isUnreliable ? LATE : PASS);
    }
  }

  #breakLater(): void {
    this.#breaking = setTimeout(
      () => {
        this.#breaking = null;
        if (!this.#isUnreliable || this.#isClosed) return;
        const to = this.random.integer(1, this.count);
        const from = this.random.chance(0.5) ? CLIENTS : this.random.integer(1, this.count);
        if (from !== to) this.#network.cut(from, to, 'reset');
        this.#breakLater();
      },
      this.random.integer(RESET_MS / 2, (RESET_MS * 3) / 2),
    );
  }
}

/** Plays one lab over processes. @throws AssertionError, Error */
export async function playOverProcesses(
  options: LabOptions,
  run: (lab: Lab) => Promise<void>,
): Promise<void> {
  const lab = await ProcessLab.open(options);
  try {
    await within(run(lab), LAB_MS_MAX, `the lab does not end within ${LAB_MS_MAX} ms`);
    lab.checkAlive();
  } finally {
    await lab.close();
  }
}
