// One connection of the RPC load generator to each kind of server: what it sends and what it takes for an answer.
// load.ts drives them. Every answer is looked at: its length, and for feeds the number of messages.

import http from 'node:http';
import * as grpc from '@grpc/grpc-js';
import { TcpClient } from '../../reactor/index.js';
import { RpcClient } from '../../rpc/index.js';
import { METHODS } from './bench-service.js';

export interface LoadOptions {
  readonly kind: 'rpc' | 'grpc' | 'http' | 'tlv';
  readonly transport: 'net' | 'epoll';
  readonly host: string;
  readonly port: number;
}

export interface LoadClient {
  connect(): Promise<void>;
  /** One echo of `text`; with `delayMs` the server takes that long. Rejects when the answer is another. */
  echo(text: string, delayMs: number): Promise<void>;
  /** Reads `count` messages of `bytes` from the server. */
  feed(count: number, bytes: number): Promise<void>;
  /** Opens a stream that stays open. */
  hold(): Promise<void>;
  close(): Promise<void>;
}

export function loadClient(options: LoadOptions): LoadClient {
  switch (options.kind) {
    case 'rpc':
      return new RpcLoad(options);
    case 'grpc':
      return new GrpcLoad(options);
    case 'http':
      return new HttpLoad(options);
    case 'tlv':
      return new TlvLoad(options);
    default:
      return options.kind satisfies never;
  }
}

class RpcLoad implements LoadClient {
  readonly #client: RpcClient;
  readonly #release: (() => void)[] = [];

  constructor({ host, port, transport }: LoadOptions) {
    const pool = { connectionsMin: 1, connectionsMax: 1 };
    this.#client = new RpcClient({ target: `${host}:${port}`, transport, pool, retry: { attemptsMax: 1 } });
  }

  connect(): Promise<void> {
    return this.echo('', 0);
  }

  async echo(text: string, delayMs: number): Promise<void> {
    const answer = await this.#client.unary(METHODS.echo, delayMs === 0 ? { text } : { text, delayMs });
    if (answer.text?.length !== text.length) throw new Error('the answer is another');
  }

  async feed(count: number, bytes: number): Promise<void> {
    let received = 0;
    for await (const { data } of this.#client.serverStream(
      METHODS.feed,
      { count, bytes },
      { timeoutMs: Infinity },
    )) {
      if (data?.length !== bytes) throw new Error('a message is of another length');
      received += 1;
    }
    if (received !== count) throw new Error(`${received} messages came instead of ${count}`);
  }

  async hold(): Promise<void> {
    const { promise, resolve } = opened();
    this.#release.push(resolve);
    async function* requests(): AsyncIterable<{ text: string }> {
      yield { text: 'first' };
      await promise;
    }
    const answers = this.#client.bidiStream(METHODS.hold, requests(), { timeoutMs: Infinity });
    await answers[Symbol.asyncIterator]().next();
  }

  async close(): Promise<void> {
    for (const release of this.#release) release();
    await this.#client.close(1000);
  }
}

class GrpcLoad implements LoadClient {
  readonly #client: grpc.Client;
  readonly #calls: grpc.ClientDuplexStream<unknown, unknown>[] = [];

  constructor({ host, port }: LoadOptions) {
    this.#client = new grpc.Client(`${host}:${port}`, grpc.credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  connect(): Promise<void> {
    return this.echo('', 0);
  }

