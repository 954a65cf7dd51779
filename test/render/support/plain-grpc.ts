// A driver in plain grpc-js, with nothing of ours but the .proto.

import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  type Client,
  credentials,
  loadPackageDefinition,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** Of any answer of the contract: what is looked at. Enums by their names. */
export interface GrpcAnswer {
  readonly status?: { readonly code: string; readonly message: string };
  readonly serial?: { readonly serial: number; readonly epoch: string };
  readonly imgs?: Buffer;
  readonly tasks?: readonly { readonly index: number }[];
  readonly code?: string;
}

export interface PlainGrpc {
  /** @throws the ServiceError of grpc-js */
  call(method: string, request: object): Promise<GrpcAnswer>;
}

const PROTO = fileURLToPath(new URL('../../../../render/proto/render.proto', import.meta.url));
const MESSAGE_BYTES_MAX = 64 * 2 ** 20;

type Call = (request: object, done: (error: Error | null, answer: GrpcAnswer) => void) => void;

export function plainGrpc(t: TestContext, address: string): PlainGrpc {
  const definition = loadSync(PROTO, { keepCase: true, longs: String, enums: String, defaults: true });
  const { blendersim } = loadPackageDefinition(definition) as unknown as {
    blendersim: { Emulate: ServiceClientConstructor };
  };
  const client: Client = new blendersim.Emulate(address, credentials.createInsecure(), {
    'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
  });
  t.after(() => client.close());
  // grpc-js makes its methods from the .proto.
  const methods = client as unknown as Record<string, Call>;
  return {
    call: (method, request) =>
      new Promise((resolve, reject) => {
        methods[method]!.call(client, request, (error, answer) => {
          if (error === null) resolve(answer);
          else reject(error);
        });
      }),
  };
}
