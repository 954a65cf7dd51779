// How a registry is written into the store. Instances stay until somebody takes them away; the lease that they are under is a
// key which goes with a lease of the store, so that silence shows as a lease that is missing, and a guard can still decide.
//
// <root>lease/<lease id>             { lease of the store, epoch, owner, times, keys of its instances }
// <root>instance/<service>/<address> { what the server said, epoch, lease id }
// <root>superseded/<lease id>        for a while: a later life took its addresses
// <root>generation                   a random text: revisions mean something within it

import { addressOf, type InstanceFacts, instanceId, type InstanceRecord } from '../../rpc/index.js';
import { KvError } from '../errors.js';

export interface LeaseRecord {
  readonly id: string;
  /** Of the store; the key of this record goes with it. */
  readonly storeLease: number;
  /** What the server asked for; what the store's lease has may be shorter. */
  readonly ttlMs: number;
  readonly storeTtlMs: number;
  readonly epoch: number;
  readonly owner: string | null;
  /** Of the wall clock, when it registered. */
  readonly registeredMs: number;
  /** Of its instances. */
  readonly keys: readonly string[];
}

/** What is written of an instance; its revision is that of its key. */
export interface StoredInstance extends InstanceFacts {
  readonly epoch: number;
  readonly leaseId: string;
  /** Of its lease, so that a lease that ran out can be granted again. */
  readonly owner: string | null;
  readonly ttlMs: number;
}

export type RegistryKey =
  | { readonly kind: 'lease' | 'superseded'; readonly leaseId: string }
  | { readonly kind: 'instance'; readonly service: string }
  | { readonly kind: 'generation' }
  | { readonly kind: 'other' };

export class RegistryKeys {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  get generation(): string {
    return `${this.root}generation`;
  }

  lease(id: string): string {
    return `${this.root}lease/${id}`;
  }

  superseded(id: string): string {
    return `${this.root}superseded/${id}`;
  }

  instance(facts: InstanceFacts): string {
    return `${this.root}instance/${facts.service}/${addressOf(facts)}`;
  }

  parse(key: string): RegistryKey {
    if (!key.startsWith(this.root)) return { kind: 'other' };
    const rest = key.slice(this.root.length);
    if (rest === 'generation') return { kind: 'generation' };
    const [kind, name] = [rest.slice(0, rest.indexOf('/')), rest.slice(rest.indexOf('/') + 1)];
    if (kind === 'lease' || kind === 'superseded') return { kind, leaseId: name };
    if (kind === 'instance') return { kind, service: name.slice(0, name.indexOf('/')) };
    return { kind: 'other' };
  }
}

export function encodeRecord(record: LeaseRecord | StoredInstance): string {
  return JSON.stringify(record);
}

/** @throws KvError KV_REFUSED: something else was written there */
export function decodeLease(text: string): LeaseRecord {
  const record = parsed(text) as Partial<LeaseRecord>;
  const { id, storeLease, ttlMs, storeTtlMs, epoch, keys } = record;
  const isRight =
    typeof id === 'string' &&
    [storeLease, ttlMs, storeTtlMs, epoch].every(Number.isSafeInteger) &&
    Array.isArray(keys) &&
    keys.every((key) => typeof key === 'string');
  if (!isRight) throw foreign('a lease');
  return record as LeaseRecord; // judged above
}

/** @throws KvError KV_REFUSED */
export function decodeInstance(text: string): StoredInstance {
  const record = parsed(text) as Partial<StoredInstance>;
  const { service, host, path, port, weight, epoch, leaseId, ttlMs, tags, resources } = record;
  const isRight =
    [service, host, path, leaseId].every((value) => typeof value === 'string') &&
    [port, weight, epoch, ttlMs].every((value) => typeof value === 'number') &&
    typeof tags === 'object' &&
    typeof resources === 'object';
  if (!isRight) throw foreign('an instance');
  return record as StoredInstance; // judged above
}

export function recordOf(stored: StoredInstance, revision: number): InstanceRecord {
  const { epoch, leaseId, owner: _owner, ttlMs: _ttlMs, ...facts } = stored;
  return { ...facts, id: instanceId(facts, epoch), epoch, leaseId, revision };
}

function parsed(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // told below
  }
  throw foreign('a record');
}

function foreign(what: string): KvError {
  return new KvError(
    'KV_REFUSED',
    `under the registry's keys is something that is not ${what} of a registry`,
  );
}
