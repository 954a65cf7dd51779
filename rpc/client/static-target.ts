// Targets that name their instances: `host:port`, or a list of them. Until resolvers by scheme stand in their place.

import { RpcError } from '../errors.js';
import type { Instance, Resolver } from '../instance.js';

/** @throws RpcError RPC_OPTION_INVALID */
export function staticTarget(target: string): Resolver {
  const instances = target.split(',').map(instanceOf);
  return { start: (listener) => listener.onInstances(instances), refresh: () => {}, close: async () => {} };
}

function instanceOf(text: string): Instance {
  const colon = text.lastIndexOf(':');
  const port = Number(text.slice(colon + 1));
  if (colon < 1 || !(Number.isInteger(port) && port > 0 && port < 65_536))
    throw new RpcError('RPC_OPTION_INVALID', `target '${text}' should be HOST:PORT`);
  const host = text.slice(0, colon).replace(/^\[|\]$/g, '');
  return { id: text, host, port, weight: 1, version: '', group: '', tags: {}, resources: {} };
}
