// Services that come with the package: re-exports only.
export { healthContract, reflectionContract, type ReflectionVersion } from './builtin-contracts.js';
export { healthService } from './health-service.js';
export { HealthStatus, type Serving, type ServingState } from './health-status.js';
export { listServices, reflect, type ReflectOptions } from './reflect.js';
export { reflectionServices } from './reflection-service.js';
