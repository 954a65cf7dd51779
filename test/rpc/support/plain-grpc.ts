// Ordinary gRPC clients and servers, as somebody without this project writes them: grpc-js and the .proto, nothing of ours.

import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { TestContext } from 'node:test';
import { ECHO_PROTO } from './echo.js';

const PACKAGE = loadSync(ECHO_PROTO, { longs: String, defaults: true });
/** grpc-js's description of demo.Echo. */
export const PLAIN_ECHO: grpc.ServiceDefinition = PACKAGE['demo.Echo'] as grpc.ServiceDefinition;

export interface PlainReply {
  text: string;
  number: string;
  payload: Buffer;
}
type Callback<A> = (error: grpc.ServiceError | null, answer?: A) => void;

/** The methods that grpc-js makes of PLAIN_ECHO. */
export interface PlainEchoClient extends grpc.Client {
  say(
    request: object,
    metadata: grpc.Metadata,
    options: object,
    done: Callback<PlainReply>,
  ): grpc.ClientUnaryCall;
  list(request: object, metadata?: grpc.Metadata, options?: object): grpc.ClientReadableStream<PlainReply>;
  upload(
    metadata: grpc.Metadata,
    options: object,
    done: Callback<{ count: string; bytes: string }>,
  ): grpc.ClientWritableStream<object>;
  chat(metadata?: grpc.Metadata, options?: object): grpc.ClientDuplexStream<object, PlainReply>;
}

export function plainClient(
  t: TestContext,
  target: string,
  credentials: grpc.ChannelCredentials = grpc.credentials.createInsecure(),
  options: grpc.ChannelOptions = {},
): PlainEchoClient {
  const Client = grpc.makeGenericClientConstructor(PLAIN_ECHO, 'Echo');
  const client = new Client(target, credentials, { 'grpc.use_local_subchannel_pool': 1, ...options });
  t.after(() => client.close());
  return client as unknown as PlainEchoClient;
}

export interface PlainOutcome<A> {
  readonly answer: A | null;
  readonly error: grpc.ServiceError | null;
  readonly headers: grpc.Metadata | null;
  readonly status: grpc.StatusObject;
}

/** A unary call to its end, well or not. */
export function plainSay(
  client: PlainEchoClient,
  request: object,
  metadata: grpc.Metadata = new grpc.Metadata(),
  options: object = {},
): Promise<PlainOutcome<PlainReply>> {
  return new Promise((resolve) => {
    let error: grpc.ServiceError | null = null;
    let answer: PlainReply | null = null;
    let headers: grpc.Metadata | null = null;
    const call = client.say(request, metadata, options, (failure, value) => {
      error = failure;
      answer = value ?? null;
    });
    call.on('metadata', (received) => {
      headers = received;
    });
    call.on('status', (status) => resolve({ answer, error, headers, status }));
  });
}

/** Reads a stream to its end, well or not. */
export function plainRead<A>(
  stream: grpc.ClientReadableStream<A> | grpc.ClientDuplexStream<object, A>,
): Promise<{ answers: A[]; error: grpc.ServiceError | null; status: grpc.StatusObject }> {
  return new Promise((resolve) => {
    const answers: A[] = [];
    let error: grpc.ServiceError | null = null;
    stream.on('data', (answer: A) => answers.push(answer));
    stream.on('error', (failure: grpc.ServiceError) => {
      error = failure;
    });
    stream.on('status', (status: grpc.StatusObject) => {
      setImmediate(() => resolve({ answers, error, status })); // the error is told in the same turn
    });
    stream.resume(); // it may have been paused before
  });
}

/** An ordinary server of the Echo service on a free port; `handlers` by the names of the .proto. */
export async function plainServer(
  t: TestContext,
  handlers: grpc.UntypedServiceImplementation,
  credentials: grpc.ServerCredentials = grpc.ServerCredentials.createInsecure(),
): Promise<{ server: grpc.Server; target: string }> {
  const server = new grpc.Server();
  server.addService(PLAIN_ECHO, handlers);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  t.after(() => server.forceShutdown());
  return { server, target: `127.0.0.1:${port}` };
}
