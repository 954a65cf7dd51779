// One listed instance with everything the client knows of it: the candidate that balancers see, and what keeps it from
// being one. instance-selector.ts alone changes it.

import type { Instance } from '../instance.js';
import type { CircuitBreaker, CircuitBreakerState } from '../resilience/circuit-breaker.js';
import type { OutlierMember } from '../resilience/outlier-detector.js';
import type { Candidate } from './balancer.js';

/**
 * idle: no connection, none is being made; ready: at least one; connecting: none yet; failed: none, and the pool waits
 * before it tries again.
 */
export type ConnectionState = 'idle' | 'connecting' | 'ready' | 'failed';

/** The first of these that holds keeps calls away; 'available' is none of them. */
export type InstanceStatus =
  | 'unrouted'
  | 'draining'
  | 'ejected'
  | 'breaker-open'
  | 'probing'
  | 'failed'
  | 'connecting'
  | 'available';

/** For the status page. */
export interface InstanceSnapshot {
  readonly id: string;
  readonly address: string;
  readonly version: string;
  readonly group: string;
  readonly weight: number;
  readonly status: InstanceStatus;
  readonly connection: ConnectionState;
  readonly breaker: CircuitBreakerState | null;
  readonly callsInFlight: number;
  /** Attempts that ended and failures among them, since it was listed. */
  readonly calls: number;
  readonly failures: number;
  /** Of the last attempt that ended; null before the first. */
  readonly lastLatencyMs: number | null;
  /** null unless ejected. */
  readonly ejectedForMs: number | null;
}

export class ListedInstance implements Candidate {
  instance: Instance;
  isRouted = true;
  isListed = true;
  callsInFlight = 0;
  connection: ConnectionState = 'idle';
  /** It said it will stop: no new calls before this time. */
  drainingUntilMs: number = -Infinity;
  readonly outlier: OutlierMember | null;
  readonly breaker: CircuitBreaker | null;
  calls = 0;
  failures = 0;
  lastLatencyMs: number = -1;

  constructor(instance: Instance, outlier: OutlierMember | null, breaker: CircuitBreaker | null) {
    this.instance = instance;
    this.outlier = outlier;
    this.breaker = breaker;
  }

  get isConnected(): boolean {
    return this.connection === 'ready';
  }

  get isEjected(): boolean {
    return this.outlier !== null && this.outlier.isEjected;
  }

  get isBlocked(): boolean {
    return this.breaker !== null && !this.breaker.letsThrough;
  }

  status(nowMs: number): InstanceStatus {
    if (!this.isRouted) return 'unrouted';
    if (nowMs < this.drainingUntilMs) return 'draining';
    if (this.isEjected) return 'ejected';
    if (this.isBlocked) return this.breaker?.state === 'half-open' ? 'probing' : 'breaker-open';
    return this.connection === 'failed' || this.connection === 'connecting' ? this.connection : 'available';
  }

  snapshot(nowMs: number): InstanceSnapshot {
    const { id, version, group, weight, host, port, path } = this.instance;
    return {
      id,
      address: path === undefined ? `${host.includes(':') ? `[${host}]` : host}:${port}` : `unix:${path}`,
      version,
      group,
      weight,
      status: this.status(nowMs),
      connection: this.connection,
      breaker: this.breaker?.state ?? null,
      callsInFlight: this.callsInFlight,
      calls: this.calls,
      failures: this.failures,
      lastLatencyMs: this.lastLatencyMs < 0 ? null : this.lastLatencyMs,
      ejectedForMs: this.isEjected ? Math.max(0, this.outlier!.ejectedUntilMs - nowMs) : null,
    };
  }
}
