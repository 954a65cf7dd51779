// The bench service on plain @grpc/grpc-js: the peer that our RPC is held against.

import * as grpc from '@grpc/grpc-js';
import { type Chunk, type FeedRequest, METHODS, type Payload } from '../rpc/bench-service.js';
import { deserializerOf, serializerOf } from '../rpc/load-clients.js';
import { serveUntilSignalled } from './ready.js';

const server = new grpc.Server();
const definition = Object.fromEntries(
  Object.entries(METHODS).map(([name, method]) => [
    name,
    {
      path: method.path,
      requestStream: method.kind === 'bidi-stream',
      responseStream: method.kind !== 'unary',
      requestSerialize: serializerOf(method.requestType),
      requestDeserialize: deserializerOf(method.requestType as never),
      responseSerialize: serializerOf(method.responseType),
      responseDeserialize: deserializerOf(method.responseType as never),
    },
  ]),
);
server.addService(definition, {
  echo: ({ request }: grpc.ServerUnaryCall<Payload, Payload>, done: grpc.sendUnaryData<Payload>) => {
    const { text, delayMs = 0 } = request;
    if (delayMs === 0) done(null, { text: text ?? '' });
    else setTimeout(() => done(null, { text: text ?? '' }), delayMs);
  },
  feed: (call: grpc.ServerWritableStream<FeedRequest, Chunk>) => {
    const { count = 0, bytes = 0 } = call.request;
    const data = new Uint8Array(bytes);
    let sent = 0;
    const send = (): void => {
      while (sent < count) {
        sent += 1;
        if (!call.write({ data }) && sent < count) {
          call.once('drain', send);
          return;
        }
      }
      call.end();
    };
    send();
  },
  hold: (call: grpc.ServerDuplexStream<Payload, Payload>) => {
    call.on('data', (message: Payload) => call.write(message));
    call.on('end', () => call.end());
  },
});
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  serveUntilSignalled({ close: () => server.forceShutdown() }, 'tcp', port);
});
