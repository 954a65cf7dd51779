// `reactor-net kv watch`: a line for each event, until it is stopped. What is not remembered any more ends it with exit code 1.

import { Clerk, type WatchTarget } from '../kv/index.js';
import { say } from './kv-client.js';
import type { KvWatchOptions } from './kv-client-command.js';
import { bytesOfText, clerkOptionsOf, pairFacts, reportKvFailure, shownBytes } from './kv-session.js';
import type { Io } from './main.js';

export async function kvWatch(options: KvWatchOptions, io: Io): Promise<number> {
  const { hex, json, keysOnly, from, timeoutMs } = options;
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  const clerk = new Clerk(clerkOptionsOf(options));
  try {
    // Whether anybody can be reached at all is known first; afterwards it goes on through all failures.
    await clerk.range('all', { limit: 1, keysOnly: true, level: 'stale', timeoutMs });
    const watch = await clerk.watch(targetOf(options), { from, keysOnly, signal: stop.signal }).ready();
    say(io, json, { event: 'ready', pid: process.pid, listen: {}, revision: watch.revision }, null);
    for await (const { kind, revision: at, pair } of watch) {
      const value = kind === 'put' && !keysOnly ? `\t${shownBytes(pair.value, hex)}` : '';
      const facts = kind === 'put' ? pairFacts(pair, hex, !keysOnly) : pairFacts(pair, hex, false);
      say(
        io,
        json,
        { event: kind, revision: at, ...facts },
        `${at}\t${kind}\t${shownBytes(pair.key, hex)}${value}`,
      );
    }
    return 0;
  } catch (error) {
    if (stop.signal.aborted) return 0;
    return reportKvFailure(error, io, json);
  } finally {
    process.removeListener('SIGINT', interrupt);
    process.removeListener('SIGTERM', interrupt);
    await clerk.close();
  }
}

function targetOf({ key, prefix, children, hex }: KvWatchOptions): WatchTarget {
  const bytes = bytesOfText(key, hex);
  if (prefix) return bytes.length === 0 ? 'all' : { prefix: bytes };
  return children ? { children: bytes } : { key: bytes };
}
