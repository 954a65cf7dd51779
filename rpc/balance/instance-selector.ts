// Chooses the instance of one service for one attempt: takes out who must not get it, and asks the balancer about the rest.
// client/ feeds it the resolver's lists, the pool's connection states, GOAWAYs and the end of every attempt. Who is
// available is worked out when something changes and not per call. Pure: time comes in.

import { RpcError } from '../errors.js';
import type { Instance } from '../instance.js';
import { checkNumber, withDefaults } from '../option-checks.js';
import {
  checkedBreakerOptions,
  CircuitBreaker,
  type CircuitBreakerOptions,
} from '../resilience/circuit-breaker.js';
import { OutlierDetector, type OutlierOptions } from '../resilience/outlier-detector.js';
import type { Balancer, CallOutcome, Candidate, PickRequest } from './balancer.js';
import { hasTags, type InstanceRoute, isRouted } from './instance-route.js';
import { type ConnectionState, type InstanceSnapshot, ListedInstance } from './listed-instance.js';
import { selectionFailure } from './selection-failure.js';

export interface SelectorOptions {
  /** Which instances are wanted at all. Default all. */
  route?: InstanceRoute;
  /** With fewer than this percent of the instances not ejected, the ejected are used too. Default 50 (Envoy). */
  panicPercent?: number;
  /** A draining instance that stays listed under its id is tried again after this. Default 30 s. */
  drainingMs?: number;
  /** Ejection of instances that answer worse than the others; false for none. Default on. */
  outlier?: OutlierOptions | false;
  /** A circuit breaker per instance, or false for none. Default false. */
  breaker?: CircuitBreakerOptions | false;
}

const DEFAULTS: Required<SelectorOptions> = {
  route: {},
  panicPercent: 50,
  drainingMs: 30_000,
  outlier: {},
  breaker: false,
};

/** What a route may say. */
const ROUTE: Record<keyof InstanceRoute, undefined> = {
  version: undefined,
  group: undefined,
  tags: undefined,
  preferTags: undefined,
};

export interface SelectorSnapshot {
  readonly isPanicking: boolean;
  readonly instances: readonly InstanceSnapshot[];
}

export class InstanceSelector {
  readonly #service: string;
  readonly #balancer: Balancer;
  readonly #options: Required<SelectorOptions>;
  readonly #outliers: OutlierDetector | null;
  readonly #listed = new Map<string, ListedInstance>();
  #route: InstanceRoute;
  /** Who may get calls, as the balancer sees it: a new array whenever anything about it changes. */
  #available: readonly ListedInstance[] = [];
  /** For calls that were at all of those: not preferred, or their first connection is still being made. */
  #reserve: readonly ListedInstance[] = [];
  #isPanicking = false;
  #isStale = true;
  #advancedMs = -Infinity;
  #nextChangeMs = -Infinity;

