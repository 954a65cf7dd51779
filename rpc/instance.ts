// One running copy of a service, as a registry or a list names it, and who finds out about them.
// registry/ and resolve/ make instances; client/ connects to them; balance/ chooses between them.

import type { RpcError } from './errors.js';

export interface Instance {
  /** Tells it from every other, and from its own earlier lives: `host:port` or what the registry gave it. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** A Unix socket instead of host and port. */
  readonly path?: string;
  /** Share of the calls it should get beside the others; above 0. Default 1. */
  readonly weight: number;
  readonly version: string;
  readonly group: string;
  readonly tags: Readonly<Record<string, string>>;
  /** What it has or has free: `cores`, `gpus`, `slots`… A balancer of the user's may go by it. */
  readonly resources: Readonly<Record<string, number>>;
}

export interface ResolverListener {
  /** The whole list, whenever it changes; also empty. */
  onInstances(instances: readonly Instance[]): void;
  /** The list could not be learned; the last one stays good. */
  onError(error: RpcError): void;
}

/** Finds the instances of one service and goes on telling of changes. A user's own class may be one. */
export interface Resolver {
  /** Once. Calls the listener from then on, the first time as soon as something is known. */
  start(listener: ResolverListener): void;
  /** A connection failed: look again, but not more often than the resolver thinks right. */
  refresh(): void;
  /** No call of the listener comes after this. */
  close(): Promise<void>;
}
