// The registry as a service: checks what is asked, asks the store, and words the answers.
// registry-server.ts serves `implementation()`; store.ts says what the store does.
// Streams end when the client leaves and when the registry stops.

import type { ServerCall, ServiceImplementation } from '../call.js';
import { RpcError, type RpcErrorCode } from '../errors.js';
import { implement } from '../server/implement.js';
import type { Caller, RegistryAccess } from './access.js';
import {
  checkInstances,
  checkServiceName,
  full,
  HEARTBEATS_PER_TTL,
  REGISTRY_LIMITS,
  type RegistryLimits,
  TTL_MS_MAX,
  TTL_MS_MIN,
} from './limits.js';
import type { ListedInstance, RegistryStore, WatchUpdate } from './store.js';
import {
  changeMessage,
  type ConfirmExpiryRequest,
  type ConfirmExpiryResponse,
  countOf,
  type DeregisterRequest,
  type DeregisterResponse,
  type DiscoverRequest,
  type DiscoverResponse,
  factsOf,
  type InstanceMessage,
  instanceMessage,
  type KeepAliveRequest,
  type KeepAliveResponse,
  LEASE_STATE,
  type RegisterRequest,
  type RegisterResponse,
  type RegistryContract,
  type ServicesRequest,
  type ServicesResponse,
  WATCH_KIND,
  type WatchRequest,
  type WatchResponse,
} from './wire.js';

export interface RegistryServiceOptions {
  /** Of leases that ask for nothing else. Default 30,000. */
  ttlMs?: number;
  /** How often a watch is told that nothing has changed, where it does not say. Default 5000. */
  progressMs?: number;
  limits?: RegistryLimits;
}

export interface RegistryServiceParts {
  readonly store: RegistryStore;
  readonly access: RegistryAccess;
  /** A call failed, for the figures and the log. `who` is a name, never a token. */
  readonly onRefusal: (method: string, code: RpcErrorCode, message: string) => void;
}

const PROGRESS_MS_MIN = 500;
const PROGRESS_MS_MAX = 60_000;
/** A snapshot goes out in parts, so that none comes near the limit of a message. */
const INSTANCES_PER_MESSAGE = 500;
const LEASES_PER_SESSION_MAX = 64;

export class RegistryService {
  readonly #parts: RegistryServiceParts;
  readonly #ttlMs: number;
  readonly #progressMs: number;
  readonly #limits: Required<RegistryLimits>;
  /** The streams that are open. A set, not listeners of one signal: there may be tens of thousands. */
  readonly #open = new Set<AbortController>();
  #isStopping = false;

  constructor(parts: RegistryServiceParts, options: RegistryServiceOptions = {}) {
    this.#parts = parts;
    this.#ttlMs = options.ttlMs ?? 30_000;
    this.#progressMs = options.progressMs ?? 5000;
    this.#limits = { ...REGISTRY_LIMITS, ...options.limits };
  }

  implementation(contract: RegistryContract): ServiceImplementation {
    const unary =
      <Q, A>(name: string, handle: (request: Q, call: ServerCall) => Promise<A>) =>
      async (request: Q, call: ServerCall): Promise<A> => {
        try {
          return await handle(request, call);
        } catch (error) {
          throw this.#refused(name, error);
        }
      };
    const stream = <Q, A>(name: string, handle: (request: Q, call: ServerCall) => AsyncIterable<A>) => {
      const refused = (error: unknown): unknown => this.#refused(name, error);
      return async function* (request: Q, call: ServerCall): AsyncGenerator<A> {
        try {
          yield* handle(request, call);
        } catch (error) {
          throw refused(error);
        }
      };
    };
    return implement(contract, {
      register: unary('Register', (request: RegisterRequest, call) => this.register(request, call)),
      keepAlive: stream('KeepAlive', (requests: AsyncIterable<KeepAliveRequest>, call) =>
        this.keepAlive(requests, call),
      ),
      deregister: unary('Deregister', (request: DeregisterRequest, call) => this.deregister(request, call)),
      discover: unary('Discover', (request: DiscoverRequest, call) => this.discover(request, call)),
      watch: stream('Watch', (request: WatchRequest, call) => this.watch(request, call)),
      services: unary('Services', (request: ServicesRequest, call) => this.services(request, call)),
      confirmExpiry: unary('ConfirmExpiry', (request: ConfirmExpiryRequest, call) =>
        this.confirmExpiry(request, call),
      ),
    });
  }