  echo(text: string, delayMs: number): Promise<void> {
    const { path, requestType, responseType } = METHODS.echo;
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        serializerOf(requestType),
        deserializerOf(responseType),
        { text, delayMs },
        (error, answer) => {
          if (error !== null) reject(error);
          else if (answer?.text?.length !== text.length) reject(new Error('the answer is another'));
          else resolve();
        },
      );
    });
  }

  feed(count: number, bytes: number): Promise<void> {
    const { path, requestType, responseType } = METHODS.feed;
    const stream = this.#client.makeServerStreamRequest(
      path,
      serializerOf(requestType),
      deserializerOf(responseType),
      { count, bytes },
    );
    let received = 0;
    return new Promise((resolve, reject) => {
      stream.on('data', ({ data }: { data?: Uint8Array }) => {
        if (data?.length !== bytes) reject(new Error('a message is of another length'));
        received += 1;
      });
      stream.on('error', reject);
      stream.on('end', () => {
        if (received === count) resolve();
        else reject(new Error(`${received} messages came instead of ${count}`));
      });
    });
  }

  hold(): Promise<void> {
    const { path, requestType, responseType } = METHODS.hold;
    const call = this.#client.makeBidiStreamRequest(
      path,
      serializerOf(requestType),
      deserializerOf(responseType),
    );
    this.#calls.push(call);
    return new Promise((resolve, reject) => {
      call.once('data', () => resolve());
      call.on('error', reject);
      call.write({ text: 'first' });
    });
  }

  async close(): Promise<void> {
    for (const call of this.#calls) call.end();
    this.#client.close();
  }
}

class HttpLoad implements LoadClient {
  readonly #agent = new http.Agent({ keepAlive: true });
  readonly #options: http.RequestOptions;

  constructor({ host, port }: LoadOptions) {
    const headers = { 'content-type': 'application/json' };
    this.#options = { host, port, agent: this.#agent, method: 'POST', path: '/echo', headers };
  }

  connect(): Promise<void> {
    return this.echo('', 0);
  }

  echo(text: string, delayMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const request = http.request(this.#options, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
        response.on('end', () => {
          if ((JSON.parse(body) as { text: string }).text.length === text.length) resolve();
          else reject(new Error('the answer is another'));
        });
      });
      request.on('error', reject);
      request.end(JSON.stringify({ text, delayMs }));
    });
  }

  feed(): Promise<void> {
    return Promise.reject(new Error('HTTP has no feeds here'));
  }

  hold(): Promise<void> {
    return Promise.reject(new Error('HTTP has no streams here'));
  }

  async close(): Promise<void> {
    this.#agent.destroy();
  }
}

class TlvLoad implements LoadClient {
  readonly #client: TcpClient;
  readonly #waiting: { readonly bytes: number; resolve(): void; reject(error: Error): void }[] = [];

  constructor({ host, port, transport }: LoadOptions) {
    this.#client = new TcpClient({
      host,
      port,
      transport,
      reconnect: false,
      handlers: {
        onFrame: (_, frame) => {
          const call = this.#waiting.shift()!; // answers come in order
          if (frame.body.length === call.bytes) call.resolve();
          else call.reject(new Error('the answer is another'));
        },
      },
    });
  }

  async connect(): Promise<void> {
    await this.#client.connect();
  }

  echo(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ bytes: text.length, resolve, reject });
      this.#client.send(1, text);
    });
  }

  feed(): Promise<void> {
    return Promise.reject(new Error('TLV has no feeds'));
  }

  hold(): Promise<void> {
    return Promise.reject(new Error('TLV has no streams'));
  }

  close(): Promise<void> {
    return this.#client.end();
  }
}

interface Codec {
  codec(serializer: 'protobuf'): {
    encode(message: never): { readonly bytes: number; writeTo(target: Uint8Array, offset: number): void };
    decode(bytes: Uint8Array): unknown;
  };
}

/** grpc-js is given the same serializer that our side has, so that it is not what is compared. */
export function serializerOf(type: Codec): (message: unknown) => Buffer {
  const codec = type.codec('protobuf');
  return (message) => {
    const encoded = codec.encode(message as never);
    const bytes = Buffer.allocUnsafe(encoded.bytes);
    encoded.writeTo(bytes, 0);
    return bytes;
  };
}

export function deserializerOf<T>(type: {
  codec(serializer: 'protobuf'): { decode(bytes: Uint8Array): T };
}): (bytes: Buffer) => T {
  const codec = type.codec('protobuf');
  return (bytes) => codec.decode(bytes);
}

function opened(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
