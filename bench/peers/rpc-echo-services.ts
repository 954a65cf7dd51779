// The bench service on our RPC server: the module that its thread runs.

import { implement, type RpcModule } from '../../rpc/index.js';
import { BENCH, type Chunk, type FeedRequest, type Payload } from '../rpc/bench-service.js';

const services: RpcModule = () => [
  implement(BENCH, {
    echo: ({ text, delayMs = 0 }: Payload): Payload | Promise<Payload> =>
      delayMs === 0
        ? { text: text ?? '' }
        : new Promise((resolve) => {
            setTimeout(() => resolve({ text: text ?? '' }), delayMs);
          }),
    *feed({ count = 0, bytes = 0 }: FeedRequest): Iterable<Chunk> {
      const data = new Uint8Array(bytes);
      for (let index = 0; index < count; index += 1) yield { data };
    },
    async *hold(requests: AsyncIterable<Payload>): AsyncIterable<Payload> {
      yield* requests;
    },
  }),
];

export default services;
