// Makes instances of what people write: `host:port`, or an object with more to say. Pure.
// target.ts and file-resolver.ts use it; the registry makes its instances itself.

import { RpcError } from '../errors.js';
import type { Instance } from '../instance.js';

export interface InstanceDescription {
  /** Default: `host:port` or the path. */
  id?: string;
  host?: string;
  port?: number;
  /** A Unix socket instead of host and port. */
  path?: string;
  /** Default 1. */
  weight?: number;
  version?: string;
  group?: string;
  tags?: Readonly<Record<string, string>>;
  resources?: Readonly<Record<string, number>>;
}

const WEIGHT_MAX = 1_000_000;
/** Instances one list may have: above it is a mistake. */
export const INSTANCES_MAX = 10_000;

/** @throws RpcError RPC_OPTION_INVALID */
export function instanceOf(description: InstanceDescription): Instance {
  const {
    host = '',
    port = 0,
    path,
    weight = 1,
    version = '',
    group = '',
    tags = {},
    resources = {},
  } = description;
  if ((path === undefined) === (host === ''))
    throw invalid('an instance has either a host and a port, or a path');
  if (path === undefined && !isPort(port))
    throw invalid(`port must be a whole number from 1 to 65535, not ${port}`);
  if (!(weight > 0 && weight <= WEIGHT_MAX))
    throw invalid(`weight must be a number above 0 and up to ${WEIGHT_MAX}, not ${weight}`);
  const id = description.id ?? path ?? hostAndPort(host, port);
  const where = path === undefined ? { host, port } : { host: '', port: 0, path };
  return { id, ...where, weight, version, group, tags, resources };
}

/** `host:port`, with brackets around an IPv6 address. */
export function hostAndPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * `host:port`, `[::1]:port`, either with `*weight` behind it.
 * @throws RpcError RPC_OPTION_INVALID saying what is wrong with `text`
 */
export function parseInstance(text: string): Instance {
  const [address = '', weight, ...more] = text.trim().split('*');
  if (more.length > 0) throw invalid(`'${text}' has more than one weight`);
  if (weight !== undefined && !/^\d+(\.\d+)?$/.test(weight))
    throw invalid(`'${weight}' in '${text}' is not a weight`);
  const { host, port } = parseHostAndPort(address);
  return instanceOf({ host, port, ...(weight === undefined ? {} : { weight: Number(weight) }) });
}

/** @throws RpcError RPC_OPTION_INVALID */
export function parseHostAndPort(text: string): { host: string; port: number } {
  const bracketed = /^\[([^\]]*)\]:(.*)$/.exec(text);
  if (bracketed !== null) {
    const [, host = '', port = ''] = bracketed;
    if (!/^[0-9a-f:.]*:[0-9a-f:.]*(%[\w.-]+)?$/i.test(host))
      throw invalid(`'${host}' in '${text}' is not an IPv6 address`);
    return { host, port: parsePort(port, text) };
  }
  const parts = text.split(':');
  if (parts.length > 2)
    throw invalid(`'${text}' must be host:port; an IPv6 address goes in brackets: [::1]:9000`);
  const [host = '', port] = parts;
  if (port === undefined) throw invalid(`'${text}' has no port: write ${host === '' ? 'host' : host}:PORT`);
  if (!/^[\w.-]+$/.test(host))
    throw invalid(host === '' ? `'${text}' has no host` : `'${host}' is not a host name`);
  return { host, port: parsePort(port, text) };
}

/**
 * Lists as they stand in files: an array, or an object with `instances`. Its items are texts as for `parseInstance`
 * or objects as `InstanceDescription`.
 * @throws RpcError RPC_OPTION_INVALID naming the item
 */
export function parseInstanceList(content: unknown): Instance[] {
  const list = isObject(content) ? content['instances'] : content;
  if (!Array.isArray(list)) throw invalid("there is no list of instances: expected '- host:port' lines");
  if (list.length > INSTANCES_MAX) throw invalid(`${list.length} instances are more than ${INSTANCES_MAX}`);
  const instances = list.map((item: unknown, index) => {
    try {
      return typeof item === 'string' ? parseInstance(item) : instanceOf(narrowed(item));
    } catch (error) {
      if (error instanceof RpcError) throw invalid(`instance ${index + 1}: ${error.message}`);
      throw error;
    }
  });
  refuseTwins(instances);
  return instances;
}

/** @throws RpcError RPC_OPTION_INVALID: two have the same id */
export function refuseTwins(instances: readonly Instance[]): void {
  const ids = new Set<string>();
  for (const { id } of instances) {
    if (ids.has(id)) throw invalid(`${id} is listed twice`);
    ids.add(id);
  }
}

/** Whether both lists say the same, in whatever order. */
export function sameInstances(one: readonly Instance[], other: readonly Instance[]): boolean {
  if (one.length !== other.length) return false;
  const known = new Map(one.map((instance) => [instance.id, canonical(instance)]));
  return other.every((instance) => known.get(instance.id) === canonical(instance));
}

export function invalid(message: string, cause?: unknown): RpcError {
  return new RpcError('RPC_OPTION_INVALID', message, {
    executed: 'no',
    ...(cause === undefined ? {} : { cause }),
  });
}

const KINDS: Readonly<Record<keyof InstanceDescription, string>> = {
  id: 'string',
  host: 'string',
  port: 'number',
  path: 'string',
  weight: 'number',
  version: 'string',
  group: 'string',
  tags: 'object',
  resources: 'object',
};

function narrowed(item: unknown): InstanceDescription {
  if (!isObject(item))
    throw invalid(`expected host:port or an object, not ${item === null ? 'nothing' : typeof item}`);
  for (const [name, value] of Object.entries(item)) {
    const kind = KINDS[name as keyof InstanceDescription] as string | undefined;
    if (kind === undefined) throw invalid(`'${name}' is none of ${Object.keys(KINDS).join(', ')}`);
    if (kind === 'object' ? !isObject(value) : typeof value !== kind)
      throw invalid(`${name} must be a ${kind}`);
  }
  checkValues(item['tags'], 'tags', 'string');
  checkValues(item['resources'], 'resources', 'number');
  return item; // every field was looked at
}

function checkValues(record: unknown, name: string, kind: 'string' | 'number'): void {
  if (!isObject(record)) return; // left out
  for (const [key, value] of Object.entries(record)) {
    if (typeof value !== kind) throw invalid(`${name}.${key} must be a ${kind}`);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function canonical(instance: Instance): string {
  const { id, host, port, path, weight, version, group, tags, resources } = instance;
  return JSON.stringify([id, host, port, path, weight, version, group, sorted(tags), sorted(resources)]);
}

function sorted(record: Readonly<Record<string, unknown>>): [string, unknown][] {
  return Object.entries(record).toSorted(([one], [other]) => (one < other ? -1 : 1));
}

function parsePort(port: string, text: string): number {
  if (!/^\d{1,5}$/.test(port) || !isPort(Number(port)))
    throw invalid(`'${port}' in '${text}' is not a port (1 to 65535)`);
  return Number(port);
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}
