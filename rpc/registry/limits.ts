// Every bound of a registry, and the checks of what is asked of it against them.
// service.ts checks a request before the store sees it; state.ts holds the totals. Pure.

import { RpcError } from '../errors.js';
import { addressOf, type InstanceFacts } from './record.js';

export interface RegistryLimits {
  /** Services listed at a time. Default 10,000. */
  servicesMax?: number;
  /** Instances of one service. Default 5,000. */
  instancesPerServiceMax?: number;
  /** Instances of all services together. Default 100,000. */
  instancesMax?: number;
  /** Services under one lease. Default 256. */
  servicesPerLeaseMax?: number;
  /** Watches open at a time. Default 20,000. */
  watchersMax?: number;
  /** Bytes of one instance's version, group, tags and resources together, as UTF-8. Default 4096. */
  metadataBytesMax?: number;
  /** Tags of one instance, and resources of one. Default 64 each. */
  entriesMax?: number;
}

export const REGISTRY_LIMITS: Required<RegistryLimits> = {
  servicesMax: 10_000,
  instancesPerServiceMax: 5_000,
  instancesMax: 100_000,
  servicesPerLeaseMax: 256,
  watchersMax: 20_000,
  metadataBytesMax: 4096,
  entriesMax: 64,
};

/** A lease shorter than this would end between two heartbeats of a busy process. */
export const TTL_MS_MIN = 1000;
export const TTL_MS_MAX = 600_000;
/** Heartbeats per lease: 5 s for 30 s. */
export const HEARTBEATS_PER_TTL = 6;

const SERVICE = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}$/;
/** Characters that would end a line of a log or a cell of a page. */
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/;
const HOST_LENGTH_MAX = 255;
const UNIX_PATH_BYTES_MAX = 107;

/** @throws RpcError RPC_INVALID_ARGUMENT */
export function checkServiceName(name: string): void {
  if (SERVICE.test(name)) return;
  throw invalid(
    `service '${shown(name)}' must be 1 to 255 letters, digits, '_', '.' and '-', such as demo.Greeter`,
  );
}

/** @throws RpcError RPC_INVALID_ARGUMENT for what can never be right, RPC_REGISTRY_FULL above a limit */
export function checkInstances(instances: readonly InstanceFacts[], limits: Required<RegistryLimits>): void {
  if (instances.length === 0) throw invalid('name at least one service to register');
  const { servicesPerLeaseMax } = limits;
  if (instances.length > servicesPerLeaseMax) {
    throw full(`${instances.length} services under one lease, above ${servicesPerLeaseMax}`);
  }
  const seen = new Set<string>();
  for (const facts of instances) {
    checkInstance(facts, limits);
    const key = `${facts.service} ${addressOf(facts)}`;
    if (seen.has(key)) throw invalid(`${facts.service} at ${addressOf(facts)} is named twice`);
    seen.add(key);
  }
}

function checkInstance(facts: InstanceFacts, limits: Required<RegistryLimits>): void {
  const { service, host, port, path, weight, tags, resources } = facts;
  checkServiceName(service);
  if (path === '') {
    if (host === '' || host.length > HOST_LENGTH_MAX || CONTROL.test(host) || /\s/.test(host))
      throw invalid(`${service}: host '${shown(host)}' must be a name or an address`);
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw invalid(`${service}: port ${port} must be 1 to 65535`);
  } else if (!path.startsWith('/') || CONTROL.test(path) || Buffer.byteLength(path) > UNIX_PATH_BYTES_MAX) {
    throw invalid(
      `${service}: path '${shown(path)}' must be absolute, of at most ${UNIX_PATH_BYTES_MAX} bytes`,
    );
  }
  if (!(weight > 0 && Number.isFinite(weight)))
    throw invalid(`${service}: weight ${weight} must be a finite number above 0`);
  for (const [kind, entries] of [
    ['tags', tags],
    ['resources', resources],
  ] as const) {
    const count = Object.keys(entries).length;
    if (count > limits.entriesMax) throw full(`${service}: ${count} ${kind}, above ${limits.entriesMax}`);
  }
  const odd = Object.entries(resources).find(([, value]) => !Number.isFinite(value));
  if (odd !== undefined) throw invalid(`${service}: resource '${shown(odd[0])}' must be a finite number`);
  const bytes = metadataBytes(facts);
  if (bytes > limits.metadataBytesMax)
    throw full(`${service}: metadata of ${bytes} bytes, above ${limits.metadataBytesMax}`);
}

/** What an instance takes beside its address: version, group, tags, and 8 bytes and a name per resource. */
export function metadataBytes({ version, group, tags, resources }: InstanceFacts): number {
  let bytes = Buffer.byteLength(version) + Buffer.byteLength(group);
  for (const [key, value] of Object.entries(tags)) bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  for (const key of Object.keys(resources)) bytes += Buffer.byteLength(key) + 8;
  return bytes;
}

export function full(message: string): RpcError {
  return new RpcError('RPC_REGISTRY_FULL', message, { executed: 'no', retryPushbackMs: -1 });
}

export function invalid(message: string): RpcError {
  return new RpcError('RPC_INVALID_ARGUMENT', message, { executed: 'no' });
}

/** What a stranger sent, short enough for a log. */
function shown(text: string): string {
  return text.slice(0, 64).replaceAll(new RegExp(CONTROL, 'g'), '?');
}
