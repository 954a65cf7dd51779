// What the machine is loaded with, smoothed: for heartbeats and the autoscaler. Once a second it reads /proc, and every few
// seconds it asks nvidia-smi, where there is one.
// host-load.ts understands the texts, load-window.ts smooths; where they come from may be a test's to say.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import {
  cpuShare,
  type CpuTimes,
  cpuTimes,
  gpuProcessUse,
  type GpuUse,
  gpuUse,
  memoryUse,
} from './host-load.js';
import { LoadAverage, LoadWindow, type Smoothing } from './load-window.js';

/** Where the figures come from; a test scripts them. */
export interface LoadSource {
  /** /proc/stat and /proc/meminfo; '' where there is none. */
  stat(): string;
  meminfo(): string;
  /** What nvidia-smi answers of its cards; null when there is none. Never rejects. */
  gpus(): Promise<string | null>;
  /** And of processes. Asked only where there are cards. Default: nothing is known. */
  gpuProcesses?(): Promise<string | null>;
  readonly cores: number;
}

export interface LoadFigures {
  /** Shares from 0 to 1; `cpuOthers` is the CPU use of all but the renderers. */
  readonly cpu: number;
  readonly cpuOthers: number;
  readonly memory: number;
  readonly gpu: number;
  readonly gpuCelsius: number;
  readonly availableBytes: number;
}

const GPU_EVERY = 5;
const GPU_TIMEOUT_MS = 4000;
const GPU_QUERY = [
  '--query-gpu=utilization.gpu,memory.used,memory.total,temperature.gpu',
  '--format=csv,noheader,nounits',
];

export class LoadMeter {
  readonly #source: LoadSource;
  readonly #cpu: Smoothing;
  readonly #cpuOthers: Smoothing;
  readonly #memory: Smoothing;
  readonly #gpu: Smoothing;
  #before: { times: CpuTimes; rendererCpuMs: number; atMs: number } | null = null;
  #gpus: readonly GpuUse[] = [];
  #gpuByProcess: ReadonlyMap<number, number> = new Map();
  #samples = 0;
  #availableBytes = Number.MAX_SAFE_INTEGER;
  #isAskingGpus = false;
  #hasGpus = true;

  constructor(smoothing: 'window' | 'average', source: LoadSource = systemLoad) {
    this.#source = source;
    const make = (): Smoothing => (smoothing === 'window' ? new LoadWindow() : new LoadAverage());
    this.#cpu = make();
    this.#cpuOthers = make();
    this.#memory = make();
    this.#gpu = make();
  }

  /** To be called once a second. @param rendererCpuMs CPU time of all renderers that there were so far */
  sample(nowMs: number, rendererCpuMs: number): LoadFigures {
    const times = cpuTimes(this.#source.stat());
    if (times !== null) this.#sampleCpu(nowMs, times, rendererCpuMs);
    const memory = memoryUse(this.#source.meminfo());
    if (memory !== null) {
      this.#memory.add(memory.share);
      this.#availableBytes = memory.availableBytes;
    }
    if (this.#hasGpus && this.#samples % GPU_EVERY === 0) void this.#askGpus();
    this.#samples += 1;
    if (this.#gpus.length > 0) this.#gpu.add(Math.max(...this.#gpus.map(({ share }) => share)));
    return this.figures();
  }

  figures(): LoadFigures {
    return {
      cpu: this.#cpu.value,
      cpuOthers: this.#cpuOthers.value,
      memory: this.#memory.value,
      gpu: Math.max(this.#gpu.value, ...this.#gpus.map(({ memoryShare }) => memoryShare)),
      gpuCelsius: Math.max(0, ...this.#gpus.map(({ celsius }) => celsius)),
      availableBytes: this.#availableBytes,
    };
  }

  /** What a process uses of GPUs, from 0 to 1 of one card; 0 where that is not known. */
  gpuOf(pid: number): number {
    return this.#gpuByProcess.get(pid) ?? 0;
  }

  #sampleCpu(atMs: number, times: CpuTimes, rendererCpuMs: number): void {
    const before = this.#before;
    this.#before = { times, rendererCpuMs, atMs };
    if (before === null) return;
    const share = cpuShare(before.times, times);
    if (share === null) return;
    const ms = (atMs - before.atMs) * this.#source.cores;
    const ours = ms > 0 ? Math.max(0, rendererCpuMs - before.rendererCpuMs) / ms : 0;
    this.#cpu.add(share);
    this.#cpuOthers.add(Math.max(0, share - ours));
  }

  async #askGpus(): Promise<void> {
    if (this.#isAskingGpus) return;
    this.#isAskingGpus = true;
    const csv = await this.#source.gpus();
    this.#hasGpus = csv !== null;
    this.#gpus = csv === null ? [] : gpuUse(csv);
    const processes = this.#gpus.length === 0 ? null : await this.#source.gpuProcesses?.();
    this.#gpuByProcess = gpuProcessUse(processes ?? '');
    this.#isAskingGpus = false;
  }
}

export const systemLoad: LoadSource = {
  stat: () => textOf('/proc/stat'),
  meminfo: () => textOf('/proc/meminfo'),
  gpus: () =>
    new Promise((resolve) => {
      execFile('nvidia-smi', GPU_QUERY, { timeout: GPU_TIMEOUT_MS }, (error, stdout) => {
        const isMissing = (error as NodeJS.ErrnoException | null)?.code === 'ENOENT';
        resolve(isMissing ? null : stdout);
      });
    }),
  gpuProcesses: () =>
    new Promise((resolve) => {
      execFile('nvidia-smi', ['pmon', '-c', '1', '-s', 'u'], { timeout: GPU_TIMEOUT_MS }, (_error, stdout) =>
        resolve(stdout),
      );
    }),
  cores: availableParallelism(),
};

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // no Linux
  }
}
