// Keeps the registry from emptying a service because it cannot hear its instances: after a share of them has run
// out within a window, no more of them expire until somebody confirms that they are gone.
// memory-store.ts asks it before each lease expires. Pure: time comes in.
// Confirmed is an instance whose own machine refuses its port (probe.ts), and a service that an operator confirms.

export interface ExpiryGuardOptions {
  /**
   * Share of a service's instances, and of the whole registry's, that may expire within the window; one always may.
   * Default 0.5; 1 switches the guard off.
   */
  expiryShareMax?: number;
  /** Default 60,000. */
  windowMs?: number;
  /** The whole registry's share is not looked at while this many or fewer expired. Default 5. */
  freeExpiries?: number;
}

export const EXPIRY_GUARD: Required<ExpiryGuardOptions> = {
  expiryShareMax: 0.5,
  windowMs: 60_000,
  freeExpiries: 5,
};

/** One lease that is about to expire: for each of its services how many instances are listed now. */
export type Expiring = ReadonlyMap<string, number>;

export class ExpiryGuard {
  readonly #options: Required<ExpiryGuardOptions>;
  /** When instances of each service expired, oldest first. */
  readonly #expiries = new Map<string, number[]>();
  #allExpiries: number[] = [];

  constructor(options: ExpiryGuardOptions = {}) {
    this.#options = { ...EXPIRY_GUARD, ...options };
  }

  /** Whether a lease may expire now. `listedInAll` counts the instances of the whole registry. */
  permits(expiring: Expiring, listedInAll: number, nowMs: number): boolean {
    this.#forget(nowMs);
    const { expiryShareMax, freeExpiries } = this.#options;
    for (const [service, listed] of expiring) {
      const gone = this.#expiries.get(service)?.length ?? 0;
      if (gone + 1 > Math.max(1, Math.floor(expiryShareMax * (listed + gone)))) return false;
    }
    const gone = this.#allExpiries.length;
    const allowance = Math.max(freeExpiries, Math.floor(expiryShareMax * (listedInAll + gone)));
    return gone + expiring.size <= allowance;
  }

  /** A lease has expired; not to be told of those that were confirmed. */
  expired(services: Iterable<string>, nowMs: number): void {
    for (const service of services) {
      const times = this.#expiries.get(service);
      if (times === undefined) this.#expiries.set(service, [nowMs]);
      else times.push(nowMs);
      this.#allExpiries.push(nowMs);
    }
  }

  #forget(nowMs: number): void {
    const fromMs = nowMs - this.#options.windowMs;
    if ((this.#allExpiries[0] ?? Number.POSITIVE_INFINITY) > fromMs) return;
    this.#allExpiries = this.#allExpiries.filter((ms) => ms > fromMs);
    for (const [service, times] of this.#expiries) {
      const kept = times.filter((ms) => ms > fromMs);
      if (kept.length === 0) this.#expiries.delete(service);
      else this.#expiries.set(service, kept);
    }
  }
}
