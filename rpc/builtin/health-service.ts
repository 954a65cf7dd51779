// `grpc.health.v1.Health` over a HealthStatus, for our own clients and, through the gRPC adapter, for everybody's probes.

import type { ServerCall, ServiceImplementation } from '../call.js';
import { RpcError } from '../errors.js';
import { implement } from '../server/implement.js';
import { healthContract } from './builtin-contracts.js';
import type { HealthStatus, ServingState } from './health-status.js';

/** HealthCheckResponse.ServingStatus. */
const NUMBERS: Readonly<Record<ServingState, number>> = { serving: 1, 'not-serving': 2, unknown: 3 };

interface CheckRequest {
  readonly service: string;
}
interface CheckResponse {
  readonly status: number;
}

export function healthService(health: HealthStatus): ServiceImplementation {
  return implement(healthContract(), {
    check({ service }: CheckRequest): CheckResponse {
      const state = health.get(service);
      if (state === 'unknown')
        throw new RpcError('RPC_NOT_FOUND', `nothing is known of service '${service}'`, { executed: 'no' });
      return { status: NUMBERS[state] };
    },
    list(): { statuses: Record<string, CheckResponse> } {
      const entries = Array.from(health.all(), ([service, state]) => [service, { status: NUMBERS[state] }]);
      return { statuses: Object.fromEntries(entries) as Record<string, CheckResponse> };
    },
    async *watch({ service }: CheckRequest, call: ServerCall): AsyncGenerator<CheckResponse, void, void> {
      for await (const state of health.watch(service, call.signal)) yield { status: NUMBERS[state] };
    },
  });
}
