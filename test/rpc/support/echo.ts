// The Echo service of proto/echo.proto, as tests serve it: one method of each kind, and a call counter.

import { fileURLToPath } from 'node:url';
import {
  implement,
  loadProto,
  type MethodContract,
  RpcError,
  type ServerCall,
  type ServiceImplementation,
} from '../../../rpc/index.js';

export interface SayRequest {
  text?: string;
  number?: bigint;
  payload?: Uint8Array;
  delayMs?: number;
}
export interface SayReply {
  text: string;
  number: bigint;
  payload: Uint8Array;
}
export interface ListRequest {
  text?: string;
  count?: number;
}
export interface UploadReply {
  count: bigint;
  bytes: bigint;
}

export const ECHO_PROTO: string = fileURLToPath(
  new URL('../../../../test/rpc/proto/echo.proto', import.meta.url),
);
export const ECHO_CONTRACT: ReturnType<ReturnType<typeof loadProto>['service']> =
  loadProto(ECHO_PROTO).service('demo.Echo');

/** The methods, typed as the .proto has them. */
export const ECHO = ECHO_CONTRACT.methods as unknown as {
  readonly say: MethodContract<SayRequest, SayReply>;
  readonly list: MethodContract<ListRequest, SayReply>;
  readonly upload: MethodContract<SayRequest, UploadReply>;
  readonly chat: MethodContract<SayRequest, SayReply>;
  readonly count: MethodContract<SayRequest, SayReply>;
};

export type EchoHandlers = Record<string, (input: never, call: ServerCall) => unknown>;

/** Answers everything; `handlers` replace some. */
export function echoService(handlers: EchoHandlers = {}): ServiceImplementation {
  let calls = 0n;
  return implement(ECHO_CONTRACT, {
    say: async ({ text = '', number = 0n, payload, delayMs = 0 }: SayRequest, call: ServerCall) => {
      if (delayMs > 0) await delayed(delayMs, call.signal);
      return { text, number, ...(payload === undefined ? {} : { payload }) };
    },
    *list({ text = '', count = 0 }: ListRequest) {
      for (let index = 0; index < count; index += 1) yield { text: `${text}${index}` };
    },
    async upload(requests: AsyncIterable<SayRequest>) {
      let count = 0n;
      let bytes = 0n;
      for await (const { payload } of requests) {
        count += 1n;
        bytes += BigInt(payload?.length ?? 0);
      }
      return { count, bytes };
    },
    async *chat(requests: AsyncIterable<SayRequest>) {
      for await (const { text, payload } of requests)
        yield { text: `re ${text}`, ...(payload === undefined ? {} : { payload }) };
    },
    count: ({ text }: SayRequest) => {
      calls += 1n;
      return { text, number: calls };
    },
    ...handlers,
  });
}

/** Resolves after `delayMs`, or rejects as soon as the call is over. */
function delayed(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, delayMs);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        reject(signal.reason instanceof RpcError ? signal.reason : new RpcError('RPC_CANCELLED', 'over'));
      },
      { once: true },
    );
  });
}
