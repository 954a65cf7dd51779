// Keeps one server process registered with one registry (or one of several that are the same): registers, sends
// heartbeats, and begins again after everything that can go wrong, until it is closed.
// registry-client.ts makes one for each registry. Nothing here ever throws at the server that is registered.

import { Backoff } from '../../reactor/index.js';
import type { CallOptions } from '../call.js';
import { detached } from '../call-scope.js';
import { RpcError } from '../errors.js';
import { type Clock, pause } from './clock.js';
import type { Endpoints, RegistryEndpoint } from './endpoints.js';
import { EPOCH_TRAILER } from './state.js';
import { type InstanceMessage, type KeepAliveRequest, LEASE_STATE, type RegistryContract } from './wire.js';

/** 'refused': the registry answers and does not take us. 'superseded': a later life took our address, for good. */
export type RegistrationState = 'connecting' | 'registered' | 'refused' | 'superseded' | 'closed';

export interface SessionOptions {
  /** For one call of the registry. Default 5000. */
  callTimeoutMs: number;
  /** 0 leaves it to the registry. */
  ttlMs: number;
  /** Before trying again, at first and at most; each with jitter. */
  retryFirstMs: number;
  retryCapMs: number;
  callOptions: CallOptions;
}

export interface SessionParts {
  readonly contract: RegistryContract;
  readonly endpoints: Endpoints;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Our boot: larger than that of every earlier process of this address. */
  readonly epoch: number;
  /** What we serve now. */
  readonly instances: () => readonly Partial<InstanceMessage>[];
  readonly onState: (state: RegistrationState, reason: RpcError | null) => void;
}

/** No deadline: the session ends when one side leaves. */
const SESSION_TIMEOUT_MS: number = Number.POSITIVE_INFINITY;
/** How long the farewell may take: the server goes anyway, its lease runs out. */
export const DEREGISTER_TIMEOUT_MS = 1000;
/** A registry that came back without its memory is not asked by everybody in the same moment: once to twice this. */
const RETURN_MS = 250;
const REFUSALS: ReadonlySet<string> = new Set([
  'INVALID_ARGUMENT',
  'PERMISSION_DENIED',
  'UNAUTHENTICATED',
  'RESOURCE_EXHAUSTED',
]);

interface HeldLease {
  readonly endpoint: RegistryEndpoint;
  readonly id: string;
  readonly ttlMs: number;
  readonly heartbeatMs: number;
}

export class RegistrationSession {
  readonly #parts: SessionParts;
  readonly #options: SessionOptions;
  readonly #backoff: Backoff;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #epoch: number;
  #lease: HeldLease | null = null;
  #hasBeenRegistered = false;
  /** What we serve has changed since it was sent. */
  #isOutdated = false;
  #state: RegistrationState = 'connecting';
  /** Ends the stream of heartbeats, to begin again at once with what has changed. */
  #interrupt: AbortController | null = null;

  constructor(parts: SessionParts, options: SessionOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#epoch = parts.epoch;
    this.#backoff = new Backoff(parts.random, { firstMs: options.retryFirstMs, capMs: options.retryCapMs });
    this.#running = detached(() => this.#run());
  }

  get state(): RegistrationState {
    return this.#state;
  }

  /** What we serve has changed: tells the registry soon. */
  update(): void {
    this.#isOutdated = true;
    this.#interrupt?.abort();
  }

