// One simulated member: a real KvNode with its real log and snapshots on a simulated disk, clock and network, life after
// life. The world decides when it crashes, pauses or starts; here is what that means.

import { KvNode, type NodeLogger } from '../../../kv/node/kv-node.js';
import type { KvNodeOptions } from '../../../kv/node/node-options.js';
import { NODE_RULES, type NodeRules } from '../../../kv/node/node-rules.js';
import type { PeerTransport } from '../../../kv/peer/peer-transport.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { FaultyDisk, systemError } from '../support/faulty-disk.js';
import { type ClockFaults, SimClock } from './sim-clock.js';
import { SimFiles } from './sim-files.js';
import { watchedNative, type MachineBugs } from './watched-native.js';

const SYNC_MS_MIN = 1 / 16;

export interface DiskWeather {
  /** Of a sync. */
  syncMinMs: number;
  syncMaxMs: number;
  /** Share of the writes that take a while as well. */
  slowWrites: number;
}

/** Bugs of a part that the mutation gate switches on. */
export interface MemberBugs extends MachineBugs {
  readonly rules?: NodeRules;
  readonly skipsFolderSync?: boolean;
}

export interface MemberHost {
  now(): number;
  later(delayMs: number, run: () => void): void;
  readonly diskWeather: DiskWeather;
  transport(member: SimMember): PeerTransport;
  touched(member: SimMember): void;
  started(member: SimMember): void;
  /** It could not start. */
  refused(member: SimMember, error: Error): void;
  /** It cannot go on. */
  failed(member: SimMember, error: Error): void;
  removed(member: SimMember): void;
  /** An entry is about to be applied. */
  applies(member: SimMember, index: number): void;
  logged(member: SimMember, message: string): void;
}

/** 'damaged': it refused to start on what was left to it. 'removed': the cluster goes on without it. */
export type MemberState = 'down' | 'starting' | 'up' | 'damaged' | 'removed';

export class SimMember {
  readonly id: number;
  readonly disk: FaultyDisk;
  readonly random: SeededRandom;
  readonly #host: MemberHost;
  readonly #options: Omit<KvNodeOptions, 'boot'>;
  readonly #clock: ClockFaults;
  readonly #bugs: MemberBugs;
  state: MemberState = 'down';
  node: KvNode | null = null;
  /** Counts lives: what an earlier one asked for is not reported to this one. */
  life = 0;
  /** A write or sync failed in this life. */
  hadDiskError = false;
  /** Bits of its files were changed. */
  isRotten = false;
  stallUntilMs = 0;
  #files: SimFiles | null = null;
  #pausedUntilMs = 0;
  #held: (() => void)[] = [];

  constructor(
    host: MemberHost,
    options: Omit<KvNodeOptions, 'boot'>,
    random: SeededRandom,
    clock: ClockFaults,
    bugs: MemberBugs,
  ) {
    this.id = options.id;
    this.#host = host;
    this.#options = options;
    this.random = random;
    this.#clock = clock;
    this.#bugs = bugs;
    this.disk = new FaultyDisk(() => random.fraction());
  }

  get isUp(): boolean {
    return this.node !== null;
  }

  get mayStart(): boolean {
    return this.state === 'down';
  }

