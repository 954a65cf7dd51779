// Waiting for one's turn: numbered keys under a prefix are a queue, and whoever has few enough before it is at the front.
// lock.ts, election.ts and semaphore.ts stand on it. The key goes with its lease, so that nobody waits for the dead.

import type { Clerk } from '../client/clerk.js';
import type { Lease } from '../client/lease.js';
import { op } from '../client/operations.js';
import { KvError } from '../errors.js';

export interface TurnOptions {
  /** Of the lease, in milliseconds: how long others wait for a holder that has died. Default 10,000. */
  readonly ttlMs?: number;
}

export const TURN_TTL_MS = 10_000;

/** A place in the queue. */
export interface Place {
  readonly lease: Lease;
  readonly key: Buffer;
  /** The revision at which the key came to be: larger for whoever comes later. */
  readonly revision: number;
}

export interface WaitOptions {
  /** Ends the wait. */
  readonly signal?: AbortSignal;
  /** Default: as long as it takes. */
  readonly timeoutMs?: number;
}

/** Looks once and does not wait: KV_BUSY where it is not one's turn. */
export interface TurnWait extends WaitOptions {
  readonly looksOnce?: boolean;
}

/** Takes a place at the end of the queue. @throws KvError as Clerk.execute does; nothing is left behind but what a lease ends */
export async function takePlace(
  clerk: Clerk,
  prefix: string,
  value: string | Uint8Array,
  ttlMs: number,
  signal?: AbortSignal,
): Promise<Place> {
  const request = signal === undefined ? {} : { signal };
  const lease = await clerk.lease({ ttlMs }, request);
  try {
    const { key, revision } = await clerk.putSequential(prefix, value, { lease: lease.id, ...request });
    return { lease, key, revision };
  } catch (error) {
    await leave(lease);
    throw error;
  }
}

/** Ends a lease of which nobody waits to hear: it runs out where it cannot be revoked. */
export async function leave(lease: Lease): Promise<void> {
  try {
    await lease.revoke();
  } catch (error) {
    if (!(error instanceof KvError)) throw error;
  }
}

/**
 * Resolves once fewer than `permits` places are before this one.
 * @throws KvError KV_LEASE_NOT_FOUND: the place was lost; KV_CANCELLED, KV_TIMEOUT: the wait was ended; KV_BUSY
 */
export async function waitForTurn(
  clerk: Clerk,
  prefix: string,
  { lease, key }: Place,
  permits: number,
  { signal, timeoutMs, looksOnce = false }: TurnWait = {},
): Promise<void> {
  const timeout = timeoutMs === undefined ? null : AbortSignal.timeout(timeoutMs);
  const signals = [
    lease.signal,
    ...(signal === undefined ? [] : [signal]),
    ...(timeout === null ? [] : [timeout]),
  ];
  const anySignal = AbortSignal.any(signals);
  const refuse = (): void => {
    if (lease.signal.aborted) throw lease.signal.reason;
    if (signal?.aborted === true) throw new KvError('KV_CANCELLED', 'waiting for a turn was cancelled');
    if (timeout?.aborted === true) throw new KvError('KV_TIMEOUT', 'the turn did not come in time');
  };
  for (;;) {
    refuse();
    const looked = await look(clerk, prefix, key, permits, anySignal).catch((error: unknown) => {
      refuse();
      throw error;
    });
    if (!looked.isThere) throw new KvError('KV_LEASE_NOT_FOUND', 'the place in the queue was lost');
    // Of one permit the one just before is waited for, so that a release wakes one and not all.
    if (looked.before.length < permits) return;
    if (looksOnce) throw new KvError('KV_BUSY', 'somebody else was there before');
    const target = permits === 1 ? { key: looked.before[0]! } : { prefix };
    const watch = clerk.watch(target, {
      from: looked.revision + 1,
      noPuts: true,
      keysOnly: true,
      signal: anySignal,
    });
    try {
      for await (const { events } of watch.batches()) if (events.length > 0) break;
    } catch (error) {
      // What has happened since is not remembered: look again.
      if (!(error instanceof KvError) || error.code !== 'KV_COMPACTED') throw error;
    }
  }
}

/** The nearest places before this one, as one read. */
async function look(
  clerk: Clerk,
  prefix: string,
  key: Buffer,
  permits: number,
  signal: AbortSignal,
): Promise<{ isThere: boolean; before: readonly Buffer[]; revision: number }> {
  const range = op.range({ start: prefix, end: key }, { reverse: true, limit: permits, keysOnly: true });
  const own = op.range({ start: key, end: Buffer.concat([key, Buffer.from([0])]) }, { keysOnly: true });
  const { answers, revision } = await clerk.txn({ signal }).do(range, own).commit();
  const [before, there] = answers as readonly { readonly pairs: readonly { readonly key: Buffer }[] }[]; // of two ranges
  return { isThere: there!.pairs.length > 0, before: before!.pairs.map((pair) => pair.key), revision };
}
