// Complete options of `reactor-net serve`: what follows from its flags together, and the way back to flags
// for a process that is started with the same options. Pure.

import { type Flag, UsageError } from './flags.js';
import type { ListenActivated, ListenAddress, ListenDescriptor, ListenPath } from './listen-address.js';
import { EVERYWHERE, LOOPBACK, SERVE_FLAGS, type ServeFlags } from './serve-flags.js';
import { checkServerTls } from './running-flags.js';

/** Complete: null means that this listener is off. */
export interface ServeOptions extends Omit<ServeFlags, 'tcp' | 'http' | 'udp' | 'unix' | 'rpc' | 'metrics'> {
  tcp: ListenAddress | ListenDescriptor | null;
  http: ListenAddress | ListenDescriptor | null;
  udp: ListenAddress | ListenDescriptor | null;
  unix: ListenPath | ListenDescriptor | null;
  rpc: ListenAddress | ListenDescriptor | null;
  metrics: ListenAddress | ListenDescriptor | null;
}

/** Descriptors of the sockets that systemd opened, by name. */
export type ActivatedSockets = ReadonlyMap<string, number>;

/**
 * Turns the flags into complete options: default listeners where none was named, sockets of systemd looked up,
 * and what must agree does.
 * @throws UsageError
 */
export function completeServeOptions(flags: ServeFlags, activated: ActivatedSockets): ServeOptions {
  const listeners = [flags.tcp, flags.http, flags.udp, flags.unix, flags.rpc];
  const alone = listeners.every((listen) => listen === null || listen === 'off');
  const options: ServeOptions = {
    ...flags,
    tcp: chosen('tcp', flags.tcp, alone ? { host: EVERYWHERE, port: 9000 } : null, activated),
    http: chosen('http', flags.http, alone ? { host: EVERYWHERE, port: 8080 } : null, activated),
    udp: chosen('udp', flags.udp, null, activated),
    unix: chosen('unix', flags.unix, null, activated),
    rpc: chosen('rpc', flags.rpc, null, activated),
    metrics: chosen('metrics', flags.metrics, alone ? { host: LOOPBACK, port: 9100 } : null, activated),
  };
  checkTogether(options);
  return options;
}

/** Handed to supervised processes another way, or none of their business. */
const OF_THE_MASTER: ReadonlySet<keyof ServeFlags> = new Set([
  'tcp',
  'http',
  'udp',
  'unix',
  'rpc',
  'metrics',
  'processes',
  'processIndex',
  'statsIntervalMs',
  'json',
]);

/** The flags that give a supervised process these options; its sockets are added by the caller. */
export function processFlags(options: ServeOptions, index: number): string[] {
  const flags = [`--process-index=${index}`];
  for (const [key, { flag }] of Object.entries<Flag<unknown>>(SERVE_FLAGS)) {
    const value = options[key as keyof ServeFlags]; // the table has exactly these keys
    if (OF_THE_MASTER.has(key as keyof ServeFlags) || value === null) continue;
    if (typeof value !== 'object') flags.push(`--${flag}=${value}`);
  }
  return flags;
}

function chosen<T extends ListenAddress | ListenPath>(
  flag: string,
  listen: T | ListenDescriptor | ListenActivated | 'off' | null,
  fallback: T | null,
  activated: ActivatedSockets,
): T | ListenDescriptor | null {
  if (listen === 'off') return null;
  if (listen === null || !('activated' in listen)) return listen ?? fallback;
  const fd = activated.get(listen.activated);
  if (fd !== undefined) return { fd };
  const names = [...activated.keys()].join(', ') || 'none at all';
  throw new UsageError(
    `--${flag}: systemd opened no socket named "${listen.activated}" for us; it opened ${names}`,
  );
}

function checkTogether(options: ServeOptions): void {
  const { tcp, http, udp, unix, rpc } = options;
  if (tcp === null && http === null && udp === null && unix === null && rpc === null) {
    throw new UsageError(
      '--tcp, --http, --udp, --unix and --rpc are all off: name at least one address to serve on',
    );
  }
  checkServerTls(options);
  if (options.user !== null && process.getuid?.() !== 0) {
    throw new UsageError('--user: only root can become another user; leave it out');
  }
}
