// The stores as the KV load generator sees them: how it puts and gets, for each kind of server. load.ts drives them.
// Every answer is looked at: that a put was done, and that a get brought a value of the right length.

import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { Clerk, op } from '../../kv/index.js';
import { loadProto, type MethodContract } from '../../rpc/index.js';
import { ROOT } from '../paths.js';
import { deserializerOf, serializerOf } from '../rpc/load-clients.js';

export interface StoreClient {
  open(): Promise<void>;
  put(client: number, key: string, value: Buffer): Promise<void>;
  /** Linearizable; rejects where there is no value of this length. */
  get(key: string, valueBytes: number): Promise<void>;
  close(): Promise<void>;
}

export type StoreKind = 'kv' | 'etcd';

export function storeClient(kind: StoreKind, address: string): StoreClient {
  switch (kind) {
    case 'kv':
      return new NativeStore(address);
    case 'etcd':
      return new EtcdStore(address);
    default:
      return kind satisfies never;
  }
}

/** One Clerk for all clients, as a program would have it: each put is in a session, so it is executed once however often sent. */
class NativeStore implements StoreClient {
  readonly #clerk: Clerk;

  constructor(address: string) {
    this.#clerk = new Clerk({ endpoints: [address] });
  }

  /** Connects, and finds the leader. */
  async open(): Promise<void> {
    await this.#clerk.get('bench:');
  }

  async put(_client: number, key: string, value: Buffer): Promise<void> {
    const { revision } = await this.#clerk.inquire(op.put(key, value));
    if (!(revision > 0)) throw new Error('the put has no revision');
  }

  async get(key: string, valueBytes: number): Promise<void> {
    const pair = await this.#clerk.get(key);
    if (pair?.value.length !== valueBytes) throw new Error('the value is another');
  }

  close(): Promise<void> {
    return this.#clerk.close();
  }
}

interface EtcdMethods {
  readonly range: MethodContract<{ key: Buffer }, { kvs?: { value?: Uint8Array }[] }>;
  readonly put: MethodContract<{ key: Buffer; value: Buffer }, { header?: { revision?: bigint } }>;
}

const CONNECT_MS = 10_000;

/** By grpc-js itself, on one connection, its fastest way: what is on npm for etcd is written on top of it, and costs more. */
class EtcdStore implements StoreClient {
  readonly #methods = loadProto(join(ROOT, 'bench/kv/etcd.proto')).service('etcdserverpb.KV')
    .methods as unknown as EtcdMethods;
  readonly #put = codecs(this.#methods.put);
  readonly #range = codecs(this.#methods.range);
  readonly #channel: grpc.Client;

  constructor(address: string) {
    this.#channel = new grpc.Client(address, grpc.credentials.createInsecure());
  }

  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#channel.waitForReady(Date.now() + CONNECT_MS, (error) => {
        if (error === undefined) resolve();
        else reject(error);
      });
    });
  }

  put(_client: number, key: string, value: Buffer): Promise<void> {
    return this.#call(this.#put, { key: Buffer.from(key), value }, ({ header }) => {
      if (header?.revision === undefined) throw new Error('the put has no revision');
    });
  }

  get(key: string, valueBytes: number): Promise<void> {
    return this.#call(this.#range, { key: Buffer.from(key) }, ({ kvs }) => {
      if (kvs?.[0]?.value?.length !== valueBytes) throw new Error('the value is another');
    });
  }

  async close(): Promise<void> {
    this.#channel.close();
  }

  #call<Q, A>(method: Codecs<Q, A>, request: Q, check: (answer: A) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#channel.makeUnaryRequest(method.path, method.encode, method.decode, request, (error, answer) => {
        if (error !== null) {
          reject(error);
          return;
        }
        try {
          check(answer!); // there is one where there is no error
          resolve();
        } catch (wrong) {
          reject(wrong);
        }
      });
    });
  }
}

interface Codecs<Q, A> {
  readonly path: string;
  readonly encode: (message: Q) => Buffer;
  readonly decode: (bytes: Buffer) => A;
}

function codecs<Q extends object, A extends object>(method: MethodContract<Q, A>): Codecs<Q, A> {
  const { path, requestType, responseType } = method;
  return { path, encode: serializerOf(requestType), decode: deserializerOf(responseType) };
}
