// The registry's figures for Prometheus. web.ts serves `render()`; the values are asked for at scrape time.

import { Counter, Gauge, Registry } from 'prom-client';
import type { StoreFigures } from './store.js';

const PREFIX = 'reactor_net_registry_';

export interface RegistryFigures extends StoreFigures {
  readonly snapshots: number;
  readonly snapshotFailures: number;
}

type Plain = Readonly<Partial<Record<keyof RegistryFigures, readonly [name: string, help: string]>>>;

const GAUGES: Plain = {
  services: ['services', 'Services that are listed.'],
  instances: ['instances', 'Instances that are listed.'],
  leases: ['leases', 'Leases that are granted.'],
  watchers: ['watches', 'Watches that are open.'],
  held: ['held_instances', 'Instances whose expiry is held back.'],
  revision: ['revision', 'Revision of the last change.'],
};

const COUNTERS: Plain = {
  registrations: ['registrations_total', 'Registrations that were accepted, refreshing ones included.'],
  heartbeats: ['heartbeats_total', 'Heartbeats of living leases.'],
  deregistered: ['deregistered_total', 'Instances that left by themselves.'],
  expired: ['expired_total', 'Instances whose lease ran out.'],
  holds: ['holds_total', 'Leases whose expiry was held back.'],
  resyncs: ['watch_resyncs_total', 'Watches that had fallen behind and were told the whole list.'],
  snapshots: ['snapshots_total', 'Snapshots written.'],
  snapshotFailures: ['snapshot_failures_total', 'Snapshots that could not be written.'],
};

export class RegistryMetrics {
  readonly #registry = new Registry();
  readonly #refusals: Counter<'code'>;

  constructor(figures: () => RegistryFigures) {
    const registers = [this.#registry];
    for (const [key, [name, help]] of entriesOf(GAUGES)) {
      const gauge: Gauge = new Gauge({
        name: PREFIX + name,
        help,
        registers,
        collect: () => gauge.set(figures()[key]),
      });
    }
    for (const [key, [name, help]] of entriesOf(COUNTERS)) {
      const counter: Counter = new Counter({
        name: PREFIX + name,
        help,
        registers,
        collect: () => {
          counter.reset();
          counter.inc(figures()[key]);
        },
      });
    }
    const name = `${PREFIX}refusals_total`;
    this.#refusals = new Counter({
      name,
      help: 'Calls that failed, by code.',
      labelNames: ['code'],
      registers,
    });
  }

  refused(code: string): void {
    this.#refusals.inc({ code });
  }

  /** The Prometheus text format. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }
}

function entriesOf(plain: Plain): (readonly [keyof RegistryFigures, readonly [string, string]])[] {
  return Object.entries(plain) as (readonly [keyof RegistryFigures, readonly [string, string]])[]; // keys of Plain
}
