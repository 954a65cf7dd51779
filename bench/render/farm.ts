// A farm for the benches: a main node as the command line starts it, worker nodes beside it, and a driver in this process.

import { RenderDriver } from '../../render/index.js';
import { LAUNCHER, peer } from '../paths.js';
import {
  type CpuMicros,
  type CpuSnapshot,
  cpuBetween,
  cpuSnapshot,
  residentBytes,
} from '../process-usage.js';
import { startSubject, type Subject } from '../subject.js';

export interface FarmShape {
  readonly workers: number;
  /** Of each worker node. */
  readonly renderers: number;
  /** What each image takes its renderer; it waits, and computes nothing. */
  readonly sleepMs: number;
}

export class Farm {
  readonly driver: RenderDriver;
  readonly #subjects: readonly Subject[];

  private constructor(driver: RenderDriver, subjects: readonly Subject[]) {
    this.driver = driver;
    this.#subjects = subjects;
  }

  /** @throws Error with one line saying why not; nothing is left of it then */
  static async start({ workers, renderers, sleepMs }: FarmShape): Promise<Farm> {
    const subjects: Subject[] = [];
    try {
      const flags = ['render', 'main', '--listen', '127.0.0.1:0', '--log-level', 'error', '--json'];
      const main = await startSubject({
        name: 'main',
        command: process.execPath,
        args: [LAUNCHER, ...flags],
      });
      subjects.push(main);
      const address = main.listen['rpc']!; // a main node has one
      const args = [peer('render-worker'), address, String(renderers), String(sleepMs)];
      const spec = { name: 'worker', command: process.execPath, args };
      for (let count = 0; count < workers; count += 1) subjects.push(await startSubject(spec));
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

const NOTHING: CpuMicros = { total: 0, user: 0, system: 0 };

export function sum(a: CpuMicros, b: CpuMicros): CpuMicros {
  return { total: a.total + b.total, user: a.user + b.user, system: a.system + b.system };
}

async function stopAll(subjects: readonly Subject[]): Promise<void> {
  for (const subject of subjects) await subject.stop();
}
