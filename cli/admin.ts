// Opens the endpoint of --metrics, where there is one, and names the flag in what goes wrong.
// serve.ts and serve-processes.ts say what it shows.

import { AdminServer, type AdminSources } from '../reactor/index.js';
import { UsageError } from './flags.js';
import type { ListenAddress, ListenDescriptor } from './listen-address.js';
import type { ListenMap } from './ready-line.js';
import { named } from './serve-app.js';

export interface BoundAdmin {
  /** Null without --metrics. */
  readonly admin: AdminServer | null;
  readonly listen: ListenMap;
}

/** @throws Error that names the flag */
export async function listenAdmin(
  target: ListenAddress | ListenDescriptor | null,
  sources: AdminSources,
): Promise<BoundAdmin> {
  if (target === null) return { admin: null, listen: {} };
  if ('fd' in target) throw new UsageError('--metrics: should be HOST:PORT or off, not a descriptor');
  const admin = new AdminServer(sources, target);
  return { admin, listen: { metrics: await named('--metrics', admin.listen()) } };
}
