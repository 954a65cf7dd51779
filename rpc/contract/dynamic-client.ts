// A client made at run time from a .proto file: what a generated client class does, without generating.

import type { Caller, CallOptions, Messages } from '../call.js';
import type { MethodContract, ServiceContract } from '../contract.js';
import type { ProtoFile } from './proto-files.js';
import { type LoadOptions, loadProto } from './proto-package.js';

/**
 * By local method name. What comes back depends on the method's kind: a Promise of the answer, or a ResponseStream where
 * the server streams. Give `createClient` an interface of your own for exact types.
 */
// A method's types are in the .proto only: `unknown` here would make every call a cast.
// oxlint-disable-next-line typescript/no-explicit-any
export type DynamicClient = Readonly<Record<string, (input: any, options?: CallOptions) => any>>;

/**
 * @param service the full name of the service: `demo.Echo`
 * @throws RpcError RPC_PROTO_INVALID naming file and line, or the services there are
 */
// The caller's word for what the .proto says.
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters
export function createClient<Client extends object = DynamicClient>(
  protoFile: ProtoFile | readonly ProtoFile[],
  service: string,
  caller: Caller,
  options: LoadOptions = {},
): Client {
  return clientOf<Client>(loadProto(protoFile, options).service(service), caller);
}

/** The same for a contract that is there already, as from `loadDescriptors`. */
// The caller's word for what the .proto says.
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters
export function clientOf<Client extends object = DynamicClient>(
  contract: ServiceContract,
  caller: Caller,
): Client {
  const client: Record<string, unknown> = {};
  for (const method of Object.values(contract.methods)) client[method.localName] = callOf(method, caller);
  return client as Client; // its methods are those of the contract
}

function callOf(method: MethodContract, caller: Caller): (input: never, options?: CallOptions) => unknown {
  switch (method.kind) {
    case 'unary':
      return (request: unknown, options) => caller.unary(method, request, options);
    case 'server-stream':
      return (request: unknown, options) => caller.serverStream(method, request, options);
    case 'client-stream':
      return (requests: Messages<unknown>, options) => caller.clientStream(method, requests, options);
    case 'bidi-stream':
      return (requests: Messages<unknown>, options) => caller.bidiStream(method, requests, options);
    default:
      return method.kind satisfies never;
  }
}
