// What rpc/index.ts shows of this folder.
export { CircuitBreaker, type CircuitBreakerOptions, type CircuitBreakerState } from './circuit-breaker.js';
export { isInstanceFailure } from './instance-failure.js';
export { OutlierDetector, type OutlierMember, type OutlierOptions } from './outlier-detector.js';
