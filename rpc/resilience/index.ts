// What rpc/index.ts shows of this folder.
export { CallHedges, type HedgeDecision } from './call-hedges.js';
export {
  CallRetries,
  type FailedAttempt,
  type RetriedCall,
  type RetryDecision,
  type RetryStopReason,
} from './call-retries.js';
export { CircuitBreaker, type CircuitBreakerOptions, type CircuitBreakerState } from './circuit-breaker.js';
export { ConcurrencyLimiter, type ConcurrencyLimitOptions, type Waiter } from './concurrency-limiter.js';
export { fallback, type FallbackOptions } from './fallback.js';
export type { GradientLimitOptions } from './gradient-limit.js';
export { HedgingPolicy, type HedgingOptions } from './hedging-policy.js';
export { isInstanceFailure } from './instance-failure.js';
export { type CallRateOptions, limitConcurrency, limitRate, perMethod } from './limit-middleware.js';
export { OutlierDetector, type OutlierMember, type OutlierOptions } from './outlier-detector.js';
export { RateLimiter, type RateLimitOptions } from './rate-limiter.js';
export { RetryBudget, type RetryBudgetOptions } from './retry-budget.js';
export { ATTEMPTS_CAP, type RetryableCode, RetryPolicy, type RetryOptions } from './retry-policy.js';
