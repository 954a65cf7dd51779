// What the registry keeps: instances under leases, and the changes that watchers are told of.
// state.ts decides with these; service.ts turns them into messages; snapshot-format.ts writes them down.

/** What a server process says of one service it serves. */
export interface InstanceFacts {
  readonly service: string;
  readonly host: string;
  readonly port: number;
  /** A Unix socket instead of host and port; else empty. */
  readonly path: string;
  readonly weight: number;
  readonly version: string;
  readonly group: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly resources: Readonly<Record<string, number>>;
}

/** A registered instance. Replaced, never changed. */
export interface InstanceRecord extends InstanceFacts {
  /** Address and epoch: a later life of the same address has another. */
  readonly id: string;
  /** The boot of its process; larger in a later life. */
  readonly epoch: number;
  readonly leaseId: string;
  /** The revision that brought it or changed it last. */
  readonly revision: number;
}

export interface Lease {
  readonly id: string;
  readonly ttlMs: number;
  readonly epoch: number;
  /** Whose token it was granted to; null without tokens. */
  readonly owner: string | null;
  /** By the store's clock. */
  readonly expiresMs: number;
  /** Of the wall clock, for people. */
  readonly lastHeartbeatMs: number;
  /** Open KeepAlive streams: one, or two for a moment while a client reconnects. */
  readonly sessions: number;
  /** It has run out and the guard does not let it go. */
  readonly isHeld: boolean;
}

/** What of a lease outlives the process. */
export type StoredLease = Pick<Lease, 'id' | 'ttlMs' | 'epoch' | 'owner' | 'lastHeartbeatMs'>;

/** A checked request to register. */
export interface Registration {
  /** The lease to refresh; null for a new one. */
  readonly leaseId: string | null;
  readonly epoch: number;
  readonly ttlMs: number;
  readonly owner: string | null;
  readonly instances: readonly InstanceFacts[];
}

export type ChangeKind = 'put' | 'deregistered' | 'expired';

export interface Change {
  readonly kind: ChangeKind;
  readonly record: InstanceRecord;
}

/** What one decision changed, under one revision. */
export interface ChangeBatch {
  readonly revision: number;
  readonly changes: readonly Change[];
}

/** `host:port`, or `unix:/path`: what a later life of an instance has in common with the earlier ones. */
export function addressOf({ host, port, path }: Pick<InstanceFacts, 'host' | 'port' | 'path'>): string {
  if (path !== '') return `unix:${path}`;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export function instanceId(facts: InstanceFacts, epoch: number): string {
  return `${addressOf(facts)}@${epoch.toString(36)}`;
}

/** Whether two records tell clients the same. */
export function sameFacts(a: InstanceFacts, b: InstanceFacts): boolean {
  return (
    a.service === b.service &&
    addressOf(a) === addressOf(b) &&
    a.weight === b.weight &&
    a.version === b.version &&
    a.group === b.group &&
    sameEntries(a.tags, b.tags) &&
    sameEntries(a.resources, b.resources)
  );
}

function sameEntries(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean {
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key])
  );
}
