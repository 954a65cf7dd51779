// Barriers: one that somebody holds up and all wait for, and a double one that a number of participants enter together and
// leave together. A double barrier's name is for one use.

import type { Clerk } from '../client/clerk.js';
import type { Lease } from '../client/lease.js';
import { op } from '../client/operations.js';
import { KvError } from '../errors.js';
import { leave, takePlace, TURN_TTL_MS, type TurnOptions, type WaitOptions } from './turn.js';

export class Barrier {
  readonly #clerk: Clerk;
  readonly #key: string;

  constructor(clerk: Clerk, name: string) {
    this.#clerk = clerk;
    this.#key = name;
  }

  /** From now on everybody waits. With a lease it comes down when whoever put it up dies. */
  async hold({ lease = 0 }: { readonly lease?: number } = {}): Promise<void> {
    await this.#clerk.put(this.#key, '', { lease });
  }

  /** Everybody goes on. */
  async release(): Promise<void> {
    await this.#clerk.delete(this.#key);
  }

  /** Resolves when the barrier is down. @throws KvError KV_CANCELLED, KV_TIMEOUT */
  wait(options: WaitOptions = {}): Promise<void> {
    return until(this.#clerk, { key: this.#key }, options, async (signal) => {
      const { answer, revision } = await this.#clerk.inquire(
        op.range(keyOnly(this.#key), { keysOnly: true }),
        { signal },
      );
      return answer.pairs.length === 0 ? null : revision;
    });
  }
}

export class DoubleBarrier {
  readonly #clerk: Clerk;
  readonly #members: string;
  readonly #ready: string;
  readonly #count: number;
  readonly #ttlMs: number;
  #lease: Lease | null = null;
  #key: Buffer | null = null;

  /** One of `count` participants, each of which has an object of its own. */
  constructor(clerk: Clerk, name: string, count: number, options: TurnOptions = {}) {
    this.#clerk = clerk;
    this.#members = `${name}/members/`;
    this.#ready = `${name}/ready`;
    this.#count = count;
    this.#ttlMs = options.ttlMs ?? TURN_TTL_MS;
  }

  /** Aborts when this participant counts no more; null before enter(). */
  get signal(): AbortSignal | null {
    return this.#lease?.signal ?? null;
  }

  /** Resolves when all have come. @throws KvError KV_CANCELLED, KV_TIMEOUT: then this one has left */
  async enter(options: WaitOptions = {}): Promise<void> {
    const clerk = this.#clerk;
    const { lease, key } = await takePlace(clerk, this.#members, '', this.#ttlMs, options.signal);
    this.#lease = lease;
    this.#key = key;
    try {
      const { pairs } = await clerk.range({ prefix: this.#members }, { limit: this.#count, keysOnly: true });
      if (pairs.length >= this.#count) await clerk.put(this.#ready, '');
      await until(clerk, { key: this.#ready }, options, async (signal) => {
        const { answer, revision } = await clerk.inquire(op.range(keyOnly(this.#ready), { keysOnly: true }), {
          signal,
        });
        return answer.pairs.length > 0 ? null : revision;
      });
    } catch (error) {
      await leave(lease);
      throw error;
    }
  }

  /** Resolves when all have left, or died. @throws KvError KV_CANCELLED, KV_TIMEOUT */
  async leave(options: WaitOptions = {}): Promise<void> {
    const clerk = this.#clerk;
    if (this.#key === null || this.#lease === null)
      throw new KvError('KV_OPTION_INVALID', 'leave() comes after enter()');
    await this.#lease.revoke();
    await until(clerk, { prefix: this.#members }, options, async (signal) => {
      const { answer, revision } = await clerk.inquire(
        op.range({ prefix: this.#members }, { limit: 1, keysOnly: true }),
        { signal },
      );
      return answer.pairs.length === 0 ? null : revision;
    });
    await clerk.delete(this.#ready);
  }
}

/** `look` gives null when what is waited for is so, else the revision it looked at; it looks again after each change. */
async function until(
  clerk: Clerk,
  target: { readonly key: string } | { readonly prefix: string },
  { signal, timeoutMs }: WaitOptions,
  look: (signal: AbortSignal) => Promise<number | null>,
): Promise<void> {
  const timeout = timeoutMs === undefined ? null : AbortSignal.timeout(timeoutMs);
  const signals = [...(signal === undefined ? [] : [signal]), ...(timeout === null ? [] : [timeout])];
  const anySignal = AbortSignal.any(signals);
  for (;;) {
    if (signal?.aborted === true) throw new KvError('KV_CANCELLED', 'waiting at the barrier was cancelled');
    if (timeout?.aborted === true) throw new KvError('KV_TIMEOUT', 'the others did not come in time');
    try {
      const revision = await look(anySignal);
      if (revision === null) return;
      const watch = clerk.watch(target, { from: revision + 1, keysOnly: true, signal: anySignal });
      for await (const { events } of watch.batches()) if (events.length > 0) break;
    } catch (error) {
      const isKnown =
        error instanceof KvError && (error.code === 'KV_COMPACTED' || error.code === 'KV_CANCELLED');
      if (!isKnown) throw error;
    }
  }
}

function keyOnly(key: string): { start: string; end: Buffer } {
  return { start: key, end: Buffer.concat([Buffer.from(key, 'utf8'), Buffer.from([0])]) };
}
