// One watch: the events of a key, a span or the children of a path, in the order of revisions, each once, over whatever
// members it takes. A stream that breaks or falls silent is replaced by one at another member that goes on behind the last
// revision told. Clerk.watch() makes it; it reads from the network only as fast as its reader does.

import { detached, type MessageInit, type ResponseStream } from '../../rpc/index.js';
import { KvError, type KvErrorCode } from '../errors.js';
import { EventKind, type WatchCreate, type WatchEvent, WatchKind, type WatchResponse } from '../proto/kv.js';
import { attemptOf, type ClerkCaller, closed } from './clerk-caller.js';
import { type Backoff, backoffMs, judge } from './clerk-policy.js';
import { type KeySpan, spanOf } from './operations.js';
import { type BytesLike, bytesOf, KvPair } from './pair.js';

/** What is watched: a key, a span of keys, or the children of a path of the tree. */
export type WatchTarget = { readonly key: BytesLike } | { readonly children: BytesLike } | KeySpan;

export interface WatchOptions {
  /** The first revision wanted: after a read, its `revision` + 1. Default: the next one. */
  readonly from?: number;
  readonly keysOnly?: boolean;
  readonly noPuts?: boolean;
  readonly noDeletes?: boolean;
  /** Ends the watch. */
  readonly signal?: AbortSignal;
  /** How often a member says that nothing has happened; three times as long is too silent. Default 5,000, at least 100. */
  readonly progressMs?: number;
}

export interface KvEvent {
  readonly kind: 'put' | 'delete' | 'expire';
  readonly revision: number;
  /** Of what was deleted: its key and the revision that deleted it. */
  readonly pair: KvPair;
}

/** Whole revisions: what one command changed is never torn apart. */
export interface WatchBatch {
  /** Everything up to it has been told. */
  readonly revision: number;
  /** Empty where only the revision is news. */
  readonly events: readonly KvEvent[];
}

const WATCH_ID = 1n;
const PROGRESS_MS = 5_000;
const SILENT_PROGRESSES = 3;
const SILENT_MS_MIN = 2_000;
/** In a row, after which a member without a leader is left. */
const LEADERLESS_MAX = 2;

interface Opened {
  readonly address: string;
  readonly stream: ResponseStream<WatchResponse>;
  readonly messages: AsyncIterator<WatchResponse>;
}

export class ClerkWatch implements AsyncIterable<KvEvent> {
  readonly #caller: ClerkCaller;
  readonly #backoff: Backoff;
  readonly #random: () => number;
  readonly #create: MessageInit<WatchCreate>;
  readonly #progressMs: number;
  readonly #abort = new AbortController();
  readonly #signal: AbortSignal;
  /** The first revision that was not told; 0: the next one, whatever it is. */
  #next: number;
  #opened: Opened | null = null;
  #opening: Promise<boolean> | null = null;
  #isRead = false;
  #pauses = 0;
  /** Members that do not remember what is wanted. */
  readonly #forgetful = new Set<string>();

  /** Clerk.watch() makes it. */
  constructor(
    caller: ClerkCaller,
    parts: { readonly backoff: Backoff; readonly random: () => number },
    target: WatchTarget,
    options: WatchOptions,
  ) {
    const {
      from = 0,
      keysOnly = false,
      noPuts = false,
      noDeletes = false,
      progressMs = PROGRESS_MS,
      signal,
    } = options;
    this.#caller = caller;
    this.#backoff = parts.backoff;
    this.#random = parts.random;
    this.#next = from;
    this.#progressMs = progressMs;
    this.#create = { watchId: WATCH_ID, ...targetOf(target), progressMs, keysOnly, noPuts, noDeletes };
    this.#signal = signal === undefined ? this.#abort.signal : AbortSignal.any([signal, this.#abort.signal]);
  }

