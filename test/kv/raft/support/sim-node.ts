// One simulated member: a real core, a simulated disk and state machine, and a driver that carries out the effects as
// docs/raft.md asks. Delays, and what the network does, are the world's.

import {
  type Effect,
  type InstallEffect,
  RaftCore,
  RaftError,
  type RaftErrorCode,
  type RaftOptions,
  type RestoredState,
  type SnapshotMeta,
} from '../../../../kv/raft/index.js';
import type { Rules } from '../../../../kv/raft/rules.js';
import type { SeededRandom } from '../../../support/seeded-random.js';
import { type DiskBugs, SimDisk } from './sim-disk.js';
import { SimMachine } from './sim-machine.js';
import type { World } from './world.js';

export class SimNode {
  readonly id: number;
  readonly disk: SimDisk;
  readonly #world: World;
  readonly #options: RaftOptions;
  readonly #rules: Rules | undefined;
  readonly #random: SeededRandom;
  core: RaftCore | null = null;
  machine: SimMachine = new SimMachine();
  /** Counts lives: what an earlier one asked for is not reported to this one. */
  life = 0;
  /** Writes take this much longer. */
  stall = 0;
  #lastDiskEnd = 0;
  #lastApplyEnd = 0;
  #snapshots = new Map<number, Uint8Array>();
  #incoming: Uint8Array = new Uint8Array(0);
  #machineEpoch = 0;

  constructor(
    world: World,
    options: RaftOptions,
    random: SeededRandom,
    initial: RestoredState,
    rules?: Rules,
    bugs?: DiskBugs,
  ) {
    this.#world = world;
    this.id = options.id;
    this.#options = options;
    this.#random = random;
    this.#rules = rules;
    this.disk = new SimDisk(initial, bugs);
  }

  start(): void {
    this.life += 1;
    this.#lastDiskEnd = 0;
    this.#lastApplyEnd = 0;
    this.machine = new SimMachine();
    this.machine.load(this.disk.snapshotBytes, this.disk.snapshot.index);
    this.#snapshots = new Map([[this.disk.snapshot.index, this.disk.snapshotBytes]]);
    const restored = this.disk.restore();
    this.core = new RaftCore(this.#options, () => this.#random.fraction(), restored, this.#rules);
    this.#world.checker.restarted(this);
    this.#world.started(this);
    this.#scheduleTick(this.life);
  }

  crash(): void {
    if (this.core === null) return;
    this.core = null;
    this.life += 1;
    this.disk.crash(this.#random);
  }

  /** Gives the live core an input; a refusal by code is returned, anything else is a bug. */
  input(call: (core: RaftCore) => Effect[]): RaftErrorCode | null {
    if (this.core === null) return 'KV_RAFT_NO_LEADER';
    try {
      this.#carryOut(call(this.core));
    } catch (error) {
      if (!(error instanceof RaftError) || error.code === 'KV_RAFT_LOG_LOST') throw error;
      return error.code;
    }
    return null;
  }

  #carryOut(effects: readonly Effect[]): void {
    this.#world.checker.after(this);
    const queue: Effect[] = [...effects];
    for (const effect of queue) {
      this.#world.saw(this, effect);
      queue.push(...this.#one(effect));
      this.#world.checker.after(this);
    }
  }

  #one(effect: Effect): Effect[] {
    switch (effect.kind) {
      case 'persist':
        this.disk.issue(effect);
        this.#onDisk(() => this.input((core) => core.persisted(this.disk.completeOne())));
        return [];
      case 'send': {
        const { message } = effect;
        if (message.type !== 'snapshot') this.#world.send(this, effect.to, message);
        else {
          const bytes = this.#snapshots.get(message.snapshot.index) ?? new Uint8Array(0);
          const data = bytes.subarray(message.offset, message.offset + message.byteCount);
          this.#world.send(this, effect.to, { ...message, data });
        }
        return [];
      }
      case 'apply': {
        if (this.#world.weather.applyMax === 0) return this.#apply(effect.entries);
        const delay = this.#world.applyDelay();
        this.#lastApplyEnd = Math.max(this.#lastApplyEnd, this.#world.now + delay);
        const { life } = this;
        const epoch = this.#machineEpoch;
        this.#world.after(this.#lastApplyEnd - this.#world.now, () => {
          if (this.life !== life || this.#machineEpoch !== epoch) return;
          this.#carryOut(this.#apply(effect.entries));
        });
        return [];
      }
      case 'store-chunk':
        this.#store(effect.offset, effect.snapshot, effect.data);
        this.#later(this.#world.diskDelay(), () => this.input((core) => core.persisted(effect.token)));
        return [];
      case 'install':
        this.#install(effect);
        return [];
      case 'take-snapshot':
        this.#takeSnapshot();
        return [];
      case 'compact':
        this.disk.compact(effect.index);
        return [];
      default:
        return [];
    }
  }

  #apply(entries: Extract<Effect, { kind: 'apply' }>['entries']): Effect[] {
    for (const entry of entries) {
      this.machine.apply(entry);
      this.#world.checker.applied(this, entry, this.machine.hash);
      this.#world.applied(this, entry);
    }
    return this.core!.applied(this.machine.index); // called in this life
  }

  #store(offset: number, snapshot: SnapshotMeta, data: Uint8Array): void {
    if (offset === 0) this.#incoming = new Uint8Array(snapshot.byteCount);
    this.#incoming.set(data, offset);
  }

  #install(effect: InstallEffect): void {
    const bytes = this.#incoming;
    this.disk.issue({ ...effect, bytes });
    this.#machineEpoch += 1;
    this.#onDisk(() => {
      const token = this.disk.completeOne();
      this.machine.load(bytes, effect.snapshot.index);
      this.#world.checker.installed(this, effect.snapshot.index, this.machine.hash);
      this.#snapshots.set(effect.snapshot.index, bytes);
      this.#world.installed(this, effect.snapshot);
      this.input((core) => core.persisted(token));
    });
  }

  #takeSnapshot(): void {
    const { index } = this.machine;
    const bytes = this.machine.save();
    const described = this.core!.describeSnapshot(index); // called in this life
    this.#later(this.#world.diskDelay(), () => {
      if (index <= this.disk.snapshot.index) {
        this.input((core) => core.snapshotFailed());
        return;
      }
      this.disk.snapshot = { ...described, byteCount: bytes.length };
      this.disk.snapshotBytes = bytes;
      this.#snapshots.set(index, bytes);
      this.input((core) => core.snapshotted(index, bytes.length));
      const used = new Set(this.core?.snapshotsInUse().map((snapshot) => snapshot.index));
      for (const kept of this.#snapshots.keys()) if (!used.has(kept)) this.#snapshots.delete(kept);
    });
  }

  /** Writes end in order, each some time after it began. */
  #onDisk(done: () => void): void {
    const { now } = this.#world;
    this.#lastDiskEnd = Math.max(this.#lastDiskEnd, now + this.#world.diskDelay() + this.stall);
    this.#later(this.#lastDiskEnd - now, done);
  }

  #later(delay: number, run: () => void): void {
    const { life } = this;
    this.#world.after(delay, () => {
      if (this.life === life) run();
    });
  }

  #scheduleTick(life: number): void {
    this.#world.after(this.#world.tickDelay(), () => {
      if (this.life !== life) return;
      this.input((core) => core.tick());
      this.#scheduleTick(life);
    });
  }
}