  /**
   * @param service for messages
   * @throws RpcError RPC_OPTION_INVALID naming the option
   */
  constructor(service: string, balancer: Balancer, options: SelectorOptions = {}) {
    this.#service = service;
    this.#balancer = balancer;
    this.#options = withDefaults('selector', DEFAULTS, options);
    checkNumber('selector', 'panicPercent', this.#options.panicPercent, { min: 0, max: 100 });
    checkNumber('selector', 'drainingMs', this.#options.drainingMs, { min: 0 });
    const { outlier, breaker, route } = this.#options;
    withDefaults('route', ROUTE, route as object);
    this.#outliers = outlier === false ? null : new OutlierDetector(outlier);
    if (breaker !== false) checkedBreakerOptions(breaker);
    this.#route = route;
  }

  /** The resolver's list. An id that was listed before keeps its state, unless it has moved to another address. */
  update(instances: readonly Instance[]): void {
    const gone = new Set(this.#listed.values());
    for (const instance of instances) {
      const known = this.#listed.get(instance.id);
      if (known !== undefined && isSameAddress(known.instance, instance)) {
        known.instance = instance;
        gone.delete(known);
      } else this.#add(instance);
    }
    for (const listed of gone) this.#remove(listed);
    this.#applyRoute();
  }

  setRoute(route: InstanceRoute): void {
    this.#route = route;
    this.#applyRoute();
  }

  /** What the pool has to this instance. Ids that are not listed are ignored, here and below. */
  setConnection(id: string, state: ConnectionState): void {
    const listed = this.#listed.get(id);
    if (listed === undefined || listed.connection === state) return;
    listed.connection = state;
    this.#isStale = true;
  }

  /** The instance sent GOAWAY: no new calls until it comes back. */
  markDraining(id: string, nowMs: number, drainingMs: number = this.#options.drainingMs): void {
    const listed = this.#listed.get(id);
    if (listed === undefined) return;
    listed.drainingUntilMs = nowMs + drainingMs;
    this.#isStale = true;
  }

  /** A connection that was made after the GOAWAY stands: it is back. */
  markServing(id: string): void {
    const listed = this.#listed.get(id);
    if (listed === undefined) return;
    listed.drainingUntilMs = -Infinity;
    this.#isStale = true;
  }

  /**
   * The instance for the next attempt. `started` is to be called before anything else is picked.
   * @param excluded ids this call was at already; they come again only when no other is left
   * @throws RpcError RPC_NO_INSTANCE, RPC_ALL_EJECTED or RPC_ALL_CONNECTING, executed 'no'
   */
  pick(request: PickRequest, excluded?: ReadonlySet<string>): Candidate {
    if (this.#isStale || request.nowMs >= this.#nextChangeMs) this.#refresh(request.nowMs);
    let choices = this.#available;
    if (excluded !== undefined && excluded.size > 0) choices = this.#without(excluded);
    if (choices.length === 0) throw selectionFailure(this.#service, this.#listed, request.nowMs);
    const chosen = this.#balancer.pick(choices, request);
    if (chosen instanceof ListedInstance) return chosen;
    throw new RpcError('RPC_INTERNAL', `the balancer of ${this.#service} picked none of its candidates`, {
      executed: 'no',
    });
  }

  /** How many instances could take an attempt that has been at `excluded`. */
  untriedCount(excluded: ReadonlySet<string>, nowMs: number): number {
    if (this.#isStale || nowMs >= this.#nextChangeMs) this.#refresh(nowMs);
    return this.#untried(this.#available, excluded).length + this.#untried(this.#reserve, excluded).length;
  }

  /** An attempt begins. Ends with one call of `finished` or `abandoned`. */
  started(candidate: Candidate): void {
    const listed = candidate as ListedInstance; // `pick` gave it
    listed.callsInFlight += 1;
    if (listed.breaker !== null && listed.breaker.started()) this.#isStale = true;
  }

  /** An attempt has ended with an answer, or failed. For streams `latencyMs` is the time to the first message. */
  finished(candidate: Candidate, outcome: CallOutcome): void {
    const listed = candidate as ListedInstance; // `pick` gave it
    const { isFailure, nowMs, latencyMs } = outcome;
    listed.callsInFlight -= 1;
    if (!listed.isListed) return;
    listed.calls += 1;
    if (isFailure) listed.failures += 1;
    listed.lastLatencyMs = latencyMs;
    if (listed.outlier !== null && this.#outliers!.record(listed.outlier, isFailure, nowMs))
      this.#isStale = true;
    if (listed.breaker !== null && listed.breaker.finished(isFailure, nowMs - latencyMs, nowMs)) {
      this.#isStale = true;
    }
    try {
      this.#balancer.finished?.(candidate, outcome);
    } catch (error) {
      surface(error);
    }
  }

  /** An attempt was given up (cancelled, lost against a hedge) before it said anything about the instance. */
  abandoned(candidate: Candidate, startedMs: number, nowMs: number): void {
    const listed = candidate as ListedInstance; // `pick` gave it
    listed.callsInFlight -= 1;
    if (!listed.isListed) return;
    if (listed.breaker !== null && listed.breaker.abandoned(startedMs)) this.#isStale = true;
    try {
      this.#balancer.abandoned?.(candidate, nowMs - startedMs, nowMs);
    } catch (error) {
      surface(error);
    }
  }

  snapshot(nowMs: number): SelectorSnapshot {
    if (this.#isStale || nowMs >= this.#nextChangeMs) this.#refresh(nowMs);
    return {
      isPanicking: this.#isPanicking,
      instances: [...this.#listed.values()].map((listed) => listed.snapshot(nowMs)),
    };
  }

  #add(instance: Instance): void {
    const outlier = this.#outliers?.add() ?? null;
    const { breaker } = this.#options;
    const listed = new ListedInstance(
      instance,
      outlier,
      breaker === false ? null : new CircuitBreaker(breaker),
    );
    this.#listed.set(instance.id, listed);
  }

  #remove(listed: ListedInstance): void {
    listed.isListed = false;
    // Another with its id, but at another address, may be there already.
    if (this.#listed.get(listed.instance.id) === listed) this.#listed.delete(listed.instance.id);
    if (listed.outlier !== null) this.#outliers!.remove(listed.outlier);
    try {
      this.#balancer.removed?.(listed);
    } catch (error) {
      surface(error);
    }
  }

  #applyRoute(): void {
    for (const listed of this.#listed.values()) {
      const { weight } = listed.instance;
      listed.isRouted = weight > 0 && Number.isFinite(weight) && isRouted(listed.instance, this.#route);
    }
    this.#isStale = true;
  }

  #refresh(nowMs: number): void {
    this.#isStale = this.#advance(nowMs) || this.#isStale;
    if (!this.#isStale) return;
    this.#isStale = false;
    const routed = [...this.#listed.values()].filter(({ isRouted }) => isRouted);
    const staying = routed.filter(({ drainingUntilMs }) => nowMs >= drainingUntilMs);
    // Where all have said goodbye they are asked all the same: what answers at that address may be their next life.
    const serving = staying.length > 0 ? staying : routed;
    const healthy = serving.filter((listed) => !listed.isEjected);
    this.#isPanicking = healthy.length * 100 < this.#options.panicPercent * serving.length;
    const open = (this.#isPanicking ? serving : healthy).filter((listed) => !listed.isBlocked);
    const connectable = open.filter(({ connection }) => connection === 'ready' || connection === 'idle');
    const connecting = open.filter(({ connection }) => connection === 'connecting');
    const usable = connectable.length > 0 ? connectable : connecting;
    const available = this.#preferred(usable);
    this.#available = available;
    this.#reserve = [
      ...(available === usable ? [] : usable.filter((listed) => !available.includes(listed))),
      ...(usable === connecting ? [] : connecting),
    ];
  }

  /** What time alone changes. @returns whether it changed anything */
  #advance(nowMs: number): boolean {
    let hasChanged = this.#outliers?.sweep(nowMs) ?? false;
    let nextMs = this.#outliers?.nextSweepMs ?? Infinity;
    for (const { breaker, drainingUntilMs } of this.#listed.values()) {
      if (breaker !== null) {
        hasChanged = breaker.advance(nowMs) || hasChanged;
        nextMs = Math.min(nextMs, breaker.advancesAtMs);
      }
      if (nowMs < drainingUntilMs) nextMs = Math.min(nextMs, drainingUntilMs);
      else if (drainingUntilMs > this.#advancedMs) hasChanged = true;
    }
    this.#advancedMs = nowMs;
    this.#nextChangeMs = nextMs;
    return hasChanged;
  }

  #preferred(usable: readonly ListedInstance[]): readonly ListedInstance[] {
    const { preferTags } = this.#route;
    if (preferTags === undefined) return usable;
    const preferred = usable.filter(({ instance }) => hasTags(instance, preferTags));
    return preferred.length > 0 ? preferred : usable;
  }

  #without(excluded: ReadonlySet<string>): readonly ListedInstance[] {
    const untried = this.#untried(this.#available, excluded);
    if (untried.length > 0) return untried;
    const reserve = this.#untried(this.#reserve, excluded);
    return reserve.length > 0 ? reserve : this.#available;
  }

  #untried(from: readonly ListedInstance[], excluded: ReadonlySet<string>): readonly ListedInstance[] {
    return from.filter(({ instance }) => !excluded.has(instance.id));
  }
}

function isSameAddress(a: Instance, b: Instance): boolean {
  return a.host === b.host && a.port === b.port && a.path === b.path;
}

/** What a user's balancer throws when it is told something is its bug, and an uncaught exception: the call goes on. */
function surface(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
