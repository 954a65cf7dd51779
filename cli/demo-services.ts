// The service module of `reactor-net serve --rpc`: demo.Echo from rpc/proto/demo.proto, with reflection and health.
// RpcServer loads it on every thread; serve-app.ts names it.

import { setTimeout as delay } from 'node:timers/promises';
import {
  HealthStatus,
  healthService,
  implement,
  loadProto,
  Metadata,
  reflectionServices,
  type RpcApplication,
  RpcError,
  type RpcStatusCode,
  type ServerCall,
  STATUS,
} from '../rpc/index.js';

interface SayRequest {
  readonly text: string;
  readonly delayMs: number;
  readonly failWith: string;
}
interface SayReply {
  readonly text: string;
  readonly number: number;
}
interface RepeatRequest {
  readonly text: string;
  readonly times: number;
  readonly intervalMs: number;
}
interface CollectReply {
  readonly texts: readonly string[];
  readonly characters: bigint;
}

/** Of what Collect gives back: longer streams are counted only. */
const TEXTS_KEPT_MAX = 1000;

export default (): RpcApplication => {
  const contract = loadProto(new URL('../../rpc/proto/demo.proto', import.meta.url)).service('demo.Echo');
  const health = new HealthStatus([contract.fullName]);
  const services = [implement(contract, handlers), healthService(health)];
  return {
    services: [...services, ...reflectionServices(services)],
    onDraining: () => health.startDraining(),
  };
};

const handlers = {
  async say(request: SayRequest, call: ServerCall): Promise<SayReply> {
    echoMetadata(call);
    return answer(request, 1, call);
  },

  async *repeat({ text, times, intervalMs }: RepeatRequest, call: ServerCall): AsyncGenerator<SayReply> {
    echoMetadata(call);
    for (let number = 1; number <= (times || 1); number += 1) {
      if (number > 1) await pause(intervalMs, call);
      yield { text, number };
    }
  },

  async collect(requests: AsyncIterable<SayRequest>, call: ServerCall): Promise<CollectReply> {
    echoMetadata(call);
    const texts: string[] = [];
    let characters = 0;
    for await (const request of requests) {
      const { text } = await answer(request, 1, call);
      if (texts.length < TEXTS_KEPT_MAX) texts.push(text);
      characters += text.length;
    }
    return { texts, characters: BigInt(characters) };
  },

  async *chat(requests: AsyncIterable<SayRequest>, call: ServerCall): AsyncGenerator<SayReply> {
    echoMetadata(call);
    let number = 0;
    for await (const request of requests) yield answer(request, (number += 1), call);
  },
};

/** Metadata whose name begins with `echo-` comes back, in headers and in trailers. */
function echoMetadata(call: ServerCall): void {
  const echoed = new Metadata();
  for (const [name, value] of call.metadata) {
    if (!name.startsWith('echo-')) continue;
    echoed.add(name, value);
    call.trailers.add(name, value);
  }
  if (echoed.size > 0) call.sendHeaders(echoed);
}

/** @throws RpcError with the status that the request asks for */
async function answer(
  { text, delayMs, failWith }: SayRequest,
  number: number,
  call: ServerCall,
): Promise<SayReply> {
  await pause(delayMs, call);
  if (failWith === '') return { text, number };
  if (!Object.hasOwn(STATUS, failWith) || failWith === 'OK')
    throw new RpcError(
      'RPC_INVALID_ARGUMENT',
      `fail_with: '${failWith}' should be a status such as NOT_FOUND`,
    );
  throw new RpcError(`RPC_${failWith}` as RpcStatusCode, text); // it is one of STATUS
}

/** Ends early, by an error, when nobody waits for the answer any more. */
async function pause(ms: number, { signal }: ServerCall): Promise<void> {
  if (ms > 0) await delay(ms, undefined, { signal });
}
