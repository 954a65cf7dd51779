// Finds the instances of one service through a registry: watches it, keeps the list when the registry is away, and
// comes back by itself. RpcClient and whoever else needs a Resolver start it.
// known-list.ts decides what to believe, endpoints.ts where to ask; this file waits, asks and tells the listener.

import { Backoff } from '../../reactor/index.js';
import type { CallOptions } from '../call.js';
import { detached } from '../call-scope.js';
import { RpcError } from '../errors.js';
import type { Instance, Resolver, ResolverListener } from '../instance.js';
import { checkChoice, checkNumber, withDefaults } from '../option-checks.js';
import { type Clock, pause } from './clock.js';
import type { Endpoints, RegistryEndpoint } from './endpoints.js';
import { KnownList, type KnownListOptions } from './known-list.js';
import { ListCache } from './list-cache.js';
import { rpcErrorOf } from './registration-session.js';
import { ListAge } from './list-age.js';
import { CHANGE_KIND, instanceOf, type RegistryContract, WATCH_KIND, type WatchResponse } from './wire.js';

export interface RegistryResolverOptions extends KnownListOptions {
  /** Only instances with this version, group and these tags. Default: all. */
  where?: InstanceFilter;
  /** How often the registry says that nothing has changed. Default 5000. */
  refreshMs?: number;
  /** Without a word for this long the registry is taken to be away and asked again, elsewhere if there is. Default 15,000. */
  expireMs?: number;
  /**
   * 'available' (default): the last known list is good while the registry is away, however long. 'strict': a list that
   * nobody confirmed for `staleMsMax` is not used: calls fail with RPC_NO_INSTANCE.
   */
  consistency?: 'available' | 'strict';
  /** Default `expireMs`. */
  staleMsMax?: number;
  /** Between two looks because of `refresh`. Default 5000. */
  refreshMsMin?: number;
  /** The first question comes after a random part of this. Default 100. */
  startJitterMs?: number;
  /** Before asking again, at first and at most. Default 200 and 5000. */
  retryFirstMs?: number;
  retryCapMs?: number;
  /** Folder for the last list of each service, for a start without the registry. Default none. */
  cacheDir?: string | null;
  /** How long a start waits for the registry before it takes the list on disk. Default 500. */
  cacheAfterMs?: number;
  /** Token and the like, for every call of the registry. */
  callOptions?: CallOptions;
}

export interface InstanceFilter {
  readonly version?: string;
  readonly group?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

export interface ResolverStatus {
  /** 'starting': nothing is known; 'stale': the registry is away; 'refused': strict, and the list is too old. */
  readonly state: 'starting' | 'fresh' | 'stale' | 'refused' | 'closed';
  /** Since the registry last confirmed the list; null when it never did. */
  readonly ageMs: number | null;
  /** The list is from the disk. */
  readonly isFromDisk: boolean;
  /** The registry says that there are none, and it is not believed yet. */
  readonly awaitsConfirmation: boolean;
  readonly instances: number;
}

export interface ResolverParts {
  readonly contract: RegistryContract;
  readonly endpoints: Endpoints;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly onClose?: () => void;
}

type Options = Required<RegistryResolverOptions>;

const DEFAULTS: Omit<Options, 'staleMsMax'> = {
  confirmMs: 10_000,
  where: {},
  refreshMs: 5000,
  expireMs: 15_000,
  consistency: 'available',
  refreshMsMin: 5000,
  startJitterMs: 100,
  retryFirstMs: 200,
  retryCapMs: 5000,
  cacheDir: null,
  cacheAfterMs: 500,
  callOptions: {},
};

/** A watch has no end of its own. */
const WATCH_TIMEOUT_MS: number = Number.POSITIVE_INFINITY;
const ANSWER_TIMEOUT_MS = 5000;
const CACHE_WRITE_MS = 1000;

export class RegistryResolver implements Resolver {
  readonly service: string;
  readonly #parts: ResolverParts;
  readonly #options: Options;
  readonly #list: KnownList;
  readonly #age: ListAge;
  readonly #cache: ListCache | null;
  readonly #backoff: Backoff;
  readonly #closing = new AbortController();
  #listener: ResolverListener | null = null;
  #running: Promise<void> = Promise.resolve();
  /** Ends the wait before the next attempt. */
  #wake: AbortController | null = null;
  #position = { revision: 0n, generation: '' };
  #told: readonly Instance[] | null = null;
  #refreshedMs = Number.NEGATIVE_INFINITY;
  #cancelRefresh: (() => void) | null = null;
  #cancelCacheWrite: (() => void) | null = null;
  #writing: Promise<void> = Promise.resolve();
  #isWatching = false;
  #isFromDisk = false;

