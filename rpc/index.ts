// The door of the RPC layer: re-exports only.
export * from './call.js';
export * from './contract.js';
export * from './contract/index.js';
export * from './errors.js';
export * from './instance.js';
export * from './metadata.js';
export * from './middleware.js';
export { STATUS, type StatusName, type StatusNumber, statusName } from './status.js';
export { type HandlerOf, implement } from './server/implement.js';
export { ConnectionPool } from './pool/connection-pool.js';
export { type AcquireOptions, HostPool, type WaitOptions } from './pool/host-pool.js';
export type { PoolEvent, PoolOptions } from './pool/pool-options.js';
export type { HostPoolState, HostPoolStats, HostPoolTotals } from './pool/pool-stats.js';
export { loopPoolTime, type PoolTime, systemPoolTime } from './pool/pool-time.js';
export type { Acquirer, Dial, PoolableConnection, PoolListener } from './pool/poolable.js';
export * from './balance/index.js';
export * from './resilience/index.js';
