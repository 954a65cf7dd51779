// Calls from simulated clients to simulated members: the real service of each member behind a network that delays and loses
// what clients ask and hear. Messages cross as bytes. It is the `Caller` under generated clients, so that the clerk that
// programs use runs in virtual time. What it leaves out of the RPC are connections, frames and flow control.

import { AsyncQueue } from './async-queue.js';
import type { ClerkClock, MemberStubs } from '../../../kv/client/clerk-parts.js';
import { KvClient } from '../../../kv/proto/kv.js';
import type { KvNode } from '../../../kv/node/kv-node.js';
import { KvService } from '../../../kv/service/kv-service.js';
import {
  type Caller,
  type CallOptions,
  type Messages,
  Metadata,
  type MessageType,
  type MethodContract,
  type ResponseStream,
  RpcError,
  type ServerCall,
} from '../../../rpc/index.js';
import type { SeededRandom } from '../../support/seeded-random.js';
import type { PartsWorld } from './parts-world.js';
import type { SimMember } from './sim-member.js';

export interface CallWeather {
  /** Of a request, and of an answer. */
  delayMaxMs: number;
  loss: number;
}

type Handlers = Readonly<Record<string, (input: unknown, call: ServerCall) => unknown>>;

interface Serving {
  readonly handlers: Handlers;
  readonly life: number;
  /** Fail when the member ends. */
  readonly calls: Set<() => void>;
}

const UNREACHED_MS_MAX = 100;

export class SimRpc {
  readonly #world: PartsWorld;
  readonly #random: SeededRandom;
  readonly #byAddress: ReadonlyMap<string, SimMember>;
  readonly #serving = new Map<SimMember, Serving>();

  constructor(world: PartsWorld, random: SeededRandom, addresses: ReadonlyMap<string, SimMember>) {
    this.#world = world;
    this.#random = random;
    this.#byAddress = addresses;
  }

  get clock(): ClerkClock {
    const world = this.#world;
    const after = (delayMs: number, task: () => void): (() => void) => {
      let isOff = false;
      world.later(Math.max(0, delayMs), () => {
        if (!isOff) task();
      });
      return () => {
        isOff = true;
      };
    };
    return { nowMs: () => world.now(), after, afterIdle: after };
  }

  /** A life of a member serves calls. */
  started(member: SimMember, node: KvNode): void {
    this.ended(member);
    const { clock } = this;
    const service = new KvService(node, {
      nowMs: () => clock.nowMs(),
      after: (delayMs, task) => clock.after(delayMs, task),
    });
    const handlers = service.handlers() as unknown as Handlers; // looked up by the contract's names
    this.#serving.set(member, { handlers, life: member.life, calls: new Set() });
  }

  /** Its calls fail; call it when a member ends. */
  ended(member: SimMember): void {
    const serving = this.#serving.get(member);
    if (serving === undefined) return;
    this.#serving.delete(member);
    for (const fail of serving.calls) fail();
  }

  /** What one clerk has in place of its connections. */
  stubs(weather: CallWeather): MemberStubs {
    return {
      of: (address) => new KvClient(this.#caller(address, weather)),
      close: async () => {},
    };
  }

  #caller(address: string, weather: CallWeather): Caller {
    const refuse = (): never => {
      throw new Error('the service has no such calls');
    };
    return {
      unary: (method, request, options) => this.#unary(address, weather, method, request, options),
      bidiStream: (method, requests, options) => this.#stream(address, weather, method, requests, options),
      serverStream: refuse,
      clientStream: refuse,
    };
  }

