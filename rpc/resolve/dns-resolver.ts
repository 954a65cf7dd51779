// Instances from DNS: the addresses of a name, or its SRV records. Asks again from time to time and on request, but
// never too often; goes on with the last list while DNS fails.
// Lookup, time and chance come from outside; system-dns.ts is the real lookup.

import { Backoff } from '../../reactor/index.js';
import { RpcError } from '../errors.js';
import type { Instance, Resolver, ResolverListener } from '../instance.js';
import type { PoolTime } from '../pool/pool-time.js';
import { instanceOf, invalid, sameInstances } from './instance-list.js';
import { KeepLastKnown, type KeepLastKnownOptions } from './keep-last-known.js';

export interface ServiceRecord {
  readonly host: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** Both reject when DNS cannot be asked or does not know the name; an empty answer is an answer. */
export interface DnsLookup {
  /** A and AAAA. */
  addresses(name: string): Promise<readonly string[]>;
  /** SRV. */
  services(name: string): Promise<readonly ServiceRecord[]>;
}

/** `port` null: SRV records, which have the ports. */
export interface DnsName {
  readonly name: string;
  readonly port: number | null;
}

export interface DnsResolverOptions {
  /** The least time between two lookups, in ms. Default 30,000. */
  intervalMinMs?: number;
  /** Looks again this long after the last time even if nobody asks, in ms; Infinity: never. Default 30,000. */
  refreshEveryMs?: number;
  /** A lookup that takes longer has failed, in ms. Default 10,000. */
  lookupTimeoutMs?: number;
  /** When a shrinking list is believed. Default: an empty one, or one that lost more than half, the second time. */
  keep?: KeepLastKnownOptions;
}

const DEFAULTS: Required<Omit<DnsResolverOptions, 'keep'>> = {
  intervalMinMs: 30_000,
  refreshEveryMs: 30_000,
  lookupTimeoutMs: 10_000,
};
/** Tries again this soon while nothing is known at all, growing up to `intervalMinMs`. */
const RETRY_FIRST_MS = 1_000;

export class DnsResolver implements Resolver {
  readonly #target: DnsName;
  readonly #lookup: DnsLookup;
  readonly #time: PoolTime;
  readonly #random: () => number;
  readonly #options: Required<Omit<DnsResolverOptions, 'keep'>>;
  readonly #kept: KeepLastKnown;
  readonly #retry: Backoff;
  #listener: ResolverListener | null = null;
  /** What the listener was told last. */
  #told: readonly Instance[] | null = null;
  #lookupStartedMs: number = -Infinity;
  #isLooking: boolean = false;
  #isAskedAgain: boolean = false;
  #isFirst: boolean = true;
  #timer: unknown = null;
  #timerDueMs: number = Infinity;

