// The contract of the registry, from the .proto that the package carries.

import { loadProto } from '../contract/index.js';
import type { RegistryContract } from './wire.js';

let loaded: RegistryContract | null = null;

/** Read once per thread. */
export function registryContract(): RegistryContract {
  loaded ??= loadProto(new URL('../../../rpc/proto/registry.proto', import.meta.url)).service(
    'reactornet.registry.Registry',
  ) as RegistryContract; // wire.ts has the types of this very file; a test compares them
  return loaded;
}
