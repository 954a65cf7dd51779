// A process's way to the registry: registers what it serves and keeps it so, and makes resolvers for what it calls.
// Stands on a Caller for each address; `connectRegistry` makes those. registration-session.ts and resolver.ts do the work.

import type { Caller, CallOptions } from '../call.js';
import { RpcError } from '../errors.js';
import type { Instance } from '../instance.js';
import { checkChoice, checkNumber, withDefaults } from '../option-checks.js';
import { type Clock, systemClock } from './clock.js';
import { Endpoints, type RegistryEndpoint } from './endpoints.js';
import { TTL_MS_MAX } from './limits.js';
import { RegistrationSession, type RegistrationState } from './registration-session.js';
import { RegistryResolver, type RegistryResolverOptions } from './resolver.js';
import { type InstanceMessage, instanceOf, type RegistryContract } from './wire.js';

export interface RegistryClientOptions {
  /**
   * What several addresses are to each other. 'independent' (default): each knows only what it is told itself, so a
   * server registers with all of them. 'replicated': they know the same, one of them is enough.
   */
  registries?: 'independent' | 'replicated';
  /** For one call. Default 5000. */
  callTimeoutMs?: number;
  /** Lease to ask for. Default: what the registry gives, 30 s where it is not set otherwise. */
  ttlMs?: number;
  /** Before trying again, at first and at most. Default 200 and 5000. */
  retryFirstMs?: number;
  retryCapMs?: number;
  /** Goes with every call, as `authorization: Bearer …`. Default none: what the connection shows is enough. */
  callOptions?: CallOptions;
}

export interface RegistryClientParts {
  readonly contract: RegistryContract;
  /** At least one. */
  readonly endpoints: readonly RegistryEndpoint[];
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Closed with the client. */
  readonly owned?: readonly { close(): Promise<void> }[];
}

/** One service that this process serves. */
export interface ServiceToRegister {
  readonly service: string;
  /** Default 1. */
  readonly weight?: number;
  readonly version?: string;
  readonly group?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly resources?: Readonly<Record<string, number>>;
}

export interface ProcessToRegister {
  /** Where others reach this process. Default: the address from which the registry sees us. */
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  /** A Unix socket instead of host and port. */
  readonly path?: string;
  readonly services: readonly ServiceToRegister[];
  /** Told of every change, and of every failed attempt with its reason. */
  readonly onState?: (state: RegistrationState, reason: RpcError | null, registry: string) => void;
}

/** A process that is registered, or will be as soon as a registry is there. */
export interface Registration {
  /** By address of the registry; with 'replicated' one for all. */
  readonly states: Readonly<Record<string, RegistrationState>>;
  /** Serves this from now on, in place of what was before. */
  update(services: readonly ServiceToRegister[]): void;
  /** Resolves once any registry has us. Rejects with RPC_CLOSED when the registration ends before. */
  registered(): Promise<void>;
  /** Leaves. @returns whether every registry that had us said so; it takes a second at most */
  deregister(): Promise<boolean>;
  /** The same for `RpcServer.beforeDrain`: answers false, since nobody confirms that the clients have heard. */
  readonly leave: () => Promise<boolean>;
}

const DEFAULTS: Required<RegistryClientOptions> = {
  registries: 'independent',
  callTimeoutMs: 5000,
  ttlMs: 0,
  retryFirstMs: 200,
  retryCapMs: 5000,
  callOptions: {},
};

/** @throws RpcError RPC_OPTION_INVALID naming the option */
export function completeRegistryOptions(options: RegistryClientOptions): Required<RegistryClientOptions> {
  const complete = withDefaults('registry', DEFAULTS, options);
  const { registries, callTimeoutMs, ttlMs, retryFirstMs, retryCapMs } = complete;
  checkChoice('registry', 'registries', registries, ['independent', 'replicated']);
  checkNumber('registry', 'callTimeoutMs', callTimeoutMs, { above: 0 });
  checkNumber('registry', 'ttlMs', ttlMs, { min: 0, max: TTL_MS_MAX });
  checkNumber('registry', 'retryFirstMs', retryFirstMs, { above: 0 });
  checkNumber('registry', 'retryCapMs', retryCapMs, { min: retryFirstMs });
  return complete;
}

export class RegistryClient {
  readonly #parts: RegistryClientParts;
  readonly #options: Required<RegistryClientOptions>;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #open = new Set<{ close(): Promise<void> }>();

  /** @throws RpcError RPC_OPTION_INVALID naming the option */
  constructor(parts: RegistryClientParts, options: RegistryClientOptions = {}) {
    if (parts.endpoints.length === 0) throw new RpcError('RPC_OPTION_INVALID', 'name at least one registry');
    this.#parts = parts;
    this.#options = completeRegistryOptions(options);
    this.#clock = parts.clock ?? systemClock;
    this.#random = parts.random ?? Math.random;
  }