  /** Everything up to it has been told; 0 before anything was. */
  get revision(): number {
    return Math.max(0, this.#next - 1);
  }

  /**
   * Resolves once a member watches: changes from then on are told.
   * @throws KvError KV_COMPACTED, KV_CLOSED, KV_CANCELLED, KV_REFUSED; KV_CLUSTER_FOREIGN: all members are of another cluster
   */
  async ready(): Promise<this> {
    if (!(this.#isOpen || (await this.#open()))) throw this.#over();
    return this;
  }

  /**
   * Ends when its signal aborts, close() is called, or the clerk closes. One reader at a time.
   * @throws KvError KV_COMPACTED: what is wanted is not remembered any more, read again and watch from there; KV_REFUSED;
   *   KV_CLUSTER_FOREIGN: all members are of another cluster
   */
  async *batches(): AsyncGenerator<WatchBatch, void, undefined> {
    if (this.#isRead) throw new KvError('KV_OPTION_INVALID', 'a watch has one reader');
    this.#isRead = true;
    try {
      let parts: KvEvent[] = [];
      while (this.#isOpen || (await this.#open())) {
        const message = await this.#message();
        if (message === null) {
          parts = [];
          continue;
        }
        const revision = Number(message.revision);
        if (message.kind === WatchKind.EVENTS) parts.push(...message.events.map(eventOf));
        if (message.more) continue;
        this.#next = Math.max(this.#next, revision + 1);
        yield { revision, events: parts };
        parts = [];
      }
    } finally {
      this.close();
      this.#isRead = false;
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<KvEvent, void, undefined> {
    for await (const { events } of this.batches()) yield* events;
  }

  /** Idempotent. */
  close(): void {
    this.#abort.abort();
    this.#leave();
  }

  get #isOver(): boolean {
    return this.#signal.aborted || this.#caller.isClosed;
  }

  #over(): KvError {
    return this.#caller.isClosed ? closed() : new KvError('KV_CANCELLED', 'the watch was ended');
  }

  get #isOpen(): boolean {
    return this.#opened !== null && this.#opening === null;
  }

  /** @returns false: it is over */
  #open(): Promise<boolean> {
    this.#opening ??= this.#openAnywhere().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #openAnywhere(): Promise<boolean> {
    let tried: Set<string> | null = null;
    /** Of this round: what a member of another cluster said, and whether anything else came of it. */
    let foreign: Error | null = null;
    let isOther = false;
    while (!this.#isOver) {
      const { choice } = this.#caller;
      const nowMs = this.#caller.clock.nowMs();
      const address = choice.pickAny(nowMs, union(tried, this.#forgetful));
      if (address === null) {
        if (foreign !== null && !isOther && this.#forgetful.size === 0)
          throw new KvError('KV_CLUSTER_FOREIGN', `all members are of another cluster: ${foreign.message}`);
        tried = null;
        foreign = null;
        isOther = false;
        await this.#pause();
        continue;
      }
      try {
        if (await this.#openAt(address)) return true;
      } catch (error) {
        const isForeign = attemptOf(error).code === 'KV_CLUSTER_FOREIGN';
        if (error instanceof KvError && !isForeign) throw error;
        if (this.#isOver) break;
        if (isForeign)
          foreign = error as Error; // such a code comes with an error of ours
        else isOther = true;
        this.#blame(error, address);
      }
      (tried ??= new Set()).add(address);
    }
    return false;
  }

  /** @returns false: this member does not remember what is wanted, another may. @throws RpcError; KvError: no member will do */
  async #openAt(address: string): Promise<boolean> {
    const create = { ...this.#create, startRevision: BigInt(this.#next) };
    const stream = await detached(async () => {
      const { client, callOptions } = await this.#caller.streamsOf(address, this.#signal);
      return client.watch([{ create }], {
        ...callOptions,
        timeoutMs: Number.POSITIVE_INFINITY,
        signal: this.#signal,
      });
    });
    stream.headers.catch(ignored);
    stream.trailers.catch(ignored);
    this.#opened = { address, stream, messages: stream[Symbol.asyncIterator]() };
    const { done, value } = await this.#nextMessage(this.#opened).catch((error: unknown) => {
      this.#opened = null;
      throw error;
    });
    if (done === true) {
      this.#opened = null;
      throw new Error('the stream ended before the watch began');
    }
    if (value.kind === WatchKind.CREATED) {
      if (this.#next === 0) this.#next = Number(value.revision) + 1;
      this.#forgetful.clear();
      this.#caller.choice.succeeded(address);
      return true;
    }
    this.#leave();
    this.#cancelled(value, address);
    return false;
  }

  /** The next one that tells something; null: the stream broke, or there is another one to be opened. */
  async #message(): Promise<WatchResponse | null> {
    let leaderless = 0;
    for (;;) {
      const opened = this.#opened!;
      try {
        const { done, value } = await this.#nextMessage(opened);
        if (done === true || this.#isOver) {
          this.#leave();
          return null;
        }
        if (value.kind === WatchKind.CANCELLED) {
          this.#leave();
          this.#cancelled(value, opened.address);
          return null;
        }
        this.#pauses = 0;
        if (value.kind === WatchKind.EVENTS) return value;
        if (Number(value.revision) >= this.#next) return value;
        // Nothing has happened: or is this member cut off from the others?
        leaderless = (await this.#hasLeader(opened.address)) ? 0 : leaderless + 1;
        if (leaderless >= LEADERLESS_MAX) {
          this.#leave();
          this.#caller.choice.failed(opened.address, this.#caller.clock.nowMs(), this.#random);
          return null;
        }
      } catch (error) {
        this.#opened = null;
        if (error instanceof KvError) throw error;
        if (this.#isOver) return null;
        this.#blame(error, opened.address);
        return null;
      }
    }
  }

  /** Gives up a member that says nothing, though it should say at least that nothing has happened. */
  async #nextMessage({ stream, messages }: Opened): Promise<IteratorResult<WatchResponse>> {
    const silentMs = Math.max(SILENT_MS_MIN, this.#progressMs * SILENT_PROGRESSES);
    const cancelTimer = this.#caller.clock.after(silentMs, () => stream.cancel());
    try {
      return await messages.next();
    } finally {
      cancelTimer();
    }
  }

  async #hasLeader(address: string): Promise<boolean> {
    try {
      const { leader } = await this.#caller.call({
        repetition: 'harmless',
        at: address,
        deadlineMs: this.#caller.clock.nowMs() + this.#progressMs,
        signal: this.#signal,
        send: async (client, attempt) => ({
          leader: (await client.status({}, attempt)).leader ?? { id: 0, address: '' },
        }),
      });
      return leader.id !== 0;
    } catch {
      return false; // or it cannot be asked, which is no better
    }
  }

  /** @throws KvError unless another member may remember more */
  #cancelled({ error, revision }: WatchResponse, address: string): void {
    const code = error?.code ?? 'KV_CLOSED';
    if (code !== 'KV_COMPACTED')
      throw new KvError(code as KvErrorCode, error?.message ?? 'the member ended the watch');
    this.#forgetful.add(address);
    if (this.#caller.choice.pickAny(this.#caller.clock.nowMs(), this.#forgetful) !== null) return;
    throw new KvError(
      'KV_COMPACTED',
      `${error?.message ?? ''}; revision ${revision} is the least that may be asked for`,
    );
  }

  /** @throws KvError where no other member would do better */
  #blame(error: unknown, address: string): void {
    const attempt = attemptOf(error);
    const verdict = judge(attempt, 'harmless');
    // A stream that is cancelled here was silent.
    if (verdict.kind === 'final' && attempt.code !== 'RPC_CANCELLED')
      throw new KvError('KV_REFUSED', `${attempt.code}: ${String(error)}`, { cause: error });
    this.#caller.choice.failed(address, this.#caller.clock.nowMs(), this.#random);
  }

  async #pause(): Promise<void> {
    if (this.#forgetful.size > 0) this.#forgetful.clear(); // those that were away may be back, and remember
    const ms = backoffMs(this.#pauses, this.#backoff, this.#random);
    this.#pauses += 1;
    await this.#caller.pause(ms, this.#signal);
  }

  #leave(): void {
    this.#opened?.stream.cancel();
    this.#opened = null;
  }
}

function ignored(): void {
  // Whoever reads the messages hears of the failure.
}

function union(a: ReadonlySet<string> | null, b: ReadonlySet<string>): ReadonlySet<string> | null {
  if (b.size === 0) return a;
  return a === null ? b : new Set([...a, ...b]);
}

function targetOf(target: WatchTarget): MessageInit<WatchCreate> {
  if (target !== 'all' && 'key' in target) return { key: bytesOf(target.key) };
  if (target !== 'all' && 'children' in target) return { children: bytesOf(target.children) };
  return { range: spanOf(target) };
}

function eventOf({ kind, kv }: WatchEvent): KvEvent {
  const pair = new KvPair(kv ?? NOTHING);
  return {
    kind: kind === EventKind.PUT ? 'put' : kind === EventKind.EXPIRE ? 'expire' : 'delete',
    revision: pair.modRevision,
    pair,
  };
}

const NOTHING = {
  key: new Uint8Array(),
  value: new Uint8Array(),
  createRevision: 0n,
  modRevision: 0n,
  version: 0n,
  lease: 0n,
  ttlMs: 0n,
  type: '',
};