  /** @throws RpcError RPC_OPTION_INVALID naming the option */
  constructor(service: string, parts: ResolverParts, options: RegistryResolverOptions = {}) {
    this.service = service;
    this.#parts = parts;
    this.#options = completeOptions(options);
    this.#list = new KnownList(this.#options);
    const { retryFirstMs: firstMs, retryCapMs: capMs, cacheDir, consistency, staleMsMax } = this.#options;
    this.#backoff = new Backoff(parts.random, { firstMs, capMs });
    this.#cache = cacheDir === null ? null : new ListCache(cacheDir, service);
    this.#age = new ListAge(parts.clock, consistency === 'strict' ? staleMsMax : null, () => this.#refuse());
  }

  get status(): ResolverStatus {
    const ageMs = this.#age.ageMs;
    const { expireMs } = this.#options;
    const isFresh = this.#isWatching && ageMs !== null && ageMs < expireMs;
    const isKnown = this.#told !== null;
    return {
      state: this.#closing.signal.aborted
        ? 'closed'
        : this.#age.isTooOld
          ? 'refused'
          : isFresh
            ? 'fresh'
            : isKnown
              ? 'stale'
              : 'starting',
      ageMs,
      isFromDisk: this.#isFromDisk,
      awaitsConfirmation: this.#list.awaitsConfirmation,
      instances: this.#told?.length ?? 0,
    };
  }

