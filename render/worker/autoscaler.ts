// How many renderers a worker node should have: one more when images wait, one less when one has nothing to do or the
// machine is short of memory. The node samples, asks, and carries out what it is told.
// Pure. On a machine that renders, the CPU is always busy: `demand` therefore guards by memory and GPU and by the CPU use of
// others; `strict` holds back while any of CPU, memory and GPU is above 80 %, as the design notes say.

import { RenderError } from '../errors.js';

export interface AutoscalerOptions {
  /** Renderers at least and at most. Default 2 and 2. */
  readonly min?: number;
  readonly max?: number;
  readonly guard?: 'demand' | 'strict';
  /** So many images wait for each renderer before there is demand. Default 1. */
  readonly queuedPerRenderer?: number;
  /** How long there has to be demand, in ms. Default 3,000. */
  readonly demandMs?: number;
  /** Between two changes, in ms. Default 10,000. */
  readonly coolDownMs?: number;
  /** Load at which none is started any more, from 0 to 1. Default 0.8. */
  readonly guardShare?: number;
  /** Memory has to be there for so many times what one takes. Default 1.5. */
  readonly memoryFactor?: number;
  /** A renderer without work for so long goes, in ms; or for the cool-down while the machine is used less than `quietShare`. Default 60,000. */
  readonly idleMs?: number;
  /** Default 0.3. */
  readonly quietShare?: number;
  /** Memory, and with `strict` CPU, above which for `pressureMs` one goes. Default 0.9, 0.95 and 10,000. */
  readonly memoryPressure?: number;
  readonly cpuPressure?: number;
  readonly pressureMs?: number;
}

export interface AutoscalerSample {
  /** Images that wait here. */
  readonly queued: number;
  /** All that take work, and those that are being started. */
  readonly renderers: readonly RendererLoad[];
  readonly starting: number;
  /** Smoothed, from 0 to 1. `cpuOthers` is what is used by all but the renderers. */
  readonly cpu: number;
  readonly cpuOthers: number;
  readonly memory: number;
  readonly gpu: number;
  readonly availableBytes: number;
  /** Of the largest renderer; 0 when none was measured. */
  readonly rendererBytes: number;
}

export interface RendererLoad {
  readonly pid: number;
  readonly tasks: number;
  readonly idleSince: number;
  readonly isDraining: boolean;
}

export type AutoscalerAction =
  | { readonly kind: 'start'; readonly reason: string }
  | { readonly kind: 'drain'; readonly pid: number; readonly reason: string };

const DEFAULTS: Required<AutoscalerOptions> = {
  min: 2,
  max: 2,
  guard: 'demand',
  queuedPerRenderer: 1,
  demandMs: 3000,
  coolDownMs: 10_000,
  guardShare: 0.8,
  memoryFactor: 1.5,
  idleMs: 60_000,
  quietShare: 0.3,
  memoryPressure: 0.9,
  cpuPressure: 0.95,
  pressureMs: 10_000,
};

export class Autoscaler {
  readonly #options: Required<AutoscalerOptions>;
  #changedAt = Number.NEGATIVE_INFINITY;
  #demandSince: number | null = null;
  #pressureSince: number | null = null;
  #held = '';

  constructor(options: AutoscalerOptions = {}) {
    this.#options = { ...DEFAULTS, max: Math.max(options.min ?? DEFAULTS.min, DEFAULTS.max), ...options };
    const { min, max } = this.#options;
    if (!Number.isInteger(min) || !Number.isInteger(max) || min < 1 || max < min)
      throw new RenderError(
        'RENDER_OPTION_INVALID',
        `min ${min}, max ${max}: at least 1, and no fewer at most`,
      );
  }

  /** What to do now, if anything. To be asked about once a second. */
  decide(now: number, sample: AutoscalerSample): AutoscalerAction | null {
    const { min, max, coolDownMs, demandMs, pressureMs } = this.#options;
    const working = sample.renderers.filter(({ isDraining }) => !isDraining);
    const count = working.length + sample.starting;
    this.#demandSince = this.#isDemand(sample, count) ? (this.#demandSince ?? now) : null;
    this.#pressureSince = this.#isPressed(sample) ? (this.#pressureSince ?? now) : null;
    this.#held = '';
    if (count < min) return this.#start(now, `${count} of at least ${min} are there`);
    if (now - this.#changedAt < coolDownMs) return null;
    if (this.#pressureSince !== null && now - this.#pressureSince >= pressureMs && count > min) {
      const victim = idlest(working);
      if (victim !== null) return this.#drain(now, victim.pid, 'the machine is short of memory or CPU');
    }
    if (this.#demandSince !== null && now - this.#demandSince >= demandMs && count < max) {
      this.#held = this.#guard(sample) ?? '';
      if (this.#held === '') return this.#start(now, `${sample.queued} images wait for ${count} renderers`);
      return null;
    }
    if (count > min && sample.queued === 0) {
      const idle = idlest(working.filter(({ tasks }) => tasks === 0));
      const use = this.#options.guard === 'strict' ? sample.cpu : sample.cpuOthers;
      const enoughMs = use < this.#options.quietShare ? coolDownMs : this.#options.idleMs;
      if (idle !== null && now - idle.idleSince >= enoughMs)
        return this.#drain(now, idle.pid, `idle for ${Math.round((now - idle.idleSince) / 1000)} s`);
    }
    return null;
  }

  /** Why no renderer was started though images wait; '' when that is not so. */
  get heldBack(): string {
    return this.#held;
  }

  #isDemand({ queued }: AutoscalerSample, count: number): boolean {
    return queued > 0 && queued >= count * this.#options.queuedPerRenderer;
  }

  #isPressed({ memory, cpu }: AutoscalerSample): boolean {
    const { memoryPressure, cpuPressure, guard } = this.#options;
    return memory > memoryPressure || (guard === 'strict' && cpu > cpuPressure);
  }

  #guard(sample: AutoscalerSample): string | null {
    const { guard, guardShare, memoryFactor } = this.#options;
    const cpu = guard === 'strict' ? sample.cpu : sample.cpuOthers;
    for (const [name, share] of [
      ['CPU', cpu],
      ['memory', sample.memory],
      ['GPU', sample.gpu],
    ] as const) {
      if (share > guardShare) return `${name} is at ${Math.round(share * 100)} %`;
    }
    if (sample.availableBytes < memoryFactor * sample.rendererBytes)
      return 'there is too little memory for one more';
    return null;
  }

  #start(now: number, reason: string): AutoscalerAction {
    this.#changedAt = now;
    return { kind: 'start', reason };
  }

  #drain(now: number, pid: number, reason: string): AutoscalerAction {
    this.#changedAt = now;
    return { kind: 'drain', pid, reason };
  }
}

/** The one with the fewest tasks, and among those the one that has been idle longest. */
function idlest(renderers: readonly RendererLoad[]): RendererLoad | null {
  return renderers.toSorted((a, b) => a.tasks - b.tasks || a.idleSince - b.idleSince)[0] ?? null;
}
