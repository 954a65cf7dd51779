// The contracts of the services that come with the package, from the .proto files it carries.
// Each file has the name that every gRPC tool knows it by, so that reflection shows what tools expect.

import { fileURLToPath } from 'node:url';
import { loadProto } from '../contract/index.js';
import type { ServiceContract } from '../contract.js';

const ROOT = fileURLToPath(new URL('../../../rpc/proto/', import.meta.url));
const loaded = new Map<string, ServiceContract>();

function contractOf(file: string, service: string): ServiceContract {
  let contract = loaded.get(service);
  if (contract === undefined) {
    contract = loadProto(ROOT + file, { importPaths: [ROOT] }).service(service);
    loaded.set(service, contract);
  }
  return contract;
}

/** `grpc.health.v1.Health` */
export function healthContract(): ServiceContract {
  return contractOf('grpc/health/v1/health.proto', 'grpc.health.v1.Health');
}

export const REFLECTION_VERSIONS = ['v1', 'v1alpha'] as const;
export type ReflectionVersion = (typeof REFLECTION_VERSIONS)[number];

/** `grpc.reflection.v1.ServerReflection` and its older name. */
export function reflectionContract(version: ReflectionVersion): ServiceContract {
  return contractOf(
    `grpc/reflection/${version}/reflection.proto`,
    `grpc.reflection.${version}.ServerReflection`,
  );
}
