// Makes the resolver that a target names: `host:port`, `dns:name:port`, `file:path`, `unix:/path`, …
// client/ calls it with the user's target; further schemes (`registry:`, a user's own) come as options, so that
// there is no global table. Pure.

import type { Instance, Resolver } from '../instance.js';
import { type PoolTime, systemPoolTime } from '../pool/pool-time.js';
import { type DnsLookup, DnsResolver, type DnsResolverOptions } from './dns-resolver.js';
import { type FileAccess, FileResolver, type FileResolverOptions } from './file-resolver.js';
import { instanceOf, invalid, parseHostAndPort, parseInstance } from './instance-list.js';
import { StaticResolver } from './static-resolver.js';
import { systemDns } from './system-dns.js';
import { systemFile } from './system-file.js';

/** What a scheme may use. */
export interface ResolverContext {
  /** The whole target, for messages. */
  readonly target: string;
  readonly time: PoolTime;
  readonly random: () => number;
}

/** @param rest the target behind `scheme:`. @throws RpcError RPC_OPTION_INVALID */
export type ResolverScheme = (rest: string, context: ResolverContext) => Resolver;

export interface ResolverForOptions {
  /** More schemes, by name without the colon; they take precedence over the built-in ones. */
  schemes?: Readonly<Record<string, ResolverScheme>>;
  /** Default: performance.now and setTimeout. */
  time?: PoolTime;
  /** Default Math.random. */
  random?: () => number;
  dns?: DnsResolverOptions;
  /** Default: the system's. */
  dnsLookup?: DnsLookup;
  file?: FileResolverOptions;
  /** Default: the system's. */
  fileAccess?: FileAccess;
}

const SCHEME = /^([a-z][a-z0-9+.-]*):(.*)$/is;

/**
 * | target | instances |
 * |---|---|
 * | `host:port`, `host:port,[::1]:port*3`, `static:…` | these, with weights behind `*` |
 * | `dns:name:port` | every address of the name |
 * | `dns:_service._tcp.name` | its SRV records |
 * | `file:path` | the list in a YAML or JSON file |
 * | `unix:/path` | one Unix socket |
 * @throws RpcError RPC_OPTION_INVALID saying what is wrong with the target
 */
export function resolverFor(target: string, options: ResolverForOptions = {}): Resolver {
  const { time = systemPoolTime, random = Math.random } = options;
  const schemes: Readonly<Record<string, ResolverScheme>> = { ...builtIn(options), ...options.schemes };
  const [, name = '', rest = ''] = SCHEME.exec(target) ?? [];
  const key = name.toLowerCase();
  try {
    const scheme = Object.hasOwn(schemes, key) ? schemes[key] : undefined;
    if (scheme !== undefined) return scheme(rest, { target, time, random });
    return new StaticResolver(parseList(target));
  } catch (error) {
    if (!(error instanceof Error) || (error as { code?: unknown }).code !== 'RPC_OPTION_INVALID') throw error;
    const known = Object.keys(schemes).toSorted().join(', ');
    const hint = name === '' || Object.hasOwn(schemes, key) ? '' : ` (schemes: ${known})`;
    throw invalid(`target '${target}': ${error.message}${hint}`, error);
  }
}

function builtIn(options: ResolverForOptions): Record<string, ResolverScheme> {
  const { dns, dnsLookup = systemDns, file, fileAccess = systemFile } = options;
  return {
    static: (rest) => new StaticResolver(parseList(rest)),
    unix: (rest) => new StaticResolver([unixInstance(rest)]),
    dns: (rest, { time, random }) => new DnsResolver(parseDnsName(rest), dnsLookup, time, random, dns),
    file: (rest, { time }) => {
      if (rest === '') throw invalid('write file:PATH');
      return new FileResolver(rest, fileAccess, time, file);
    },
  };
}

function parseList(text: string): Instance[] {
  const items = text.split(',').map((item) => item.trim());
  if (items.includes('')) throw invalid('expected host:port, or several separated by commas');
  return items.map(parseInstance);
}

/** `unix:/path` as it stands; `unix:///path` is how gRPC writes it. */
function unixInstance(rest: string): Instance {
  const path = rest.startsWith('///') ? rest.slice(2) : rest;
  if (path === '') throw invalid('write unix:/PATH');
  return instanceOf({ path });
}

function parseDnsName(rest: string): { name: string; port: number | null } {
  const text = rest.startsWith('///') ? rest.slice(3) : rest; // as gRPC writes it
  if (text === '') throw invalid('write dns:NAME:PORT, or dns:_SERVICE._tcp.NAME for SRV records');
  if (!text.startsWith('_')) {
    const { host, port } = parseHostAndPort(text);
    return { name: host, port };
  }
  if (!/^[\w.-]+$/.test(text))
    throw invalid(`'${text}' is not the name of SRV records, which have the ports`);
  return { name: text, port: null };
}
