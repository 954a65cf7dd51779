// How the pool's messages call an instance. Pure.

import type { Instance } from '../instance.js';

/** `host:port` or the path, behind the id where that says more. */
export function instanceName({ id, host, port, path }: Instance): string {
  const where = path ?? `${host}:${port}`;
  return id === where ? where : `${id} (${where})`;
}
