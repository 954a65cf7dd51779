// The door of the RPC layer: re-exports only.
export * from './call.js';
export * from './contract.js';
export * from './contract/index.js';
export * from './errors.js';
export { forEachMessage } from './for-each-message.js';
export * from './instance.js';
export { MessageFeed } from './message-feed.js';
export * from './metadata.js';
export * from './middleware.js';
export { STATUS, type StatusName, type StatusNumber, statusName } from './status.js';
export { implement } from './server/implement.js';
export { ConnectionPool } from './pool/connection-pool.js';
export { type AcquireOptions, HostPool, type WaitOptions } from './pool/host-pool.js';
export type { PoolEvent, PoolOptions } from './pool/pool-options.js';
export type { HostPoolState, HostPoolStats, HostPoolTotals } from './pool/pool-stats.js';
export { loopPoolTime, type PoolTime, systemPoolTime } from './pool/pool-time.js';
export type { Acquirer, Dial, PoolableConnection, PoolListener } from './pool/poolable.js';
export * from './balance/index.js';
export * from './resilience/index.js';
export { RpcClient, type RpcClientFigures, type RpcClientOptions } from './client/rpc-client.js';
export { detached, enclosingCall, type EnclosingCall } from './call-scope.js';
export type { MethodLimits, RpcApplication, RpcModule } from './server/application.js';
export { type CallFigures, LATENCY_BUCKETS_S } from './server/call-counters.js';
export { offload, type OffloadOptions } from './server/offload.js';
export type { DrainReport, DrainState, DrainTimes } from './server/drain.js';
export { type Deregister, RpcServer, type RpcServerOptions } from './server/rpc-server.js';
export type { ThreadFigures, TokenEntry } from './server/thread-server.js';
export type { SessionOptions } from './session/session-options.js';
export {
  type DnsLookup,
  type DnsName,
  DnsResolver,
  type DnsResolverOptions,
  type ServiceRecord,
} from './resolve/dns-resolver.js';
export { type FileAccess, FileResolver, type FileResolverOptions } from './resolve/file-resolver.js';
export {
  type InstanceDescription,
  instanceOf,
  parseInstance,
  sameInstances,
} from './resolve/instance-list.js';
export { KeepLastKnown, type KeepLastKnownOptions, type KeptList } from './resolve/keep-last-known.js';
export {
  type ResolverContext,
  resolverFor,
  type ResolverForOptions,
  type ResolverScheme,
} from './resolve/resolver-for.js';
export { StaticResolver } from './resolve/static-resolver.js';
export * from './registry/index.js';
export * from './builtin/index.js';
export { tracing, type TracingOptions } from './tracing.js';
export {
  type ClientFigures,
  type MeteredClient,
  type MeteredServer,
  registerClientMetrics,
  registerServerMetrics,
  type ServerFigures,
} from './rpc-metrics.js';
