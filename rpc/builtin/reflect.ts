// Asks a server what it serves and loads the answer, for tools that have no .proto: `rpc list`, `describe`, `call`.
// Works over any Caller: our own wire, or gRPC through the adapter. reflection-service.ts is the other side.

import type { CallOptions, Caller } from '../call.js';
import { type ContractOptions, loadDescriptors, type ProtoPackage } from '../contract/index.js';
import { decodeFile } from '../contract/descriptor.js';
import type { MethodContract } from '../contract.js';
import { codeOfStatus, RpcError } from '../errors.js';
import { InboundQueue } from '../session/inbound-queue.js';
import { STATUS } from '../status.js';
import { REFLECTION_VERSIONS, reflectionContract, type ReflectionVersion } from './builtin-contracts.js';
import type { ReflectionAnswer, ReflectionRequest, ReflectionResponse } from './reflection-messages.js';

export interface ReflectOptions extends ContractOptions {
  /** Full names of the services wanted. Default: all there are. */
  services?: readonly string[];
  /** Metadata, deadline and signal of the one call that is made. */
  call?: CallOptions;
}

/** A server that goes on naming imports is not believed. */
const FILES_MAX = 10_000;

/**
 * The full names of the services of a server.
 * @throws RpcError RPC_UNIMPLEMENTED: it has no reflection
 */
export function listServices(caller: Caller, call: CallOptions = {}): Promise<string[]> {
  return withReflection(caller, call, namesOf);
}

/**
 * Everything that is needed to call the services of a server.
 * @throws RpcError RPC_UNIMPLEMENTED: it has no reflection; RPC_NOT_FOUND: no such service; RPC_PROTO_INVALID
 */
export async function reflect(caller: Caller, options: ReflectOptions = {}): Promise<ProtoPackage> {
  const { services, call = {}, ...contractOptions } = options;
  const files = await withReflection(caller, call, async (ask) => {
    const known = new Map<string, Uint8Array>();
    const wanted: string[] = [];
    const add = (answer: ReflectionAnswer): void => {
      for (const bytes of answer.fileDescriptorResponse?.fileDescriptorProto ?? []) {
        const { name, dependency = [] } = decodeFile(bytes);
        if (known.has(name)) continue;
        known.set(name, bytes);
        wanted.push(...dependency);
      }
      if (known.size > FILES_MAX)
        throw new RpcError(
          'RPC_RESOURCE_EXHAUSTED',
          `the server describes itself by more than ${FILES_MAX} files`,
        );
    };
    for (const service of services ?? (await namesOf(ask)))
      add(checked(await ask({ fileContainingSymbol: service })));
    for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
      if (known.has(name)) continue;
      const answer = await ask({ fileByFilename: name });
      // Servers may keep well-known files to themselves: loadDescriptors does without those.
      if (answer.errorResponse?.errorCode !== STATUS.NOT_FOUND) add(checked(answer));
    }
    return [...known.values()];
  });
  return loadDescriptors(files, contractOptions);
}

type Ask = (request: ReflectionRequest) => Promise<ReflectionAnswer>;

async function namesOf(ask: Ask): Promise<string[]> {
  const answer = checked(await ask({ listServices: '*' }));
  return (answer.listServicesResponse?.service ?? []).map(({ name }) => name);
}

/** @throws RpcError of the status that the server gave */
function checked(answer: ReflectionAnswer): ReflectionAnswer {
  if (answer.errorResponse === undefined) return answer;
  const { errorCode, errorMessage } = answer.errorResponse;
  throw new RpcError(codeOfStatus(errorCode), errorMessage, { executed: 'no' });
}

/** Tries the names of the service in turn. */
async function withReflection<T>(
  caller: Caller,
  call: CallOptions,
  work: (ask: Ask) => Promise<T>,
): Promise<T> {
  let missing: unknown = null;
  for (const version of REFLECTION_VERSIONS) {
    try {
      return await inOneCall(caller, version, call, work);
    } catch (error) {
      if (!(error instanceof RpcError) || error.status !== 'UNIMPLEMENTED') throw error;
      missing = error;
    }
  }
  throw new RpcError('RPC_UNIMPLEMENTED', 'the server has no reflection service', {
    cause: missing,
    executed: 'no',
  });
}

async function inOneCall<T>(
  caller: Caller,
  version: ReflectionVersion,
  call: CallOptions,
  work: (ask: Ask) => Promise<T>,
): Promise<T> {
  const method = reflectionContract(version).methods['serverReflectionInfo'] as MethodContract<
    ReflectionRequest,
    ReflectionResponse
  >; // reflection-messages.ts has the types of this very file
  const questions = new InboundQueue<ReflectionRequest>(
    () => {},
    () => {},
  );
  const answers = caller.bidiStream(method, questions, call)[Symbol.asyncIterator]();
  const ask: Ask = async (request) => {
    questions.push(request, 0);
    const { value, done } = await answers.next();
    if (done === true) throw new RpcError('RPC_INTERNAL', 'the reflection service ended without an answer');
    return value;
  };
  try {
    return await work(ask);
  } finally {
    questions.finish();
    await answers.return?.();
  }
}
