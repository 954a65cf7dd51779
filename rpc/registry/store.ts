// What a registry asks of the place where it keeps everything: leases, instances, revisions, watches.
// service.ts stands on this alone. memory-store.ts is the one there is; asynchronous, so that a replicated one fits.

import type { Change, InstanceRecord, Lease, Registration } from './record.js';

/** A point from which a watch goes on. Revisions of another generation mean nothing. */
export interface WatchPosition {
  readonly revision: number;
  readonly generation: string;
}

export interface ListedInstance extends InstanceRecord {
  readonly lastHeartbeatMs: number;
  /** Its lease has run out and the guard does not let it go. */
  readonly isHeld: boolean;
}

export interface ServiceList extends WatchPosition {
  readonly instances: readonly ListedInstance[];
  /** Until this store has been up for a whole lease: before, an instance that is missing may be alive. */
  readonly settlingMs: number;
}

export interface ServiceSummary {
  readonly name: string;
  readonly instances: number;
  readonly held: number;
}

export type WatchUpdate =
  | ({ readonly kind: 'snapshot' } & ServiceList)
  | ({
      readonly kind: 'changes';
      readonly changes: readonly Change[];
      readonly settlingMs: number;
    } & WatchPosition)
  | ({ readonly kind: 'progress'; readonly settlingMs: number } & WatchPosition);

export interface WatchOptions {
  /** Null for the whole list first. */
  readonly from: WatchPosition | null;
  /** An update comes at least this often. */
  readonly progressMs: number;
  /** Ends the watch. */
  readonly signal: AbortSignal;
}

export type HeartbeatAnswer =
  | { readonly state: 'alive'; readonly lease: Lease; readonly revision: number }
  | { readonly state: 'unknown' | 'superseded' };

export interface StoreFigures {
  readonly services: number;
  readonly instances: number;
  readonly leases: number;
  readonly held: number;
  readonly watchers: number;
  readonly revision: number;
  readonly settlingMs: number;
  readonly registrations: number;
  readonly heartbeats: number;
  readonly deregistered: number;
  readonly expired: number;
  /** Leases that the guard did not let expire. */
  readonly holds: number;
  /** Watches that were told the whole list because they had fallen behind. */
  readonly resyncs: number;
}

export interface RegistryStore {
  readonly generation: string;
  /** @throws RpcError RPC_SUPERSEDED, RPC_REGISTRY_FULL, RPC_PERMISSION_DENIED */
  register(registration: Registration): Promise<{ lease: Lease; revision: number }>;
  /** @throws RpcError RPC_PERMISSION_DENIED: another owner's lease */
  heartbeat(leaseId: string, owner: string | null): Promise<HeartbeatAnswer>;
  /** Names of the services under a lease; none when there is no such lease. */
  servicesOf(leaseId: string): Promise<readonly string[]>;
  openSession(leaseId: string): Promise<void>;
  closeSession(leaseId: string): Promise<void>;
  /** @param services empty for all of the lease. @throws RpcError RPC_PERMISSION_DENIED */
  deregister(
    leaseId: string,
    services: readonly string[],
    owner: string | null,
  ): Promise<{ revision: number; removed: number }>;
  list(service: string): Promise<ServiceList>;
  services(): Promise<WatchPosition & { readonly services: readonly ServiceSummary[] }>;
  /** Ends when its signal aborts or the store closes. @throws RpcError RPC_REGISTRY_FULL */
  watch(service: string, options: WatchOptions): AsyncIterable<WatchUpdate>;
  /** Lets what is held of `service` expire; asynchronous as all of it. */
  confirmExpiry(service: string): Promise<{ revision: number; expired: number }>;
  figures(): StoreFigures;
  close(): Promise<void>;
}
