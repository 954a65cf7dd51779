// How a server goes away without losing a call: the order of the steps, their deadlines, and what forces them.
// rpc-server.ts supplies the steps; time comes in as `wait`, so that a test sees every state on a clock of its own.

import { CALL_TIMEOUT_MS_MAX } from '../limits.js';
import { checkNumber, withDefaults } from '../option-checks.js';

export type DrainState =
  | 'serving'
  | 'deregistering' // leaving the registry: at most deregisterMs
  | 'propagating' // the news spreads: clients stop choosing us
  | 'lame-duck' // no connection is accepted, every client is told, new calls are refused
  | 'draining' // calls under way finish: at most graceMs
  | 'forcing' // what is left is cut
  | 'closed';

export interface DrainSteps {
  /** Leaves the registry. Resolves to true when everybody who watches has heard of it. */
  deregister(): Promise<boolean>;
  /** Accepts nothing more and tells every client. */
  announce(graceMs: number): Promise<void>;
  /** Resolves to true once no call is under way, to false after `graceMs`. */
  settle(graceMs: number): Promise<boolean>;
  /** Ends the calls that are left; resolves to how many. */
  cut(): Promise<number>;
  close(): Promise<void>;
}

export interface DrainTimes {
  /** For leaving the registry, in ms. Default 1000. */
  deregisterMs?: number;
  /** For the news to spread, where nobody confirms it, in ms. Default 1000; 0 without a registry. */
  propagateMs?: number;
  /** For calls under way, in ms. Default 30,000. */
  graceMs?: number;
}

export interface DrainReport {
  /** Calls that had to be cut. */
  readonly cut: number;
  /** Every state passed, in order. */
  readonly states: readonly DrainState[];
}

/** Resolves after `delayMs`, or earlier when `signal` aborts. */
export type Wait = (delayMs: number, signal: AbortSignal) => Promise<void>;

export const DRAIN_TIMES: Required<DrainTimes> = { deregisterMs: 1000, propagateMs: 1000, graceMs: 30_000 };

export class Drain {
  readonly #steps: DrainSteps;
  readonly #wait: Wait;
  readonly #forced = new AbortController();
  readonly #states: DrainState[] = ['serving'];
  readonly #onState: (state: DrainState) => void;
  #running: Promise<DrainReport> | null = null;

  constructor(steps: DrainSteps, wait: Wait, onState: (state: DrainState) => void = () => {}) {
    this.#steps = steps;
    this.#wait = wait;
    this.#onState = onState;
  }

  get state(): DrainState {
    return this.#states.at(-1)!;
  }

  /** Runs once; a second call joins the first. @throws RpcError RPC_OPTION_INVALID naming the option */
  run(times: DrainTimes = {}): Promise<DrainReport> {
    this.#running ??= this.#run(completeTimes(times));
    return this.#running;
  }

  /** Waits for nothing any more: what is under way is cut at once. */
  force(): void {
    this.#forced.abort();
  }

  async #run({ deregisterMs, propagateMs, graceMs }: Required<DrainTimes>): Promise<DrainReport> {
    this.#enter('deregistering');
    const isKnown = await this.#within(deregisterMs, this.#steps.deregister(), false);
    this.#enter('propagating');
    if (!isKnown && propagateMs > 0) await this.#pause(propagateMs);
    this.#enter('lame-duck');
    await this.#steps.announce(graceMs);
    this.#enter('draining');
    const isSettled = await this.#within(graceMs, this.#steps.settle(graceMs), false);
    let cut = 0;
    if (!isSettled) {
      this.#enter('forcing');
      cut = await this.#steps.cut();
    }
    await this.#steps.close();
    this.#enter('closed');
    return { cut, states: this.#states };
  }

  /** The step's answer, or `otherwise` when it takes longer or fails. */
  async #within<T>(delayMs: number, step: Promise<T>, otherwise: T): Promise<T> {
    const done = new AbortController();
    const late = this.#pause(delayMs, done.signal).then(() => otherwise);
    const answer = await Promise.race([step.catch(() => otherwise), late]); // the drain goes on whatever failed
    done.abort();
    return answer;
  }

  #pause(delayMs: number, ...signals: AbortSignal[]): Promise<void> {
    if (this.#forced.signal.aborted) return Promise.resolve();
    return this.#wait(delayMs, AbortSignal.any([this.#forced.signal, ...signals]));
  }

  #enter(state: DrainState): void {
    this.#states.push(state);
    try {
      this.#onState(state);
    } catch (error) {
      // A drain goes on whatever those who watch it make of it.
      process.emitWarning(error instanceof Error ? error : String(error), { type: 'RpcDrainHookFailed' });
    }
  }
}

function completeTimes(times: DrainTimes): Required<DrainTimes> {
  const complete = withDefaults('close', DRAIN_TIMES, times);
  for (const name of ['deregisterMs', 'propagateMs', 'graceMs'] as const)
    checkNumber('close', name, complete[name], { min: 0, max: CALL_TIMEOUT_MS_MAX });
  return complete;
}