  #unary<Q, A>(
    address: string,
    weather: CallWeather,
    method: MethodContract<Q, A>,
    request: Q,
    { timeoutMs = Number.POSITIVE_INFINITY, signal, metadata }: CallOptions = {},
  ): Promise<A> {
    const world = this.#world;
    const bytes = bytesOf(method.requestType, request);
    const deadlineMs = world.now() + timeoutMs;
    return new Promise((resolve, reject) => {
      const abort = new AbortController();
      let serving: Serving | undefined;
      let isOver = false;
      const end = (): boolean => {
        if (isOver) return false;
        isOver = true;
        serving?.calls.delete(lost);
        signal?.removeEventListener('abort', cancel);
        return true;
      };
      const fail = (error: RpcError): void => {
        if (end()) reject(error);
        abort.abort(error);
      };
      const lost = (): void => fail(new RpcError('RPC_CONNECTION_LOST', 'the connection broke'));
      const cancel = (): void => fail(new RpcError('RPC_CANCELLED', 'cancelled'));
      signal?.addEventListener('abort', cancel, { once: true });
      if (Number.isFinite(timeoutMs)) {
        world.later(timeoutMs, () => fail(new RpcError('RPC_DEADLINE_EXCEEDED', 'no answer in time')));
      }
      const answered = (settle: () => void): void => {
        if (this.#random.chance(weather.loss)) return this.#later(weather, lost);
        this.#later(weather, () => {
          if (end()) settle();
        });
      };
      if (this.#random.chance(weather.loss)) return this.#later(weather, lost);
      this.#later(weather, () => {
        if (isOver) return;
        const member = this.#memberAt(address);
        serving = member === null ? undefined : this.#serving.get(member);
        if (member === null || serving === undefined) {
          const refused = new RpcError('RPC_CONNECT_FAILED', `${address} is down`, { executed: 'no' });
          world.later(this.#random.integer(0, UNREACHED_MS_MAX), () => fail(refused));
          return;
        }
        const { handlers, life } = serving;
        serving.calls.add(lost);
        member.run(() => {
          const call = callOf(method, abort.signal, () => deadlineMs - world.now(), metadata);
          const input = method.requestType.codec('protobuf').decode(bytes);
          new Promise((settle) => settle(handlers[method.localName]!(input, call))).then(
            (output) => {
              if (member.life !== life) return;
              const answer = bytesOf(method.responseType, output as A); // the handler's
              answered(() => resolve(method.responseType.codec('protobuf').decode(answer)));
            },
            (error: unknown) => {
              if (member.life === life) answered(() => reject(error));
            },
          );
        });
      });
    });
  }

  #stream<Q, A>(
    address: string,
    weather: CallWeather,
    method: MethodContract<Q, A>,
    requests: Messages<Q>,
    { signal, metadata }: CallOptions = {},
  ): ResponseStream<A> {
    const world = this.#world;
    const abort = new AbortController();
    const messages = new AsyncQueue<A>();
    let arrivesMs = 0;
    const fail = (error: Error): void => {
      messages.fail(error);
      abort.abort(error);
    };
    const lost = (): void => fail(new RpcError('RPC_CONNECTION_LOST', 'the connection broke'));
    const cancel = (): void => fail(new RpcError('RPC_CANCELLED', 'cancelled'));
    signal?.addEventListener('abort', cancel, { once: true });
    if (signal?.aborted === true) cancel();
    this.#later(weather, () => {
      if (messages.isOver) return;
      const member = this.#memberAt(address);
      const serving = member === null ? undefined : this.#serving.get(member);
      if (member === null || serving === undefined) {
        fail(new RpcError('RPC_CONNECT_FAILED', `${address} is down`, { executed: 'no' }));
        return;
      }
      if (this.#random.chance(weather.loss)) return lost();
      serving.calls.add(lost);
      const { handlers, life } = serving;
      /** In order: none overtakes another. */
      const deliver = (task: () => void): void => {
        if (member.life !== life) return;
        arrivesMs = Math.max(arrivesMs, world.now() + this.#random.integer(0, weather.delayMaxMs));
        world.later(arrivesMs - world.now(), task);
      };
      const pump = async (): Promise<void> => {
        const asked = overWire(method.requestType, requests);
        const call = callOf(method, abort.signal, () => Number.POSITIVE_INFINITY, metadata);
        try {
          const outputs = handlers[method.localName]!(asked, call) as AsyncIterable<unknown>; // of a stream's kind
          for await (const output of outputs) {
            const bytes = bytesOf(method.responseType, output as A); // the handler's
            deliver(() => messages.push(method.responseType.codec('protobuf').decode(bytes)));
          }
          deliver(() => messages.end());
        } catch (error) {
          deliver(() => fail(error as Error)); // what the service throws
        } finally {
          serving.calls.delete(lost);
        }
      };
      member.run(() => void pump());
    });
    const nothing = Promise.resolve(new Metadata());
    return {
      headers: nothing,
      trailers: nothing,
      cancel,
      [Symbol.asyncIterator]: () => messages[Symbol.asyncIterator](),
    };
  }

  #memberAt(address: string): SimMember | null {
    const member = this.#byAddress.get(address);
    return member?.isUp === true ? member : null;
  }

  #later({ delayMaxMs }: CallWeather, task: () => void): void {
    this.#world.later(this.#random.integer(0, delayMaxMs), task);
  }
}

function bytesOf<T>(type: MessageType<T>, message: T): Uint8Array {
  const encoded = type.codec('protobuf').encode(message);
  const bytes = new Uint8Array(encoded.bytes);
  encoded.writeTo(bytes, 0);
  return bytes;
}

function callOf(
  method: object,
  signal: AbortSignal,
  remainingMs: () => number,
  metadata: Metadata = new Metadata(),
): ServerCall {
  return {
    method: method as MethodContract, // whatever its types
    metadata,
    peer: { address: undefined, port: undefined, identity: null },
    signal,
    previousAttempts: 0,
    trailers: new Metadata(),
    remainingMs,
    sendHeaders: () => {},
  };
}

async function* overWire<Q>(type: MessageType<Q>, requests: Messages<Q>): AsyncGenerator<Q, void, undefined> {
  for await (const request of requests) yield type.codec('protobuf').decode(bytesOf(type, request));
}
