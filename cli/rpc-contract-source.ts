// Where the tools learn what a server serves: from .proto files, or from the server itself by reflection.

import {
  type Caller,
  type CallOptions,
  loadProto,
  type MethodContract,
  type ProtoPackage,
  reflect,
  RpcError,
} from '../rpc/index.js';
import { metadataOf } from './rpc-connection.js';
import { type TargetFlags, TIMEOUT_MS } from './rpc-target-flags.js';

/**
 * @param symbol what is wanted, where that is known: the server is asked for its file only
 * @param openCaller called only if the server must be asked
 * @throws RpcError RPC_PROTO_INVALID, or what asking the server failed with
 */
export async function loadContract(
  flags: TargetFlags,
  symbol: string | null,
  openCaller: () => Caller | Promise<Caller>,
  signal: AbortSignal,
): Promise<ProtoPackage> {
  const { proto, importPaths } = flags;
  if (proto.length > 0) return loadProto(proto, { importPaths });
  const caller = await openCaller();
  const services = symbol === null ? {} : { services: [symbol] };
  return askedOfServer(flags, signal, (call) => reflect(caller, { call, ...services }));
}

/** Asks the reflection service, with headers and deadline as the flags say. @throws RpcError */
export async function askedOfServer<T>(
  flags: TargetFlags,
  signal: AbortSignal,
  ask: (call: CallOptions) => Promise<T>,
): Promise<T> {
  try {
    return await ask({ timeoutMs: flags.timeoutMs ?? TIMEOUT_MS, metadata: metadataOf(flags), signal });
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== 'RPC_UNIMPLEMENTED') throw error;
    throw new RpcError('RPC_UNIMPLEMENTED', `${error.message}: name its .proto files with --proto`, {
      cause: error,
      executed: 'no',
    });
  }
}

/** `demo.Echo/Say`, `/demo.Echo/Say` or `demo.Echo.Say` in its two parts. */
export function splitMethod(text: string): { readonly service: string; readonly method: string } {
  const [, service = '', method = ''] = /^\/?(.*)[/.]([^/.]*)$/.exec(text) ?? [];
  return { service, method };
}

/** @throws RpcError RPC_PROTO_INVALID naming what there is */
export function findMethod(types: ProtoPackage, text: string): MethodContract {
  const { service, method } = splitMethod(text);
  const methods = Object.values(types.service(service).methods);
  const found = methods.find(({ name }) => name === method);
  if (found !== undefined) return found;
  const names = methods.map(({ name }) => name).join(', ');
  throw new RpcError('RPC_PROTO_INVALID', `${service} has no method ${method}: there are ${names}`);
}
