// The messages of registry.proto as both sides see them, and the way between them and what the registry keeps.
// service.ts and the client side use it. 64-bit numbers are bigint in messages, enums their numbers.

import type { MethodContract, ServiceContract } from '../contract.js';
import type { Instance } from '../instance.js';
import { invalid } from './limits.js';
import type { Change, ChangeKind, InstanceFacts, InstanceRecord } from './record.js';

export const LEASE_STATE = { alive: 1, unknown: 2, superseded: 3 } as const;
export const WATCH_KIND = { snapshot: 1, changes: 2, progress: 3 } as const;
export const CHANGE_KIND: Readonly<Record<ChangeKind, number>> = { put: 1, deregistered: 2, expired: 3 };

/** As it is read: every field is there. Writers leave out what has its default. */
export interface InstanceMessage {
  readonly service: string;
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly weight: number;
  readonly version: string;
  readonly group: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly resources: Readonly<Record<string, number>>;
  readonly lastHeartbeatMs: bigint;
  readonly epoch: bigint;
  readonly isHeld: boolean;
}

export interface RegisterRequest {
  readonly leaseId: string;
  readonly epoch: bigint;
  readonly ttlMs: number;
  readonly instances: readonly Partial<InstanceMessage>[];
}
export interface RegisterResponse {
  readonly leaseId: string;
  readonly ttlMs: number;
  readonly heartbeatMs: number;
  readonly revision: bigint;
  readonly generation: string;
}
export interface KeepAliveRequest {
  readonly leaseId: string;
}
export interface KeepAliveResponse {
  readonly leaseId: string;
  readonly state: number;
  readonly ttlMs: number;
  readonly revision: bigint;
}
export interface DeregisterRequest {
  readonly leaseId: string;
  readonly services: readonly string[];
}
export interface DeregisterResponse {
  readonly revision: bigint;
  readonly removed: number;
}
export interface DiscoverRequest {
  readonly service: string;
}
export interface DiscoverResponse {
  readonly revision: bigint;
  readonly generation: string;
  readonly instances: readonly InstanceMessage[];
  readonly settlingMs: number;
}
export interface WatchRequest {
  readonly service: string;
  readonly revision: bigint;
  readonly generation: string;
  readonly progressMs: number;
}
export interface WatchResponse {
  readonly kind: number;
  readonly revision: bigint;
  readonly generation: string;
  readonly instances: readonly InstanceMessage[];
  readonly more: boolean;
  readonly changes: readonly ChangeMessage[];
  readonly settlingMs: number;
}
export interface ChangeMessage {
  readonly kind: number;
  readonly instance: InstanceMessage;
}
export type ServicesRequest = Readonly<Record<string, never>>;
export interface ServicesResponse {
  readonly revision: bigint;
  readonly generation: string;
  readonly services: readonly { readonly name: string; readonly instances: number; readonly held: number }[];
}
export interface ConfirmExpiryRequest {
  readonly service: string;
}
export interface ConfirmExpiryResponse {
  readonly revision: bigint;
  readonly expired: number;
}

/** The methods of `reactornet.registry.Registry` with the types of their messages. */
export interface RegistryContract extends ServiceContract {
  readonly methods: Readonly<Record<string, MethodContract>> & {
    readonly register: MethodContract<RegisterRequest, RegisterResponse>;
    readonly keepAlive: MethodContract<KeepAliveRequest, KeepAliveResponse>;
    readonly deregister: MethodContract<DeregisterRequest, DeregisterResponse>;
    readonly discover: MethodContract<DiscoverRequest, DiscoverResponse>;
    readonly watch: MethodContract<WatchRequest, WatchResponse>;
    readonly services: MethodContract<ServicesRequest, ServicesResponse>;
    readonly confirmExpiry: MethodContract<ConfirmExpiryRequest, ConfirmExpiryResponse>;
  };
}

/** @param peerHost where the request came from, for instances that name no host */
export function factsOf(message: Partial<InstanceMessage>, peerHost: string | undefined): InstanceFacts {
  const { service = '', port = 0, path = '', weight = 0, version = '', group = '' } = message;
  const host = path !== '' ? '' : message.host || plainHost(peerHost ?? '');
  const { tags = {}, resources = {} } = message;
  return { service, host, port, path, weight: weight === 0 ? 1 : weight, version, group, tags, resources };
}

/** An IPv4 address as itself, also where a socket for both families saw it. */
function plainHost(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
}

export function instanceMessage(
  record: InstanceRecord & { readonly lastHeartbeatMs?: number; readonly isHeld?: boolean },
): InstanceMessage {
  const { service, id, host, port, path, weight, version, group, tags, resources } = record;
  return {
    service,
    id,
    host,
    port,
    path,
    weight,
    version,
    group,
    tags,
    resources,
    lastHeartbeatMs: BigInt(Math.round(record.lastHeartbeatMs ?? 0)),
    epoch: BigInt(record.epoch),
    isHeld: record.isHeld ?? false,
  };
}

export function changeMessage({ kind, record }: Change): ChangeMessage {
  return { kind: CHANGE_KIND[kind], instance: instanceMessage(record) };
}

/** What the rest of a client knows of an instance. */
export function instanceOf(message: InstanceMessage): Instance {
  const { id, host, port, path, weight, version, group, tags, resources } = message;
  const instance = { id, host, port, weight: weight > 0 ? weight : 1, version, group, tags, resources };
  return path === '' ? instance : { ...instance, path };
}

/** @throws RpcError RPC_INVALID_ARGUMENT: not a whole number from `lowest` that JavaScript can count with */
export function countOf(name: string, value: bigint, lowest: number): number {
  const count = Number(value);
  if (Number.isSafeInteger(count) && count >= lowest) return count;
  throw invalid(`${name} ${value} must be a whole number from ${lowest} to 2^53`);
}
