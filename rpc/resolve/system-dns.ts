// The real DNS lookup: addresses as the system resolves names (hosts file included), SRV records from DNS itself.

import { lookup, resolveSrv } from 'node:dns/promises';
import type { DnsLookup } from './dns-resolver.js';

/** DNS knows the name and has no such record: an answer, though an empty one. */
const NO_RECORD: ReadonlySet<unknown> = new Set(['ENODATA', 'EAI_NODATA']);

export const systemDns: DnsLookup = {
  async addresses(name) {
    const found = await orNothing(lookup(name, { all: true }));
    return found.map(({ address }) => address);
  },
  async services(name) {
    const found = await orNothing(resolveSrv(name));
    return found.map(({ name: host, port, priority, weight }) => ({ host, port, priority, weight }));
  },
};

async function orNothing<T>(answer: Promise<T[]>): Promise<T[]> {
  try {
    return await answer;
  } catch (error) {
    if (NO_RECORD.has((error as NodeJS.ErrnoException).code)) return [];
    throw error;
  }
}
