// A lease while somebody holds it: kept alive in time, and known to be lost no later than the store may have ended it.
// Clerk.lease() grants one. The time that is left is counted from when the last keep-alive that succeeded was sent, so that
// the holder gives up first.

import { KvError } from '../errors.js';
import type { ExecuteResponse } from '../proto/kv.js';
import type { ClerkCaller } from './clerk-caller.js';

export interface LeaseOptions {
  /** What is left after each keep-alive, in milliseconds; at least 100. */
  readonly ttlMs: number;
}

/** Keep-alives in the time of a lease. */
const KEEP_ALIVES = 3;
/** How long one keep-alive may go without an answer before the next is sent; they are harmless, and any may be lost. */
const ATTEMPTS = 10;
const ATTEMPT_MS_MIN = 500;

export class Lease {
  readonly id: number;
  readonly ttlMs: number;
  readonly #caller: ClerkCaller;
  readonly #revoke: () => Promise<void>;
  readonly #onEnd: (lease: Lease) => void;
  readonly #abort = new AbortController();
  #validUntilMs: number;
  #cancelKeeper: (() => void) | null = null;
  #keeping: Promise<void> | null = null;

  /** @param sentMs when the request that granted it was sent; `revoke` and `onEnd` are the clerk's */
  constructor(
    caller: ClerkCaller,
    granted: { readonly id: number; readonly ttlMs: number; readonly sentMs: number },
    revoke: () => Promise<void>,
    onEnd: (lease: Lease) => void,
  ) {
    this.id = granted.id;
    this.ttlMs = granted.ttlMs;
    this.#caller = caller;
    this.#revoke = revoke;
    this.#onEnd = onEnd;
    this.#validUntilMs = granted.sentMs + granted.ttlMs;
    this.#schedule();
  }

  /** Aborts as soon as the lease may have ended; the reason is a KvError. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Asks the clock, so that it is right even where no timer could run in time. */
  get isAlive(): boolean {
    return !this.signal.aborted && this.#caller.clock.nowMs() < this.#validUntilMs;
  }

  /** Milliseconds for which it surely lasts. */
  get remainingMs(): number {
    return this.signal.aborted ? 0 : Math.max(0, this.#validUntilMs - this.#caller.clock.nowMs());
  }

  /** Renews it now; it is renewed in time anyway. Resolves when that is done. @throws KvError KV_LEASE_NOT_FOUND: it is lost */
  keepAlive(): Promise<void> {
    this.#keeping ??= this.#renew().finally(() => {
      this.#keeping = null;
    });
    return this.#keeping;
  }

  /** Ends it, with its keys. Whatever comes of it, the lease is not kept alive any more. @throws KvError */
  async revoke(): Promise<void> {
    this.abandon(new KvError('KV_LEASE_NOT_FOUND', `lease ${this.id} was revoked here`));
    await this.#revoke();
  }

  /** Lets it run out. */
  abandon(reason: KvError = new KvError('KV_LEASE_NOT_FOUND', `lease ${this.id} was given up here`)): void {
    if (this.signal.aborted) return;
    this.#cancelKeeper?.();
    this.#onEnd(this);
    this.#abort.abort(reason);
  }

  #schedule(): void {
    this.#cancelKeeper?.();
    const { clock } = this.#caller;
    const renewInMs = this.#validUntilMs - clock.nowMs() - this.ttlMs * (1 - 1 / KEEP_ALIVES);
    this.#cancelKeeper = clock.afterIdle(Math.max(0, renewInMs), () => {
      // The end comes by this timer where no answer does.
      const leftMs = Math.max(0, this.#validUntilMs - clock.nowMs());
      this.#cancelKeeper = clock.afterIdle(leftMs, () => this.#lost());
      this.keepAlive().catch(() => this.#lost());
    });
  }

  async #renew(): Promise<void> {
    if (this.signal.aborted) throw this.signal.reason;
    let sentMs = 0;
    const { outcome } = await this.#caller.call<ExecuteResponse>({
      repetition: 'harmless',
      deadlineMs: this.#validUntilMs,
      attemptTimeoutMs: Math.min(this.ttlMs / KEEP_ALIVES, Math.max(this.ttlMs / ATTEMPTS, ATTEMPT_MS_MIN)),
      signal: this.signal,
      send: (client, attempt) => {
        sentMs = this.#caller.clock.nowMs();
        return client.execute({ command: { leaseKeepAlive: { ids: [BigInt(this.id)] } } }, attempt);
      },
    });
    const remainingMs = Number(outcome?.leases?.leases[0]?.remainingMs ?? 0);
    if (remainingMs === 0) {
      this.#lost();
      throw this.signal.reason;
    }
    this.#validUntilMs = Math.max(this.#validUntilMs, sentMs + remainingMs);
    if (!this.signal.aborted) this.#schedule();
  }

  #lost(): void {
    this.abandon(new KvError('KV_LEASE_NOT_FOUND', `lease ${this.id} has run out, or may have`));
  }
}
