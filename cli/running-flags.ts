// The flags that every long-running command has: how it stops, what it logs, what it prints; and what must agree among the
// flags of TLS. The commands put them into their tables; serve-flags.ts, kv-serve-command.ts and their neighbours.

import { DRAIN_TIMEOUT_MS, LOG_LEVELS, type LogLevel } from '../reactor/index.js';
import { type Flag, readChoice, readDuration, readSwitch, UsageError } from './flags.js';

/** Where help lists them. */
export const RUNNING = 'Running it:';

/** @param what that it has time for, as in help */
export function drainTimeoutFlag(what: string): Flag<number> {
  return {
    flag: 'drain-timeout',
    value: 'TIME',
    group: RUNNING,
    summary: `time ${what} when stopping, such as 500ms or 10s`,
    read: readDuration,
    fallback: DRAIN_TIMEOUT_MS,
    fallbackText: '10s',
  };
}

export const LOG_LEVEL_FLAG: Flag<LogLevel> = {
  flag: 'log-level',
  value: 'LEVEL',
  group: RUNNING,
  summary: LOG_LEVELS.join(', '),
  choices: LOG_LEVELS,
  read: readChoice(LOG_LEVELS),
  fallback: 'info',
  fallbackText: 'info',
};

export const JSON_FLAG: Flag<boolean> = {
  flag: 'json',
  group: RUNNING,
  summary: 'standard output is one JSON object per line',
  read: readSwitch,
  fallback: false,
};

/** A certificate and its key come together. @throws UsageError */
export function checkKeyPair({ tlsCert, tlsKey }: { tlsCert: string | null; tlsKey: string | null }): void {
  if (tlsCert !== null && tlsKey === null) throw new UsageError('--tls-cert: needs --tls-key as well');
  if (tlsKey !== null && tlsCert === null) throw new UsageError('--tls-key: needs --tls-cert as well');
}

/** Of a server: who asks for certificates has one. @throws UsageError */
export function checkServerTls(flags: {
  tlsCert: string | null;
  tlsKey: string | null;
  tlsCa: string | null;
}): void {
  checkKeyPair(flags);
  if (flags.tlsCa !== null && flags.tlsCert === null)
    throw new UsageError('--tls-ca: needs --tls-cert and --tls-key');
}