  /** Ends sessions and watches; their clients come back, here or elsewhere. */
  stop(): void {
    this.#isStopping = true;
    for (const stream of this.#open) stream.abort();
  }

  async register(request: RegisterRequest, call: ServerCall): Promise<RegisterResponse> {
    const { store, access } = this.#parts;
    const caller = access.callerOf(call);
    const instances = request.instances.map((message) => factsOf(message, call.peer.address));
    checkInstances(instances, this.#limits);
    access.demandRegister(
      caller,
      instances.map(({ service }) => service),
    );
    const { lease, revision } = await store.register({
      leaseId: request.leaseId === '' ? null : request.leaseId,
      epoch: countOf('epoch', request.epoch, 1),
      ttlMs: request.ttlMs === 0 ? this.#ttlMs : Math.min(Math.max(request.ttlMs, TTL_MS_MIN), TTL_MS_MAX),
      owner: caller.name,
      instances,
    });
    const heartbeatMs = Math.floor(lease.ttlMs / HEARTBEATS_PER_TTL);
    const { generation } = store;
    return { leaseId: lease.id, ttlMs: lease.ttlMs, heartbeatMs, revision: BigInt(revision), generation };
  }

  async *keepAlive(
    requests: AsyncIterable<KeepAliveRequest>,
    call: ServerCall,
  ): AsyncGenerator<KeepAliveResponse> {
    const { store, access } = this.#parts;
    const heartbeats = requests[Symbol.asyncIterator]();
    const leases = new Set<string>();
    const { signal, release } = this.#untilStopped(call);
    try {
      for (;;) {
        const heartbeat = await nextBefore(heartbeats, signal);
        if (heartbeat === null) return;
        const { leaseId } = heartbeat;
        // The rules may have changed since it registered.
        const caller = access.callerOf(call);
        access.demandRegister(caller, await store.servicesOf(leaseId));
        const answer = await store.heartbeat(leaseId, caller.name);
        if (answer.state === 'alive' && !leases.has(leaseId)) {
          if (leases.size >= LEASES_PER_SESSION_MAX)
            throw full(`${LEASES_PER_SESSION_MAX} leases on one session are all there may be`);
          leases.add(leaseId);
          await store.openSession(leaseId);
        }
        yield {
          leaseId,
          state: LEASE_STATE[answer.state],
          ttlMs: answer.state === 'alive' ? answer.lease.ttlMs : 0,
          revision: BigInt(answer.state === 'alive' ? answer.revision : 0),
        };
      }
    } finally {
      release();
      for (const leaseId of leases) await store.closeSession(leaseId);
    }
  }

  async deregister({ leaseId, services }: DeregisterRequest, call: ServerCall): Promise<DeregisterResponse> {
    const { store, access } = this.#parts;
    const caller = access.callerOf(call);
    const { revision, removed } = await store.deregister(leaseId, services, caller.name);
    return { revision: BigInt(revision), removed };
  }

  async discover({ service }: DiscoverRequest, call: ServerCall): Promise<DiscoverResponse> {
    this.#reader(call);
    checkServiceName(service);
    const { revision, generation, instances, settlingMs } = await this.#parts.store.list(service);
    return { revision: BigInt(revision), generation, instances: instanceMessages(instances), settlingMs };
  }

  async *watch(request: WatchRequest, call: ServerCall): AsyncGenerator<WatchResponse> {
    this.#reader(call);
    const { service, generation, progressMs } = request;
    checkServiceName(service);
    const wishMs = progressMs === 0 ? this.#progressMs : progressMs;
    const { signal, release } = this.#untilStopped(call);
    try {
      const updates = this.#parts.store.watch(service, {
        from: generation === '' ? null : { revision: countOf('revision', request.revision, 0), generation },
        progressMs: Math.min(Math.max(wishMs, PROGRESS_MS_MIN), PROGRESS_MS_MAX),
        signal,
      });
      for await (const update of updates) {
        this.#reader(call); // a token that was taken back ends its watches
        yield* messagesOf(update);
      }
    } finally {
      release();
    }
    if (!call.signal.aborted)
      throw new RpcError('RPC_SHUTTING_DOWN', 'the registry stops; ask it again', { executed: 'no' });
  }

