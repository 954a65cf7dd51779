// The service that every RPC peer of the benches offers, and its contract for our client and server.

import { join } from 'node:path';
import { loadProto, type MethodContract, type ServiceContract } from '../../rpc/index.js';
import { ROOT } from '../paths.js';

export interface Payload {
  text?: string;
  delayMs?: number;
}
export interface FeedRequest {
  count?: number;
  bytes?: number;
}
export interface Chunk {
  data?: Uint8Array;
}

export const BENCH_PROTO: string = join(ROOT, 'bench/rpc/bench.proto');
export const BENCH: ServiceContract = loadProto(BENCH_PROTO).service('bench.Bench');
export const METHODS = BENCH.methods as unknown as {
  readonly echo: MethodContract<Payload, Payload>;
  readonly feed: MethodContract<FeedRequest, Chunk>;
  readonly hold: MethodContract<Payload, Payload>;
};