  /** Never fails for a registry that is away: it goes on trying, `onState` tells. */
  register(process: ProcessToRegister): Registration {
    const { endpoints } = this.#parts;
    const isReplicated = this.#options.registries === 'replicated';
    const groups = isReplicated ? [endpoints] : endpoints.map((endpoint) => [endpoint]);
    const registration = new ClientRegistration(process, (instances, onState) =>
      groups.map((group) => {
        const name = group.map((endpoint) => endpoint.name).join(',');
        const parts = {
          contract: this.#parts.contract,
          endpoints: new Endpoints(group, this.#random),
          clock: this.#clock,
          random: this.#random,
          epoch: this.#clock.wallMs(),
          instances,
          onState: (state: RegistrationState, reason: RpcError | null) => onState(name, state, reason),
        };
        return [name, new RegistrationSession(parts, this.#options)] as const;
      }),
    );
    this.#open.add(registration);
    return registration;
  }

  /** Not started yet: whoever uses it starts and closes it. */
  resolver(service: string, options: RegistryResolverOptions = {}): RegistryResolver {
    const { contract, endpoints } = this.#parts;
    const parts = {
      contract,
      endpoints: new Endpoints(endpoints, this.#random),
      clock: this.#clock,
      random: this.#random,
      onClose: () => this.#open.delete(resolver),
    };
    const { callOptions } = this.#options;
    const resolver: RegistryResolver = new RegistryResolver(service, parts, { callOptions, ...options });
    this.#open.add(resolver);
    return resolver;
  }

  /** The instances as the first registry that answers has them now. @throws RpcError of the last one */
  async discover(service: string): Promise<readonly Instance[]> {
    const { discover } = this.#parts.contract.methods;
    const { instances } = await this.#ask((caller, options) => caller.unary(discover, { service }, options));
    return instances.map(instanceOf);
  }

  /** Names of all services, with the number of their instances. @throws RpcError */
  async services(): Promise<
    readonly { readonly name: string; readonly instances: number; readonly held: number }[]
  > {
    const { services } = this.#parts.contract.methods;
    return (await this.#ask((caller, options) => caller.unary(services, {}, options))).services;
  }

  /**
   * Says that what the registries hold of `service` is really gone; asks every registry.
   * @returns how many instances expired with it. @throws RpcError the first that failed
   */
  async confirmExpiry(service: string): Promise<number> {
    const { contract, endpoints } = this.#parts;
    const { callTimeoutMs: timeoutMs, callOptions } = this.#options;
    const options = { ...callOptions, timeoutMs };
    const answers = await Promise.all(
      endpoints.map(({ caller }) => caller.unary(contract.methods.confirmExpiry, { service }, options)),
    );
    return answers.reduce((sum, { expired }) => sum + expired, 0);
  }

  /** Ends registrations without taking them back (their leases run out), and resolvers. */
  async close(): Promise<void> {
    await Promise.all(Array.from(this.#open, (one) => one.close()));
    this.#open.clear();
    await Promise.all(Array.from(this.#parts.owned ?? [], (one) => one.close()));
  }

  async #ask<T>(ask: (caller: Caller, options: CallOptions) => Promise<T>): Promise<T> {
    const { callTimeoutMs: timeoutMs, callOptions } = this.#options;
    const endpoints = new Endpoints(this.#parts.endpoints, this.#random);
    for (let left = endpoints.count - 1; ; left -= 1) {
      const { current } = endpoints;
      try {
        return await ask(current.caller, { ...callOptions, timeoutMs });
      } catch (error) {
        if (left === 0) throw error;
        endpoints.moveOn(current);
      }
    }
  }
}

type StateListener = (registry: string, state: RegistrationState, reason: RpcError | null) => void;
type OpenSessions = (
  instances: () => readonly Partial<InstanceMessage>[],
  onState: StateListener,
) => readonly (readonly [name: string, session: RegistrationSession])[];

class ClientRegistration implements Registration {
  readonly #process: ProcessToRegister;
  readonly #sessions: ReadonlyMap<string, RegistrationSession>;
  #services: readonly ServiceToRegister[];
  #waiting: { resolve: () => void; reject: (error: RpcError) => void }[] = [];

  constructor(process: ProcessToRegister, open: OpenSessions) {
    if (process.services.length === 0) throw new RpcError('RPC_OPTION_INVALID', 'name at least one service');
    this.#process = process;
    this.#services = process.services;
    this.#sessions = new Map(
      open(
        () => this.#instances(),
        (registry, state, reason) => this.#onState(registry, state, reason),
      ),
    );
  }

  get states(): Readonly<Record<string, RegistrationState>> {
    return Object.fromEntries(Array.from(this.#sessions, ([name, { state }]) => [name, state]));
  }

  update(services: readonly ServiceToRegister[]): void {
    this.#services = services;
    for (const session of this.#sessions.values()) session.update();
  }

  async registered(): Promise<void> {
    const states = Object.values(this.states);
    if (states.includes('registered')) return;
    if (states.every(isOver)) throw ended();
    await new Promise<void>((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  async deregister(): Promise<boolean> {
    const answers = await Promise.all(Array.from(this.#sessions.values(), (session) => session.deregister()));
    return answers.every(Boolean);
  }

  readonly leave = async (): Promise<boolean> => {
    await this.deregister();
    return false;
  };

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#sessions.values(), (session) => session.close()));
  }

  #onState(registry: string, state: RegistrationState, reason: RpcError | null): void {
    const isEnd = isOver(state) && Object.values(this.states).every(isOver);
    if (state === 'registered' || isEnd) {
      for (const { resolve, reject } of this.#waiting.splice(0)) {
        if (isEnd) reject(ended());
        else resolve();
      }
    }
    try {
      this.#process.onState?.(state, reason, registry);
    } catch (error) {
      // The registration goes on whatever those who watch it make of it.
      process.emitWarning(error instanceof Error ? error : String(error), {
        type: 'RegistryStateHookFailed',
      });
    }
  }

  #instances(): Partial<InstanceMessage>[] {
    const { host = '', port = 0, path = '' } = this.#process;
    return this.#services.map((service) => ({ ...service, host, port, path }));
  }
}

function isOver(state: RegistrationState): boolean {
  return state === 'closed' || state === 'superseded';
}

function ended(): RpcError {
  return new RpcError('RPC_CLOSED', 'the registration ended');
}
