// The flags that all commands of a client of the key-value store share: where the members are, how to reach them, how keys
// and values are written. kv-client-command.ts declares the commands with them; kv-session.ts acts on them.

import type { ArgsContext } from './command-spec.js';
import { type FlagTable, readCount, readSeconds, readSwitch, readText, UsageError } from './flags.js';
import { refuseUnreadable } from './readable-file.js';
import { checkKeyPair } from './running-flags.js';

export interface KvTargetFlags {
  endpoints: readonly string[] | null;
  clusterId: number | null;
  timeoutMs: number;
  tokenFile: string | null;
  tls: boolean;
  tlsCa: string | null;
  tlsCert: string | null;
  tlsKey: string | null;
  tlsServerName: string | null;
  json: boolean;
}

const WHERE = 'The cluster:';
const SECURITY = 'Who is who:';
const TIMEOUT_MS = 10_000;

export const KV_TARGET_FLAGS: FlagTable<KvTargetFlags> = {
  endpoints: {
    flag: 'endpoints',
    value: 'H:P,…',
    group: WHERE,
    summary: 'RPC addresses of members; some are enough',
    read: readEndpoints,
    fallback: null,
    fallbackText: 'must be given',
  },
  clusterId: {
    flag: 'cluster-id',
    value: 'N',
    group: WHERE,
    summary: 'the only cluster that is asked, as kv status tells it',
    read: readCount(1, Number.MAX_SAFE_INTEGER),
    fallback: null,
    fallbackText: 'that of the first member that answers',
  },
  timeoutMs: {
    flag: 'timeout',
    value: 'TIME',
    group: WHERE,
    summary: 'how long to try, in seconds or such as 500ms',
    read: readSeconds,
    fallback: TIMEOUT_MS,
    fallbackText: '10s',
  },
  json: {
    flag: 'json',
    group: WHERE,
    summary: 'standard output is one JSON object per line',
    read: readSwitch,
    fallback: false,
  },
  tokenFile: {
    flag: 'token-file',
    value: 'FILE',
    group: SECURITY,
    summary: 'holds the token to show',
    read: readText,
    fallback: null,
  },
  tls: {
    flag: 'tls',
    group: SECURITY,
    summary: 'speak TLS, and trust the authorities that Node trusts; any of the following speaks TLS too',
    read: readSwitch,
    fallback: false,
  },
  tlsCa: {
    flag: 'tls-ca',
    value: 'FILE',
    group: SECURITY,
    summary: 'authorities to trust (PEM)',
    read: readText,
    fallback: null,
  },
  tlsCert: {
    flag: 'tls-cert',
    value: 'FILE',
    group: SECURITY,
    summary: 'our certificate chain (PEM)',
    read: readText,
    fallback: null,
  },
  tlsKey: {
    flag: 'tls-key',
    value: 'FILE',
    group: SECURITY,
    summary: 'its private key (PEM)',
    read: readText,
    fallback: null,
  },
  tlsServerName: {
    flag: 'tls-server-name',
    value: 'NAME',
    group: SECURITY,
    summary: "name to find in the members' certificates",
    read: readText,
    fallback: null,
    fallbackText: 'the host of the endpoint',
  },
};

const ENDPOINT = /^(?:\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):(\d{1,5})$/;

export function readEndpoints(text: string): readonly string[] {
  return text.split(',').map((part) => {
    const endpoint = part.trim();
    const port = Number(ENDPOINT.exec(endpoint)?.[1] ?? 0);
    if (port >= 1 && port <= 65_535) return endpoint;
    throw new UsageError(`"${endpoint}" should be HOST:PORT, such as 127.0.0.1:7501`);
  });
}

/** What must agree among them. @throws UsageError */
export function checkKvTarget(flags: KvTargetFlags, context: ArgsContext): void {
  const { endpoints } = flags;
  if (endpoints === null)
    throw new UsageError('--endpoints: name members, such as --endpoints 127.0.0.1:7501,127.0.0.1:7502');
  checkKeyPair(flags);
  for (const key of ['tokenFile', 'tlsCa', 'tlsCert', 'tlsKey'] as const)
    refuseUnreadable(KV_TARGET_FLAGS[key].flag, flags[key], context);
}

export function isTls({ tls, tlsCa, tlsCert, tlsServerName }: KvTargetFlags): boolean {
  return tls || tlsCa !== null || tlsCert !== null || tlsServerName !== null;
}
