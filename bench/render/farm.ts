// A farm for the benches: a main node and worker nodes as the command line starts them, and a driver in this process.

import { RenderDriver } from '../../render/index.js';
import { LAUNCHER } from '../paths.js';
import {
  type CpuMicros,
  type CpuSnapshot,
  cpuBetween,
  cpuSnapshot,
  residentBytes,
} from '../process-usage.js';
import { startSubject, type Subject, type SubjectSpec } from '../subject.js';

export interface FarmShape {
  readonly workers: number;
  /** Of each worker node. */
  readonly renderers: number;
  readonly rendering: Rendering;
}

/** Built-in renderers that wait so long for each image and compute nothing, or Blender with a thread for each process. */
export type Rendering = { readonly sleepMs: number } | { readonly scene: string };

export class Farm {
  readonly driver: RenderDriver;
  readonly #subjects: readonly Subject[];

  private constructor(driver: RenderDriver, subjects: readonly Subject[]) {
    this.driver = driver;
    this.#subjects = subjects;
  }

  /** @throws Error with one line saying why not; nothing is left of it then */
  static async start({ workers, renderers, rendering }: FarmShape): Promise<Farm> {
    const subjects: Subject[] = [];
    try {
      const main = await startSubject(commandOf('main'));
      subjects.push(main);
      const address = main.listen['rpc']!; // a main node has one
      const count = String(renderers);
      const flags = ['--main', address, '--min', count, '--max', count, ...flagsOf(rendering)];
      for (let node = 0; node < workers; node += 1)
        subjects.push(await startSubject(commandOf('worker', ...flags)));
      return new Farm(await RenderDriver.connect({ main: address }), subjects);
    } catch (error) {
      await stopAll(subjects);
      throw error;
    }
  }

  /** Of all its processes so far, renderers included. */
  cpu(): readonly CpuSnapshot[] {
    return this.#subjects.map(({ pid }) => cpuSnapshot(pid));
  }

  /** The main node's, and that of all worker nodes with their renderers. */
  cpuSince(before: readonly CpuSnapshot[]): { main: CpuMicros; workers: CpuMicros } {
    const used = this.cpu().map((after, index) => cpuBetween(before[index]!, after));
    const [main = NOTHING, ...workers] = used;
    return { main, workers: workers.reduce(sum, NOTHING) };
  }

  get rssBytes(): number {
    return this.#subjects.reduce((bytes, { pid }) => bytes + residentBytes(pid), 0);
  }

  async stop(): Promise<void> {
    await this.driver.close();
    await stopAll(this.#subjects.toReversed());
  }
}

function commandOf(role: 'main' | 'worker', ...flags: readonly string[]): SubjectSpec {
  const common = ['--listen', '127.0.0.1:0', '--log-level', 'error', '--json'];
  return { name: role, command: process.execPath, args: [LAUNCHER, 'render', role, ...common, ...flags] };
}

function flagsOf(rendering: Rendering): string[] {
  if ('scene' in rendering) return ['--backend', 'blender', '--scene', rendering.scene, '--threads', '1'];
  return ['--builtin-instant', '--builtin-sleep', `${rendering.sleepMs}ms`];
}

const NOTHING: CpuMicros = { total: 0, user: 0, system: 0 };

export function sum(a: CpuMicros, b: CpuMicros): CpuMicros {
  return { total: a.total + b.total, user: a.user + b.user, system: a.system + b.system };
}

async function stopAll(subjects: readonly Subject[]): Promise<void> {
  for (const subject of subjects) await subject.stop();
}
