// The stores as the KV load generator sees them: how it puts and gets, for each kind of server. load.ts drives them.
// Every answer is looked at: that a put was done, and that a get brought a value of the right length.

import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { KvClient } from '../../kv/proto/kv.js';
import { loadProto, type MethodContract, RpcClient } from '../../rpc/index.js';
import { ROOT } from '../paths.js';
import { deserializerOf, serializerOf } from '../rpc/load-clients.js';

export interface StoreClient {
  /** What `clients` of them need before they can write. */
  open(clients: number): Promise<void>;
  put(client: number, key: string, value: Buffer): Promise<void>;
  /** Linearizable; rejects where there is no value of this length. */
  get(key: string, valueBytes: number): Promise<void>;
  close(): Promise<void>;
}

export type StoreKind = 'kv' | 'etcd';

/** @param connections over which its clients are spread */
export function storeClient(kind: StoreKind, address: string, connections: number): StoreClient {
  switch (kind) {
    case 'kv':
      return new NativeStore(address, connections);
    case 'etcd':
      return new EtcdStore(address, connections);
    default:
      return kind satisfies never;
  }
}

interface Session {
  readonly clientId: bigint;
  sequence: number;
}

/** Every client has a session of its own, so each put is executed once even when it has to be sent again. */
class NativeStore implements StoreClient {
  readonly #rpc: RpcClient;
  readonly #kv: KvClient;
  #sessions: Session[] = [];

  constructor(address: string, connections: number) {
    const pool = { connectionsMin: connections, connectionsMax: connections };
    this.#rpc = new RpcClient({ target: address, pool, retry: { attemptsMax: 1 } });
    this.#kv = new KvClient(this.#rpc);
  }

  async open(clients: number): Promise<void> {
    const opened = await Promise.all(Array.from({ length: clients }, () => this.#kv.openSession({})));
    this.#sessions = opened.map(({ clientId }) => ({ clientId, sequence: 0 }));
  }

  async put(client: number, key: string, value: Buffer): Promise<void> {
    const session = this.#sessions[client]!; // load.ts opened that many
    const sequence = (session.sequence += 1);
    const { outcome } = await this.#kv.execute({
      clientId: session.clientId,
      sequence: BigInt(sequence),
      acknowledged: BigInt(sequence), // one at a time: all before it were answered
      command: { put: { key: Buffer.from(key), value } },
    });
    if (outcome?.put === undefined) throw new Error(`the put failed: ${outcome?.error?.message ?? ''}`);
  }

  async get(key: string, valueBytes: number): Promise<void> {
    const { outcome } = await this.#kv.execute({ command: { get: { key: Buffer.from(key) } } });
    if (outcome?.get?.kv?.value.length !== valueBytes) throw new Error('the value is another');
  }

  close(): Promise<void> {
    return this.#rpc.close(1000);
  }
}

interface EtcdMethods {
  readonly range: MethodContract<{ key: Buffer }, { kvs?: { value?: Uint8Array }[] }>;
  readonly put: MethodContract<{ key: Buffer; value: Buffer }, { header?: { revision?: bigint } }>;
}

/** By grpc-js itself: what is on npm for etcd is written on top of it, and costs more. */
class EtcdStore implements StoreClient {
  readonly #methods = loadProto(join(ROOT, 'bench/kv/etcd.proto')).service('etcdserverpb.KV')
    .methods as unknown as EtcdMethods;
  readonly #put = codecs(this.#methods.put);
  readonly #range = codecs(this.#methods.range);
  readonly #channels: grpc.Client[];
  #next = 0;

  constructor(address: string, connections: number) {
    this.#channels = Array.from(
      { length: connections },
      () =>
        new grpc.Client(address, grpc.credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 }),
    );
  }

  async open(): Promise<void> {
    const deadline = Date.now() + 10_000;
    await Promise.all(
      this.#channels.map(
        (channel) =>
          new Promise<void>((resolve, reject) => {
            channel.waitForReady(deadline, (error) => (error === undefined ? resolve() : reject(error)));
          }),
      ),
    );
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
    for (const channel of this.#channels) channel.close();
  }

  #call<Q, A>(method: Codecs<Q, A>, request: Q, check: (answer: A) => void): Promise<void> {
    this.#next = (this.#next + 1) % this.#channels.length;
    const channel = this.#channels[this.#next]!; // below their number
    return new Promise((resolve, reject) => {
      channel.makeUnaryRequest(method.path, method.encode, method.decode, request, (error, answer) => {
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