  start(): void {
    if (!this.mayStart) return;
    this.life += 1;
    const { life } = this;
    this.state = 'starting';
    this.hadDiskError = false;
    this.disk.restart();
    const files = new SimFiles(`member ${this.id}`, this.disk, {
      delayMs: (kind) => this.#diskDelayMs(kind),
      later: (delayMs, run) => this.later(delayMs, run),
      isAlive: () => this.life === life,
      skipsFolderSync: () => this.#bugs.skipsFolderSync === true,
    });
    this.#files = files;
    const parts = {
      files,
      peers: this.#host.transport(this),
      clock: new SimClock(
        { now: () => this.#host.now(), later: (ms, run) => this.later(ms, run) },
        this.#clock,
      ),
      random: () => this.random.fraction(),
      logger: this.#logger(),
      machine: {
        native: watchedNative(
          (index) => this.#host.applies(this, index),
          this.#bugs,
          () => this.#wallMs(),
        ),
      },
      rules: this.#bugs.rules ?? NODE_RULES,
    };
    KvNode.open(parts, { ...this.#options, boot: this.random.integer(1, 2 ** 48) }).then(
      (node) => {
        if (this.life !== life) return;
        this.node = node;
        this.state = 'up';
        node.onEvent((event) => {
          if (this.life !== life) return;
          if (event.kind === 'failed') this.#host.failed(this, event.error);
          else this.#host.removed(this);
        });
        this.#host.started(this);
      },
      (error: unknown) => {
        if (this.life !== life) return;
        this.end('process');
        this.#host.refused(this, error instanceof Error ? error : new Error(String(error)));
      },
    );
  }

  /** The process dies, or the whole machine with what its disk had not synced. */
  end(how: 'process' | 'power'): void {
    if (this.state !== 'up' && this.state !== 'starting') return;
    this.state = 'down';
    this.life += 1;
    this.node = null;
    this.#held = [];
    this.#pausedUntilMs = 0;
    this.#files?.end(this.random);
    this.#files = null;
    this.disk.fault = () => null;
    this.disk.capacityBytes = Number.POSITIVE_INFINITY;
    if (how === 'power') this.disk.crash();
    else this.disk.restart();
  }

  /** Stops as a process does that is told to. */
  stop(done: () => void): void {
    const { node, life } = this;
    if (node === null) return;
    node.close().then(
      () => {
        if (this.life !== life) return;
        this.end('process');
        done();
      },
      (error: unknown) => this.#host.failed(this, error instanceof Error ? error : new Error(String(error))),
    );
  }

  /** The process stands still; what comes meanwhile waits. */
  pause(ms: number): void {
    if (this.node === null) return;
    const { life } = this;
    this.#pausedUntilMs = this.#host.now() + ms;
    this.#host.later(ms, () => {
      if (this.life !== life || this.#host.now() < this.#pausedUntilMs) return;
      const held = this.#held;
      this.#held = [];
      for (const task of held) if (this.life === life) this.run(task);
    });
  }

  /** The next call of this kind fails. */
  breakDisk(kind: 'write' | 'dataSync' | 'syncFolder'): void {
    let isDone = false;
    this.disk.fault = (called) => {
      if (isDone || called !== kind) return null;
      isDone = true;
      this.hadDiskError = true;
      return systemError('EIO');
    };
  }

  /** Calls `task` now, or when the pause is over. */
  run(task: () => void): void {
    if (this.#host.now() < this.#pausedUntilMs) {
      this.#held.push(task);
      return;
    }
    task();
    this.#host.touched(this);
  }

  later(delayMs: number, run: () => void): void {
    const { life } = this;
    this.#host.later(delayMs, () => {
      if (this.life === life) this.run(run);
    });
  }

  #wallMs(): number {
    return Date.UTC(2026, 0, 1) + Math.floor(this.#host.now()) + this.#clock.wallOffsetMs;
  }

  #diskDelayMs(kind: 'sync' | 'write' | 'other'): number {
    const { syncMinMs, syncMaxMs, slowWrites } = this.#host.diskWeather;
    const stallMs = Math.max(0, this.stallUntilMs - this.#host.now());
    // Never at once, or what tries again for ever would never let time pass.
    if (kind === 'sync') return stallMs + Math.max(SYNC_MS_MIN, this.random.integer(syncMinMs, syncMaxMs));
    if (kind === 'write' && this.random.chance(slowWrites))
      return stallMs + this.random.integer(0, syncMaxMs);
    return stallMs;
  }

  #logger(): NodeLogger {
    return {
      info: () => {},
      warn: (_facts, message) => this.#host.logged(this, message),
      error: (facts, message) => {
        const { err } = facts as { readonly err?: unknown };
        this.#host.logged(this, err instanceof Error ? `${message}: ${err.message}` : message);
      },
    };
  }
}
