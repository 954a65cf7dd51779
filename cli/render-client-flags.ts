// The flags that all commands of a client of a render cluster share: where its main node is, and how to reach it.
// render-submit-command.ts and its neighbours declare their commands with them; render-session.ts acts on them.

import type { ArgsContext } from './command-spec.js';
import { type FlagTable, readSeconds, readText, UsageError } from './flags.js';
import { KV_TARGET_FLAGS, type KvTargetFlags, readEndpoints } from './kv-client-flags.js';
import { refuseUnreadable } from './readable-file.js';
import { checkKeyPair } from './running-flags.js';

export interface RenderTargetFlags
  extends Pick<
    KvTargetFlags,
    'tokenFile' | 'tls' | 'tlsCa' | 'tlsCert' | 'tlsKey' | 'tlsServerName' | 'json'
  > {
  main: string;
  timeoutMs: number;
  token: string | null;
}

const WHERE = 'The cluster:';
export const MAIN_DEFAULT = '127.0.0.1:7600';

export const RENDER_TARGET_FLAGS: FlagTable<RenderTargetFlags> = {
  main: {
    flag: 'main',
    value: 'H:P',
    group: WHERE,
    summary: 'RPC address of the main node; several with commas where another may take over',
    read: (text) => readEndpoints(text).join(','),
    fallback: MAIN_DEFAULT,
    fallbackText: MAIN_DEFAULT,
  },
  timeoutMs: {
    flag: 'timeout',
    value: 'TIME',
    group: WHERE,
    summary: 'how long to try to reach it, in seconds or such as 500ms',
    read: readSeconds,
    fallback: 10_000,
    fallbackText: '10s',
  },
  json: { ...KV_TARGET_FLAGS.json, group: WHERE },
  token: {
    flag: 'token',
    value: 'TOKEN',
    group: KV_TARGET_FLAGS.tokenFile.group,
    summary: 'the token to show; others can see it in the list of processes, --token-file hides it',
    read: readText,
    fallback: null,
  },
  tokenFile: KV_TARGET_FLAGS.tokenFile,
  tls: KV_TARGET_FLAGS.tls,
  tlsCa: KV_TARGET_FLAGS.tlsCa,
  tlsCert: KV_TARGET_FLAGS.tlsCert,
  tlsKey: KV_TARGET_FLAGS.tlsKey,
  tlsServerName: {
    ...KV_TARGET_FLAGS.tlsServerName,
    summary: "name to find in the main node's certificate",
    fallbackText: 'the host of --main',
  },
};

/** What must agree among them. @throws UsageError */
export function checkRenderTarget(flags: RenderTargetFlags, context: ArgsContext): void {
  const { token, tokenFile } = flags;
  if (token !== null && tokenFile !== null) throw new UsageError('--token: leave it out beside --token-file');
  checkKeyPair(flags);
  for (const key of ['tokenFile', 'tlsCa', 'tlsCert', 'tlsKey'] as const)
    refuseUnreadable(RENDER_TARGET_FLAGS[key].flag, flags[key], context);
}

const ID_MAX = 2 ** 53 - 1;

/** A job as it is named on the command line. @throws UsageError */
export function readJobId(text: string): bigint {
  const id = /^\d{1,16}$/.test(text) ? Number(text) : 0;
  if (id >= 1 && id <= ID_MAX) return BigInt(id);
  throw new UsageError(`"${text}" should be the number of a job, as "render jobs" shows it`);
}