  /** @returns whether the registry knows that we are gone; it had a second to say so */
  async deregister(): Promise<boolean> {
    const lease = await this.#end();
    if (lease === null) return true;
    const { endpoint, id } = lease;
    const late = new AbortController();
    const cancel = this.#parts.clock.after(DEREGISTER_TIMEOUT_MS, () => late.abort());
    try {
      const request = { leaseId: id, services: [] };
      const options = { ...this.#options.callOptions, timeoutMs: DEREGISTER_TIMEOUT_MS, signal: late.signal };
      await endpoint.caller.unary(this.#parts.contract.methods.deregister, request, options);
      return true;
    } catch {
      return false; // it is away or too slow; the lease runs out without us
    } finally {
      cancel();
    }
  }

  /** Stops renewing and leaves the lease to run out. */
  async close(): Promise<void> {
    await this.#end();
  }

  /** @returns the lease that nobody renews any more */
  async #end(): Promise<HeldLease | null> {
    this.#closing.abort();
    this.#interrupt?.abort();
    await this.#running;
    const lease = this.#lease;
    this.#lease = null;
    this.#enter('closed', null);
    return lease;
  }

  async #run(): Promise<void> {
    const { clock, endpoints, random } = this.#parts;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const endpoint = endpoints.current;
      try {
        this.#lease = await this.#register(endpoint);
        this.#hasBeenRegistered = true;
        this.#enter('registered', null);
        if (this.#isOutdated || (await this.#keepAlive(this.#lease))) continue;
        await pause(clock, RETURN_MS * (1 + random()), signal);
      } catch (error) {
        if (signal.aborted) return;
        const reason = rpcErrorOf(error);
        if (reason.code === 'RPC_SUPERSEDED') {
          if (this.#adoptEpoch(reason)) continue;
          this.#lease = null;
          this.#enter('superseded', reason);
          return;
        }
        this.#enter(REFUSALS.has(reason.status) ? 'refused' : 'connecting', reason);
        endpoints.moveOn(endpoint);
        await pause(clock, this.#backoff.nextDelayMs(), signal);
      }
    }
  }

  async #register(endpoint: RegistryEndpoint): Promise<HeldLease> {
    const { contract, instances } = this.#parts;
    const { ttlMs, callTimeoutMs, callOptions } = this.#options;
    const request = {
      leaseId: this.#lease?.endpoint === endpoint ? this.#lease.id : '',
      epoch: BigInt(this.#epoch),
      ttlMs,
      instances: instances(),
    };
    const options = { ...callOptions, timeoutMs: callTimeoutMs, signal: this.#closing.signal };
    this.#isOutdated = false;
    const answer = await endpoint.caller.unary(contract.methods.register, request, options);
    return {
      endpoint,
      id: answer.leaseId,
      ttlMs: answer.ttlMs,
      heartbeatMs: Math.max(1, answer.heartbeatMs),
    };
  }

  /**
   * Sends heartbeats until something changes.
   * @returns true to register again at once (we changed), false after a moment (the registry lost the lease)
   * @throws RpcError the session broke, or a later life took over
   */
  async #keepAlive({ endpoint, id, ttlMs, heartbeatMs }: HeldLease): Promise<boolean> {
    const { clock, contract } = this.#parts;
    const interrupt = (this.#interrupt = new AbortController());
    const { signal } = interrupt;
    let isSilent = false;
    // An answer is due for every heartbeat; a registry that owes one for half a lease is not there.
    const listen = (): (() => void) =>
      clock.after(Math.max(ttlMs / 2, heartbeatMs), () => {
        isSilent = true;
        interrupt.abort();
      });
    let cancel = listen();
    let wasInterrupted = false;
    try {
      const stream = endpoint.caller.bidiStream(
        contract.methods.keepAlive,
        heartbeats(clock, { leaseId: id }, heartbeatMs, signal),
        { ...this.#options.callOptions, timeoutMs: SESSION_TIMEOUT_MS, signal },
      );
      for await (const { state } of stream) {
        cancel();
        cancel = listen();
        this.#backoff.reset(); // not before: a registry may take registrations and keep no session
        if (state === LEASE_STATE.unknown) return false;
        if (state === LEASE_STATE.superseded)
          throw new RpcError('RPC_SUPERSEDED', 'a later life of this address is registered', {
            executed: 'no',
          });
      }
      wasInterrupted = signal.aborted;
    } catch (error) {
      if (isSilent) throw silent(endpoint);
      if (signal.aborted && !this.#closing.signal.aborted) return true;
      throw error;
    } finally {
      cancel();
      interrupt.abort();
      this.#interrupt = null;
    }
    if (isSilent) throw silent(endpoint);
    if (wasInterrupted && !this.#closing.signal.aborted) return true;
    throw new RpcError('RPC_UNAVAILABLE', `the registry ${endpoint.name} ended the session`);
  }

  /**
   * A process that was never registered and meets a later epoch is no earlier life: this machine's clock went back.
   * @returns whether to try again with a larger one
   */
  #adoptEpoch(reason: RpcError): boolean {
    const registered = Number(reason.trailers?.text(EPOCH_TRAILER));
    if (this.#hasBeenRegistered || !Number.isSafeInteger(registered) || registered < this.#epoch)
      return false;
    this.#epoch = registered + 1;
    return true;
  }

  #enter(state: RegistrationState, reason: RpcError | null): void {
    if (state === this.#state && reason === null) return;
    this.#state = state;
    this.#parts.onState(state, reason);
  }
}

async function* heartbeats(
  clock: Clock,
  heartbeat: KeepAliveRequest,
  everyMs: number,
  signal: AbortSignal,
): AsyncGenerator<KeepAliveRequest> {
  while (!signal.aborted) {
    yield heartbeat;
    await pause(clock, everyMs, signal);
  }
}

function silent({ name }: RegistryEndpoint): RpcError {
  return new RpcError('RPC_UNAVAILABLE', `the registry ${name} does not answer heartbeats`);
}

export function rpcErrorOf(error: unknown): RpcError {
  if (error instanceof RpcError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new RpcError('RPC_INTERNAL', message, { cause: error });
}
