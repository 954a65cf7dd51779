// Binds code to the methods of a service. Handler modules of an RpcServer return what this makes; the gRPC adapter serves
// the same.

import type { ServerCall, ServiceImplementation } from '../call.js';
import type { ServiceContract } from '../contract.js';
import { RpcError } from '../errors.js';

/**
 * @param handlers by local method name, an object literal or an instance of a class
 * @throws RpcError RPC_UNIMPLEMENTED naming the methods that have no handler
 */
export function implement<Handlers extends object>(
  contract: ServiceContract<Handlers>,
  handlers: NoInfer<Handlers>,
): ServiceImplementation {
  const bound: Record<string, (input: never, call: ServerCall) => unknown> = {};
  const missing: string[] = [];
  for (const { localName } of Object.values(contract.methods)) {
    const handler = (handlers as Record<string, unknown>)[localName];
    if (typeof handler === 'function') bound[localName] = handler.bind(handlers);
    else missing.push(localName);
  }
  if (missing.length > 0) {
    throw new RpcError('RPC_UNIMPLEMENTED', `${contract.fullName} has no handler for ${missing.join(', ')}`);
  }
  return { contract, handlers: bound };
}
