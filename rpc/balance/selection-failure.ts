// Says why no instance could be chosen: none is known, all are ejected, or all are still being connected to.

import { RpcError, type RpcErrorCode } from '../errors.js';
import type { ListedInstance } from './listed-instance.js';

export function selectionFailure(
  service: string,
  listed: ReadonlyMap<string, ListedInstance>,
  nowMs: number,
): RpcError {
  const counts = new Map<string, number>();
  for (const instance of listed.values()) {
    const status = instance.status(nowMs);
    counts.set(status, (counts.get(status) ?? 0) + 1);
  }
  const unrouted = counts.get('unrouted') ?? 0;
  const unconnected = (counts.get('failed') ?? 0) + (counts.get('connecting') ?? 0);
  const told = [...counts].map(([status, count]) => `${count} ${status}`).join(', ');
  if (listed.size === 0) return failure('RPC_NO_INSTANCE', `no instance of ${service} is known`);
  if (unrouted === listed.size) {
    return failure('RPC_NO_INSTANCE', `no instance of ${service} matches the route (${listed.size} known)`);
  }
  if (unconnected > 0) {
    return failure('RPC_ALL_CONNECTING', `no instance of ${service} is connected: ${told}`);
  }
  return failure('RPC_ALL_EJECTED', `no instance of ${service} may be called: ${told}`);
}

function failure(code: RpcErrorCode, message: string): RpcError {
  return new RpcError(code, message, { executed: 'no' });
}