  /** @throws RpcError RPC_OPTION_INVALID */
  constructor(
    target: DnsName,
    lookup: DnsLookup,
    time: PoolTime,
    random: () => number,
    options: DnsResolverOptions = {},
  ) {
    const { keep = {}, ...times } = options;
    this.#target = target;
    this.#lookup = lookup;
    this.#time = time;
    this.#random = random;
    this.#options = { ...DEFAULTS, ...times };
    for (const [name, value] of Object.entries(this.#options)) {
      if (!(value > 0)) throw invalid(`dns option ${name} must be a number of ms above 0, not ${value}`);
    }
    this.#kept = new KeepLastKnown(keep);
    const capMs = Math.max(RETRY_FIRST_MS, this.#options.intervalMinMs);
    this.#retry = new Backoff(random, { firstMs: RETRY_FIRST_MS, capMs, factor: 1.6, jitter: 0.2 });
  }

  start(listener: ResolverListener): void {
    this.#listener = listener;
    this.#look();
  }

  refresh(): void {
    if (this.#listener === null) return;
    if (this.#isLooking) this.#isAskedAgain = true;
    else this.#lookAt(this.#lookupStartedMs + this.#options.intervalMinMs);
  }

  async close(): Promise<void> {
    this.#listener = null;
    this.#cancelTimer();
  }

  /** Looks at `dueMs`, or earlier when that was planned already. */
  #lookAt(dueMs: number): void {
    if (this.#listener === null || this.#timerDueMs <= dueMs || dueMs === Infinity) return;
    this.#cancelTimer();
    this.#timerDueMs = dueMs;
    const look = (): void => {
      this.#timer = null;
      this.#timerDueMs = Infinity;
      this.#look();
    };
    this.#timer = this.#time.runAfter(Math.max(0, dueMs - this.#time.nowMs()), look, true);
  }

  #look(): void {
    this.#isLooking = true;
    this.#isAskedAgain = false;
    this.#lookupStartedMs = this.#time.nowMs();
    const { lookupTimeoutMs } = this.#options;
    let hasEnded = false;
    const end = (tell: () => void): void => {
      if (hasEnded) return; // its timeout came first
      hasEnded = true;
      this.#time.cancel(timeout);
      this.#isLooking = false;
      if (this.#listener !== null) tell();
    };
    const onTimeout = (): void =>
      end(() => this.#failed(new Error(`no answer within ${lookupTimeoutMs} ms`)));
    const timeout = this.#time.runAfter(lookupTimeoutMs, onTimeout, true); // the lookup itself keeps the process alive
    this.#ask().then(
      (instances) => end(() => this.#answered(instances)),
      (error: unknown) => end(() => this.#failed(error)),
    );
  }

  async #ask(): Promise<Instance[]> {
    const { name, port } = this.#target;
    if (port !== null) {
      const addresses = await this.#lookup.addresses(name);
      return [...new Set(addresses)].toSorted().map((host) => instanceOf({ host, port }));
    }
    return fromServices(await this.#lookup.services(name));
  }

  #answered(answer: readonly Instance[]): void {
    this.#retry.reset();
    const { instances } = this.#kept.offer(answer, this.#time.nowMs());
    this.#planNext();
    if (this.#told !== null && sameInstances(this.#told, instances)) return;
    this.#told = instances;
    this.#listener!.onInstances(instances);
  }

  #failed(cause: unknown): void {
    const text = cause instanceof Error ? cause.message : String(cause);
    const kept = this.#kept.instances.length;
    const rest = kept === 0 ? '' : `; the last ${kept} instances stay in use`;
    const message = `looking up ${this.#target.name} failed: ${text}${rest}`;
    this.#planNext();
    if (kept === 0) this.#lookAt(this.#time.nowMs() + this.#retry.nextDelayMs());
    this.#listener!.onError(new RpcError('RPC_RESOLVE_FAILED', message, { executed: 'no', cause }));
  }

  /** The first pause is longer by chance, so that clients that started together do not ask together for ever. */
  #planNext(): void {
    const { intervalMinMs, refreshEveryMs } = this.#options;
    const isWanted = this.#isAskedAgain || this.#kept.isHolding;
    const pauseMs = isWanted ? intervalMinMs : Math.max(intervalMinMs, refreshEveryMs);
    const extraMs = this.#isFirst && !isWanted ? pauseMs * this.#random() : 0;
    this.#isFirst = false;
    this.#lookAt(this.#lookupStartedMs + pauseMs + extraMs);
  }

  #cancelTimer(): void {
    if (this.#timer !== null) this.#time.cancel(this.#timer);
    this.#timer = null;
    this.#timerDueMs = Infinity;
  }
}

/** Only the records of the first priority: the others are for when there are none of those. RFC 2782. */
function fromServices(records: readonly ServiceRecord[]): Instance[] {
  const usable = records.filter(({ host }) => host !== '' && host !== '.'); // '.': decidedly not available
  const first = Math.min(...usable.map(({ priority }) => priority));
  const instances = new Map<string, Instance>();
  for (const { host, port, priority, weight } of usable) {
    if (priority !== first) continue;
    const instance = instanceOf({ host, port, weight: Math.max(1, weight) });
    instances.set(instance.id, instance);
  }
  return [...instances.values()].toSorted((one, other) => (one.id < other.id ? -1 : 1));
}