  async services(_request: ServicesRequest, call: ServerCall): Promise<ServicesResponse> {
    this.#reader(call);
    const { revision, generation, services } = await this.#parts.store.services();
    return { revision: BigInt(revision), generation, services };
  }

  async confirmExpiry({ service }: ConfirmExpiryRequest, call: ServerCall): Promise<ConfirmExpiryResponse> {
    const { store, access } = this.#parts;
    access.demandConfirm(access.callerOf(call));
    checkServiceName(service);
    const { revision, expired } = await store.confirmExpiry(service);
    return { revision: BigInt(revision), expired };
  }

  /** Everybody who is known may look. @throws RpcError RPC_UNAUTHENTICATED */
  #reader(call: ServerCall): Caller {
    return this.#parts.access.callerOf(call);
  }

  /** Aborts with the call and when the registry stops; `release` lets go of both. */
  #untilStopped(call: ServerCall): { signal: AbortSignal; release: () => void } {
    const stream = new AbortController();
    const abort = (): void => stream.abort();
    if (this.#isStopping || call.signal.aborted) abort();
    call.signal.addEventListener('abort', abort);
    this.#open.add(stream);
    const release = (): void => {
      call.signal.removeEventListener('abort', abort);
      this.#open.delete(stream);
    };
    return { signal: stream.signal, release };
  }

  #refused(method: string, error: unknown): unknown {
    if (error instanceof RpcError) this.#parts.onRefusal(method, error.code, error.message);
    return error;
  }
}

/** The next message; null when there is none any more or the signal aborts first. */
function nextBefore<T>(messages: AsyncIterator<T>, signal: AbortSignal): Promise<T | null> {
  if (signal.aborted) return Promise.resolve(null);
  return new Promise((resolve, reject) => {
    const onAbort = (): void => resolve(null);
    signal.addEventListener('abort', onAbort, { once: true });
    messages.next().then(
      ({ value, done }) => {
        signal.removeEventListener('abort', onAbort);
        resolve(done === true ? null : value);
      },
      (error: unknown) => {
        signal.removeEventListener('abort', onAbort);
        reject(error);
      },
    );
  });
}

/** The store gives the same list to many watches; it is worded once. */
const worded = new WeakMap<readonly ListedInstance[], readonly InstanceMessage[]>();

function instanceMessages(instances: readonly ListedInstance[]): readonly InstanceMessage[] {
  let messages = worded.get(instances);
  if (messages === undefined) worded.set(instances, (messages = instances.map(instanceMessage)));
  return messages;
}

function* messagesOf(update: WatchUpdate): Generator<WatchResponse> {
  const { kind, generation, settlingMs } = update;
  const common = {
    kind: WATCH_KIND[kind],
    revision: BigInt(update.revision),
    generation,
    settlingMs,
    instances: [],
    changes: [],
    more: false,
  };
  switch (kind) {
    case 'snapshot': {
      const instances = instanceMessages(update.instances);
      let at = 0;
      do {
        const part = instances.slice(at, at + INSTANCES_PER_MESSAGE);
        at += INSTANCES_PER_MESSAGE;
        yield { ...common, instances: part, more: at < instances.length };
      } while (at < instances.length);
      return;
    }
    case 'changes':
      yield { ...common, changes: update.changes.map(changeMessage) };
      return;
    case 'progress':
      yield common;
      return;
    default:
      kind satisfies never;
  }
}