  start(listener: ResolverListener): void {
    if (this.#listener !== null) throw new RpcError('RPC_OPTION_INVALID', 'a resolver is started once');
    this.#listener = listener;
    // Whoever makes the first call may be a handler: its deadline is not ours.
    this.#running = detached(() => this.#run());
  }

  /** While the registry is away it is asked again now; else whether the list is still right. At most each 5 s. */
  refresh(): void {
    if (this.#closing.signal.aborted || this.#cancelRefresh !== null) return;
    const { clock } = this.#parts;
    const waitMs = Math.max(0, this.#refreshedMs + this.#options.refreshMsMin - clock.nowMs());
    this.#cancelRefresh = clock.after(waitMs, () => {
      this.#cancelRefresh = null;
      this.#refreshedMs = clock.nowMs();
      if (this.#isWatching) void detached(() => this.#discover());
      else this.#wake?.abort();
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#wake?.abort();
    this.#cancelRefresh?.();
    this.#age.close();
    const hasUnwritten = this.#cancelCacheWrite !== null;
    this.#cancelCacheWrite?.();
    await this.#running;
    await this.#writing;
    if (hasUnwritten) await this.#writeCache();
    this.#parts.onClose?.();
  }

  async #run(): Promise<void> {
    const { clock, random, endpoints } = this.#parts;
    const { signal } = this.#closing;
    const cancelCache = clock.after(this.#options.cacheAfterMs, () => void this.#readCache());
    await pause(clock, random() * this.#options.startJitterMs, signal);
    while (!signal.aborted) {
      const endpoint = endpoints.current;
      try {
        await this.#watch(endpoint);
      } catch (error) {
        if (signal.aborted) break;
        this.#tellError(error, endpoint);
        endpoints.moveOn(endpoint);
      }
      const wake = (this.#wake = new AbortController());
      await pause(clock, this.#backoff.nextDelayMs(), wake.signal);
      this.#wake = null;
    }
    cancelCache();
  }

  /** @throws RpcError always: a watch ends for no other reason than an error or our own end */
  async #watch(endpoint: RegistryEndpoint): Promise<void> {
    const { clock, contract } = this.#parts;
    const { refreshMs, expireMs, callOptions } = this.#options;
    const silence = new AbortController();
    const onClose = (): void => silence.abort();
    this.#closing.signal.addEventListener('abort', onClose, { once: true });
    const listen = (ms: number): (() => void) => clock.after(ms, () => silence.abort());
    // The first word comes at once, or not at all.
    let cancel = listen(Math.min(expireMs, ANSWER_TIMEOUT_MS));
    const request = { service: this.service, ...this.#position, progressMs: refreshMs };
    const parts: Instance[] = [];
    try {
      const options = { ...callOptions, timeoutMs: WATCH_TIMEOUT_MS, signal: silence.signal };
      for await (const response of endpoint.caller.serverStream(contract.methods.watch, request, options)) {
        cancel();
        cancel = listen(expireMs);
        this.#isWatching = true;
        this.#backoff.reset();
        this.#take(response, parts);
      }
    } catch (error) {
      if (!silence.signal.aborted || this.#closing.signal.aborted) throw error;
    } finally {
      cancel();
      this.#isWatching = false;
      this.#closing.signal.removeEventListener('abort', onClose);
    }
    const what = silence.signal.aborted ? 'says nothing' : 'ended the watch';
    throw new RpcError('RPC_UNAVAILABLE', what);
  }

  /** @param parts of a whole list that comes in several messages */
  #take(response: WatchResponse, parts: Instance[]): void {
    const { kind, settlingMs, revision, generation } = response;
    const nowMs = this.#parts.clock.nowMs();
    if (kind === WATCH_KIND.snapshot) {
      parts.push(...response.instances.map(instanceOf));
      if (response.more) return;
      this.#list.replace(parts.splice(0), settlingMs, nowMs);
    } else if (kind === WATCH_KIND.changes) {
      const changes = response.changes.map(
        ({ kind, instance }) =>
          ({ kind: kind === CHANGE_KIND.put ? 'put' : 'remove', instance: instanceOf(instance) }) as const,
      );
      this.#list.change(changes, settlingMs, nowMs);
    } else {
      this.#list.confirm(settlingMs, nowMs);
    }
    this.#position = { revision, generation };
    this.#confirmed();
  }

  /** Asks once, beside the watch. */
  async #discover(): Promise<void> {
    const { contract, endpoints, clock } = this.#parts;
    const endpoint = endpoints.current;
    const { callOptions } = this.#options;
    const options = { ...callOptions, timeoutMs: ANSWER_TIMEOUT_MS, signal: this.#closing.signal };
    try {
      const answer = await endpoint.caller.unary(
        contract.methods.discover,
        { service: this.service },
        options,
      );
      const { revision, generation } = this.#position;
      // The watch was faster, or is with another registry by now.
      if (answer.generation !== generation || answer.revision < revision || this.#closing.signal.aborted)
        return;
      this.#list.replace(answer.instances.map(instanceOf), answer.settlingMs, clock.nowMs());
      this.#confirmed();
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#tellError(error, endpoint);
    }
  }

  #confirmed(): void {
    this.#isFromDisk = false;
    this.#age.confirm();
    if (this.#tell(this.#list.instances)) this.#scheduleCacheWrite();
  }

  /** @returns whether it is another list than the last one */
  #tell(all: readonly Instance[]): boolean {
    const { where } = this.#options;
    const instances = all.filter((instance) => matches(instance, where));
    if (this.#told !== null && sameList(this.#told, instances)) return false;
    this.#told = instances;
    this.#listener?.onInstances(instances);
    return true;
  }

  #tellError(error: unknown, { name }: RegistryEndpoint): void {
    const cause = rpcErrorOf(error);
    // A name service's own status must not look like an answer of the service that was called.
    const message = `the registry ${name} could not tell the instances of ${this.service}: ${cause.message}`;
    this.#listener?.onError(new RpcError('RPC_RESOLVE_FAILED', message, { executed: 'no', cause }));
  }

  /** Strict, and nobody has confirmed the list in time. */
  #refuse(): void {
    const { staleMsMax } = this.#options;
    const message = `the list of ${this.service} was not confirmed for ${staleMsMax} ms`;
    this.#tell([]);
    this.#listener?.onError(new RpcError('RPC_LIST_STALE', message, { executed: 'no' }));
  }

  async #readCache(): Promise<void> {
    if (this.#cache === null || this.#options.consistency === 'strict') return;
    try {
      const instances = await this.#cache.read();
      // The registry may have answered meanwhile.
      if (instances === null || this.#age.ageMs !== null || this.#closing.signal.aborted) return;
      this.#isFromDisk = true;
      // As if a registry that settles had said so: the first real list takes away only what it is sure of.
      this.#list.replace(instances, Number.POSITIVE_INFINITY, this.#parts.clock.nowMs());
      this.#tell(this.#list.instances);
    } catch (cause) {
      this.#tellCacheError('read', cause);
    }
  }

  #scheduleCacheWrite(): void {
    if (this.#cache === null || this.#cancelCacheWrite !== null) return;
    this.#cancelCacheWrite = this.#parts.clock.after(CACHE_WRITE_MS, () => {
      this.#cancelCacheWrite = null;
      this.#writing = this.#writeCache();
    });
  }

  async #writeCache(): Promise<void> {
    try {
      await this.#cache?.write(this.#list.instances);
    } catch (cause) {
      this.#tellCacheError('written', cause);
    }
  }

  #tellCacheError(what: 'read' | 'written', cause: unknown): void {
    if (this.#closing.signal.aborted) return;
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `the last list of ${this.service} cannot be ${what}: ${reason}`;
    this.#listener?.onError(new RpcError('RPC_RESOLVE_FAILED', message, { executed: 'no', cause }));
  }
}

function completeOptions(options: RegistryResolverOptions): Options {
  const staleMsMax = options.expireMs ?? DEFAULTS.expireMs;
  const complete = withDefaults('resolver', { ...DEFAULTS, staleMsMax }, options);
  checkChoice('resolver', 'consistency', complete.consistency, ['available', 'strict']);
  withDefaults('resolver where', WHERE, complete.where as object);
  for (const name of ABOVE_0) checkNumber('resolver', name, complete[name], { above: 0 });
  for (const name of FROM_0) checkNumber('resolver', name, complete[name], { min: 0 });
  checkNumber('resolver', 'retryCapMs', complete.retryCapMs, { min: complete.retryFirstMs });
  return complete;
}

const WHERE: Record<keyof InstanceFilter, undefined> = {
  version: undefined,
  group: undefined,
  tags: undefined,
};
const ABOVE_0 = ['refreshMs', 'expireMs', 'staleMsMax', 'retryFirstMs'] as const;
const FROM_0 = ['confirmMs', 'refreshMsMin', 'startJitterMs', 'cacheAfterMs'] as const;

function matches(instance: Instance, { version, group, tags = {} }: InstanceFilter): boolean {
  if (version !== undefined && instance.version !== version) return false;
  if (group !== undefined && instance.group !== group) return false;
  return Object.entries(tags).every(([key, value]) => instance.tags[key] === value);
}

/** Whether two lists tell the same in the same order. */
function sameList(a: readonly Instance[], b: readonly Instance[]): boolean {
  return a.length === b.length && a.every((one, index) => one === b[index] || sameInstance(one, b[index]!));
}

function sameInstance(a: Instance, b: Instance): boolean {
  return (
    a.id === b.id &&
    a.weight === b.weight &&
    a.version === b.version &&
    a.group === b.group &&
    JSON.stringify([a.tags, a.resources]) === JSON.stringify([b.tags, b.resources])
  );
}
