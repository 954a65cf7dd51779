// What rpc/index.ts shows of this folder.
export type { Balancer, BalancerFactory, CallOutcome, Candidate, PickRequest } from './balancer.js';
export {
  type BalancerName,
  type BalancerOptions,
  BALANCERS,
  createBalancer,
  loadBalancer,
} from './create-balancer.js';
export type { InstanceRoute } from './instance-route.js';
export { InstanceSelector, type SelectorOptions, type SelectorSnapshot } from './instance-selector.js';
export type { ConnectionState, InstanceSnapshot, InstanceStatus } from './listed-instance.js';
