// `grpc.reflection.v1.ServerReflection` and its older name: tells tools without a .proto what is served here.
// descriptor-index.ts finds the files; reflect.ts is the other side.

import type { ServiceImplementation } from '../call.js';
import type { ServiceContract } from '../contract.js';
import { implement } from '../server/implement.js';
import { STATUS } from '../status.js';
import { REFLECTION_VERSIONS, reflectionContract } from './builtin-contracts.js';
import { DescriptorIndex } from './descriptor-index.js';
import type { ReflectionAnswer, ReflectionRequest, ReflectionResponse } from './reflection-messages.js';

/**
 * Reflection, under both of its names, of `services` and of itself:
 * `return [...services, ...reflectionServices(services)]`.
 */
export function reflectionServices(
  services: readonly (ServiceImplementation | ServiceContract)[],
): ServiceImplementation[] {
  const own = REFLECTION_VERSIONS.map((version) => reflectionContract(version));
  const contracts = [...services.map((each) => ('contract' in each ? each.contract : each)), ...own];
  const reflection = new Reflection(contracts);
  return own.map((contract) =>
    implement(contract, {
      async *serverReflectionInfo(requests: AsyncIterable<ReflectionRequest>) {
        for await (const request of requests) yield reflection.respond(request);
      },
    }),
  );
}

class Reflection {
  readonly #contracts: readonly ServiceContract[];
  /** Made when somebody asks: most servers are never asked. */
  #index: DescriptorIndex | null = null;

  constructor(contracts: readonly ServiceContract[]) {
    this.#contracts = contracts;
  }

  respond(request: ReflectionRequest): ReflectionResponse {
    return { validHost: request.host ?? '', originalRequest: request, ...this.#answer(request) };
  }

  #answer(request: ReflectionRequest): ReflectionAnswer {
    const { fileByFilename, fileContainingSymbol, fileContainingExtension, allExtensionNumbersOfType } =
      request;
    if (request.listServices !== undefined) {
      const names = [...new Set(this.#contracts.map(({ fullName }) => fullName))].toSorted();
      return { listServicesResponse: { service: names.map((name) => ({ name })) } };
    }
    this.#index ??= new DescriptorIndex(this.#contracts.flatMap((contract) => contract.fileDescriptors()));
    const index = this.#index;
    if (fileByFilename !== undefined)
      return files(index.withImports(fileByFilename), `file ${fileByFilename}`);
    if (fileContainingSymbol !== undefined) {
      const name = index.fileOfSymbol(fileContainingSymbol);
      return files(index.withImports(name), `symbol ${fileContainingSymbol}`);
    }
    if (fileContainingExtension !== undefined) {
      const { containingType, extensionNumber } = fileContainingExtension;
      const name = index.fileOfExtension(containingType, extensionNumber);
      return files(index.withImports(name), `extension ${extensionNumber} of ${containingType}`);
    }
    if (allExtensionNumbersOfType !== undefined) {
      const extensionNumber = index.extensionNumbers(allExtensionNumbersOfType);
      if (extensionNumber === undefined) return notFound(`message ${allExtensionNumbersOfType}`);
      return { allExtensionNumbersResponse: { baseTypeName: allExtensionNumbersOfType, extensionNumber } };
    }
    return {
      errorResponse: { errorCode: STATUS.INVALID_ARGUMENT, errorMessage: 'the request asks for nothing' },
    };
  }
}

function files(found: readonly Uint8Array[] | undefined, what: string): ReflectionAnswer {
  return found === undefined ? notFound(what) : { fileDescriptorResponse: { fileDescriptorProto: found } };
}

function notFound(what: string): ReflectionAnswer {
  return { errorResponse: { errorCode: STATUS.NOT_FOUND, errorMessage: `no ${what} here` } };
}
