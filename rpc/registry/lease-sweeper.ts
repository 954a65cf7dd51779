// Looks at the leases whose time is over: lets them expire as far as the guard permits, holds the others, and asks
// the machines of those that are held whether anybody is there.
// memory-store.ts calls `sweep` at an interval. Time and probes come in.

import type { ExpiryGuard } from './expiry-guard.js';
import type { Probe } from './probe.js';
import type { Lease } from './record.js';
import type { RegistryState } from './state.js';

/** What it looks at: the state of a registry, or a view of a replicated one. */
export type SweptState = Pick<
  RegistryState,
  'overdue' | 'hold' | 'lease' | 'recordsOf' | 'servicesOf' | 'count' | 'instanceCount' | 'postpone'
>;

export interface SweeperParts {
  readonly state: SweptState;
  readonly guard: ExpiryGuard;
  readonly probe: Probe | null;
  /** Carries an expiry out. */
  readonly expire: (leaseId: string) => void;
  readonly onHold: (lease: Lease, services: readonly string[]) => void;
}

export interface SweeperTimes {
  /** How often `sweep` is to be called. */
  readonly sweepMs: number;
  readonly heldMsMax: number;
  readonly probeIntervalMs: number;
}

const PROBES_AT_ONCE_MAX = 16;

export class LeaseSweeper {
  readonly #parts: SweeperParts;
  readonly #times: SweeperTimes;
  /** When each held lease was asked about last. */
  readonly #probedMs = new Map<string, number>();
  #probesRunning = 0;
  #sweptMs: number;

  constructor(parts: SweeperParts, times: SweeperTimes, nowMs: number) {
    this.#parts = parts;
    this.#times = times;
    this.#sweptMs = nowMs;
  }

  sweep(nowMs: number): void {
    const { state } = this.#parts;
    const { sweepMs, heldMsMax } = this.#times;
    const awayMs = nowMs - this.#sweptMs - sweepMs;
    this.#sweptMs = nowMs;
    // This process was stopped or starved: it could not hear heartbeats, so silence means nothing.
    if (awayMs > sweepMs * 2) state.postpone(awayMs);
    const held = new Set<string>();
    for (const lease of state.overdue(nowMs)) {
      const isOver = lease.isHeld ? nowMs - lease.expiresMs >= heldMsMax : this.#mayExpire(lease, nowMs);
      if (isOver) this.#parts.expire(lease.id);
      else held.add(lease.id);
    }
    for (const leaseId of this.#probedMs.keys()) if (!held.has(leaseId)) this.#probedMs.delete(leaseId);
    for (const leaseId of held) void this.#probe(leaseId, nowMs);
  }

  #mayExpire(lease: Lease, nowMs: number): boolean {
    const { state, guard, onHold } = this.#parts;
    const services = state.servicesOf(lease.id);
    const listed = new Map(services.map((name) => [name, state.count(name)] as const));
    if (guard.permits(listed, state.instanceCount, nowMs)) {
      guard.expired(services, nowMs);
      return true;
    }
    state.hold(lease.id);
    onHold(lease, services);
    return false;
  }

  /** A refusal by its own machine confirms that the instance is gone. */
  async #probe(leaseId: string, nowMs: number): Promise<void> {
    const { state, probe, expire } = this.#parts;
    const [record] = state.recordsOf(leaseId);
    const isDue =
      nowMs - (this.#probedMs.get(leaseId) ?? Number.NEGATIVE_INFINITY) >= this.#times.probeIntervalMs;
    if (probe === null || record === undefined || !isDue || this.#probesRunning >= PROBES_AT_ONCE_MAX) return;
    this.#probedMs.set(leaseId, nowMs);
    this.#probesRunning += 1;
    const verdict = await probe(record);
    this.#probesRunning -= 1;
    // It may have come back while it was asked.
    if (verdict === 'refused' && state.lease(leaseId)?.isHeld === true) expire(leaseId);
  }
}
