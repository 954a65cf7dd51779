// The worker nodes that are registered: who they are, what they last said of themselves, and the way to them.
// main-node.ts fills it; the runner of jobs and the farm's views read it.

import type { Load, NodeHeartBeat, NodeInfo, ProcessUse, Serial } from '../proto/render.js';
import type { FarmWorker } from './farm.js';
import type { NodeLink } from './node-link.js';
import type { NodeBeat } from './worker-nodes.js';

export class NodeEntry {
  readonly key: number;
  readonly serial: Serial;
  readonly info: NodeInfo;
  readonly address: string;
  readonly link: NodeLink;
  readonly registeredAt: number;
  lastBeatAt: number;
  load: Load | null = null;
  processes: readonly ProcessUse[] = [];
  imagesRendered = 0;
  imagesFailed = 0;

  constructor(given: Pick<NodeEntry, 'key' | 'serial' | 'info' | 'address' | 'link' | 'registeredAt'>) {
    this.key = given.key;
    this.serial = given.serial;
    this.info = given.info;
    this.address = given.address;
    this.link = given.link;
    this.registeredAt = given.registeredAt;
    this.lastBeatAt = given.registeredAt;
  }

  get name(): string {
    return this.info.name === '' ? this.address : this.info.name;
  }

  /** Notes what it tells; gives what the scheduler is to know. */
  beat(now: number, { load, runningTasks, processes }: NodeHeartBeat): NodeBeat {
    this.lastBeatAt = now;
    this.processes = processes;
    const running = runningTasks.map(Number);
    if (load === undefined) return { running };
    this.load = load;
    const { cpu, cpuOthers = cpu, mem, gpu, draining } = load;
    // Neither told: it is a node that does not speak of slots.
    const slots = load.slots === 0 && load.slotsMax === 0 ? this.info.slots : load.slots;
    // Its own renderers are what it is there for: a node that is well used is not a loaded one.
    const highest = Math.min(1, Math.max(0, cpuOthers, mem, gpu));
    return { running, load: Number.isFinite(highest) ? highest : 1, slots, draining };
  }

  view(): FarmWorker {
    const { info, load } = this;
    return {
      serial: this.serial.serial,
      name: this.name,
      address: this.address,
      tags: info.tags,
      weight: info.weight,
      slots: load?.slots ?? info.slots,
      slotsMax: load?.slotsMax ?? info.slots,
      running: load?.running ?? 0,
      queued: load?.queued ?? 0,
      cpu: load?.cpu ?? 0,
      cpuOthers: load?.cpuOthers ?? load?.cpu ?? 0,
      mem: load?.mem ?? 0,
      gpu: load?.gpu ?? 0,
      gpuTemp: load?.gpuTemp ?? 0,
      isDraining: load?.draining ?? false,
      processes: this.processes.map(({ pid, cpu, rssBytes, gpu, renders }) => ({
        pid,
        cpu,
        rssBytes: Number(rssBytes),
        gpu,
        renders,
      })),
      registeredAtMs: this.registeredAt,
      lastBeatMs: this.lastBeatAt,
      imagesRendered: this.imagesRendered,
      imagesFailed: this.imagesFailed,
      version: info.version,
    };
  }
}

export class NodeBook {
  readonly #byKey = new Map<number, NodeEntry>();

  add(entry: NodeEntry): void {
    this.#byKey.set(entry.key, entry);
  }

  delete(key: number): NodeEntry | undefined {
    const entry = this.#byKey.get(key);
    this.#byKey.delete(key);
    return entry;
  }

  get(key: number): NodeEntry | undefined {
    return this.#byKey.get(key);
  }

  bySerial(serial: number): NodeEntry | undefined {
    for (const entry of this.#byKey.values()) if (entry.serial.serial === serial) return entry;
    return undefined;
  }

  values(): Iterable<NodeEntry> {
    return this.#byKey.values();
  }

  get size(): number {
    return this.#byKey.size;
  }
}
