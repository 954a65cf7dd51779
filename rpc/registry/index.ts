// What the rest of the layer, and users, take from this folder: re-exports only.

export { type Clock, systemClock } from './clock.js';
export { type ConnectRegistryOptions, connectRegistry, registryScheme } from './connect-registry.js';
export type { RegistryEndpoint } from './endpoints.js';
export type { ExpiryGuardOptions } from './expiry-guard.js';
export type { RegistryLimits } from './limits.js';
export { MemoryStore, type MemoryStoreOptions, type MemoryStoreParts } from './memory-store.js';
export type { Probe, ProbeVerdict } from './probe.js';
export type {
  Change as RegistryChange,
  ChangeBatch as RegistryChangeBatch,
  ChangeKind as RegistryChangeKind,
  InstanceFacts,
  InstanceRecord,
  Lease,
  Registration as CheckedRegistration,
} from './record.js';
export type { RegistrationState } from './registration-session.js';
export {
  type ProcessToRegister,
  type Registration,
  RegistryClient,
  type RegistryClientOptions,
  type RegistryClientParts,
  type ServiceToRegister,
} from './registry-client.js';
export { registryContract } from './registry-contract.js';
export {
  REGISTRY_PORT,
  type RegistryAddresses,
  RegistryServer,
  type RegistryServerOptions,
  type RegistryStoreParts,
} from './registry-server.js';
export {
  type InstanceFilter,
  RegistryResolver,
  type RegistryResolverOptions,
  type ResolverStatus,
} from './resolver.js';
export { RegistryAccess } from './access.js';
export { RegistryService, type RegistryServiceOptions, type RegistryServiceParts } from './service.js';
export type {
  HeartbeatAnswer,
  ListedInstance,
  RegistryStore,
  ServiceList,
  ServiceSummary,
  StoreFigures,
  WatchOptions,
  WatchPosition,
  WatchUpdate,
} from './store.js';
// For stores of other layers.
export { ExpiryGuard } from './expiry-guard.js';
export { LeaseSweeper, type SweptState } from './lease-sweeper.js';
export { full as registryFull, REGISTRY_LIMITS } from './limits.js';
export { addressOf, instanceId, sameFacts } from './record.js';
export { EPOCH_TRAILER } from './state.js';
export { StoreWatches } from './store-watches.js';
export { WatchHub } from './watch-hub.js';
export { TokenRules } from './token-rules.js';
export type { RegistryContract } from './wire.js';
