// A call may say which cluster it is meant for, in its metadata: a member of another one, to whom an address has come down,
// refuses it before anything is looked at. kv-service.ts puts it in front of all its calls; calls that say nothing pass, as
// those of older clients do.

import type { Metadata, ServerCall } from '../../rpc/index.js';
import { KvError } from '../errors.js';
import type { KvService as KvHandlers } from '../proto/kv.js';
import { rpcErrorOf } from './failures.js';

/** Metadata key: the id of the cluster that is meant, in decimal digits. */
export const CLUSTER_METADATA = 'kv-cluster';

type Handler = (input: never, call: ServerCall) => unknown;

/** The same handlers, behind the check; where the member has no cluster id ('') nothing is checked. */
export function onlyForCluster(clusterId: string, handlers: KvHandlers): KvHandlers {
  if (clusterId === '') return handlers;
  const checked = Object.entries(handlers as unknown as Record<string, Handler>).map(([name, handler]) => [
    name,
    (input: never, call: ServerCall) => {
      refuseForeign(clusterId, call.metadata);
      return handler(input, call);
    },
  ]);
  return Object.fromEntries(checked) as KvHandlers; // each is of the type of the one behind it
}

/** @throws RpcError that carries KV_CLUSTER_FOREIGN; without a leader, which is nothing to a client of another cluster */
function refuseForeign(clusterId: string, metadata: Metadata): void {
  const meant = metadata.text(CLUSTER_METADATA);
  if (meant === undefined || meant === clusterId) return;
  const text = `this member belongs to cluster ${clusterId}, not to ${meant}`;
  throw rpcErrorOf(new KvError('KV_CLUSTER_FOREIGN', text), { id: 0, address: '' });
}
