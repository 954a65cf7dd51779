// One Watch call: the watches that its client made, and what they are told.
// Requests are read in the background; `responses()` is pulled at the pace of the client. Between pulls nothing is kept but
// a revision per watch and a bounded list of answers to requests.

import { KvError } from '../errors.js';
import type { Change, ChangeSet } from '../machine/changes.js';
import type { Machine } from '../machine/machine.js';
import { bytesFrom } from '../machine/native/outcomes.js';
import {
  EventKind,
  type WatchCreate,
  WatchKind,
  type WatchEvent,
  type WatchRequest,
  type WatchResponse,
} from '../proto/kv.js';
import type { MessageInit } from '../../rpc/index.js';
import type { HubWatch, WatchHub } from './watch-hub.js';
import { isTarget, targetFrom, type WatchTarget } from './watch-target.js';

type ResponseInit = MessageInit<WatchResponse>;

export interface WatchStreamParts {
  /** The one of now: a snapshot replaces it. */
  readonly machine: () => Machine;
  readonly hub: WatchHub;
  /** Milliseconds of a clock that does not jump. */
  readonly nowMs: () => number;
  /** Calls `task` once, `delayMs` from now; what it returns takes that back. */
  readonly after: (delayMs: number, task: () => void) => () => void;
}

const WATCHES_MAX = 1000;
/** Answers to requests that wait for the client; then no more requests are read. */
const ANSWERS_MAX = 64;
const EVENTS_PER_MESSAGE = 1000;
const BYTES_PER_MESSAGE = 2 ** 20;
/** Revisions that one watch looks at before the next has its turn. */
const SETS_PER_TURN = 500;
const PROGRESS_MS_MIN = 100;

class Watch implements HubWatch {
  readonly id: bigint;
  readonly target: WatchTarget;
  readonly request: WatchCreate;
  readonly #onWake: (watch: Watch) => void;
  pendingFrom = 0;
  /** Events before are not wanted. */
  readonly startRevision: number;
  /** When it last heard something. */
  toldMs: number;

  constructor(request: WatchCreate, startRevision: number, nowMs: number, onWake: (watch: Watch) => void) {
    this.id = request.watchId;
    this.request = request;
    this.target = targetFrom(request);
    this.startRevision = startRevision;
    this.toldMs = nowMs;
    this.#onWake = onWake;
  }

  wake(): void {
    this.#onWake(this);
  }
}

export class WatchStream {
  readonly #parts: WatchStreamParts;
  readonly #watches = new Map<bigint, Watch>();
  readonly #dirty = new Set<Watch>();
  readonly #answers: ResponseInit[] = [];
  #isEnded = false;
  #failure: unknown = null;
  /** Set while the responses wait for something to do. */
  #resume: (() => void) | null = null;
  /** Set while requests wait until answers were taken. */
  #readOn: (() => void) | null = null;

  constructor(parts: WatchStreamParts) {
    this.#parts = parts;
  }

  /** Ends the stream: its client left, or the member stops. */
  end(): void {
    this.#isEnded = true;
    this.#wake();
    this.#readOn?.();
  }

  /** Until the client or end() ends it. @throws whatever reading the requests threw */
  async *responses(requests: AsyncIterable<WatchRequest>): AsyncGenerator<ResponseInit> {
    void this.#read(requests); // takes care of its own errors
    try {
      while (!this.#isEnded) {
        const answer = this.#answers.shift();
        if (answer !== undefined) {
          this.#readOn?.();
          yield answer;
          continue;
        }
        const dirty = this.#dirty.values().next().value;
        if (dirty !== undefined) {
          yield* this.#tell(dirty);
          continue;
        }
        const dueMs = this.#progressDueMs();
        if (dueMs <= 0) yield* this.#progress();
        else await this.#sleep(dueMs);
      }
      if (this.#failure !== null) throw this.#failure;
    } finally {
      this.#isEnded = true;
      this.#readOn?.();
      for (const watch of this.#watches.values()) this.#parts.hub.remove(watch);
      this.#watches.clear();
      this.#dirty.clear();
    }
  }

  async #read(requests: AsyncIterable<WatchRequest>): Promise<void> {
    try {
      for await (const request of requests) {
        if (this.#isEnded) return;
        this.#handle(request);
        this.#wake();
        if (this.#answers.length >= ANSWERS_MAX) {
          await new Promise<void>((resolve) => {
            this.#readOn = resolve;
          });
          this.#readOn = null;
        }
      }
      // A client that asks for nothing more may go on listening.
    } catch (error) {
      this.#failure ??= error;
      this.#isEnded = true;
      this.#wake();
    }
  }

  #handle({ create, cancel, progress }: WatchRequest): void {
    if (create !== undefined) this.#create(create);
    else if (cancel !== undefined) {
      const watch = this.#watches.get(cancel.watchId);
      if (watch !== undefined) this.#drop(watch);
      this.#answers.push({ watchId: cancel.watchId, kind: WatchKind.CANCELLED, revision: this.#revision });
    } else if (progress !== undefined) {
      for (const watch of this.#watches.values()) watch.toldMs = Number.NEGATIVE_INFINITY;
    } else throw new KvError('KV_REQUEST_INVALID', 'a watch request says nothing');
  }

  #create(request: WatchCreate): void {
    const { watchId, startRevision } = request;
    const { hub, machine, nowMs } = this.#parts;
    try {
      if (watchId === 0n || this.#watches.has(watchId))
        throw new KvError('KV_REQUEST_INVALID', `watch_id ${watchId} is 0 or in use on this stream`);
      if (this.#watches.size >= WATCHES_MAX)
        throw new KvError('KV_WATCHES_FULL', `the stream has ${WATCHES_MAX} watches`);
      const { revision, history } = machine();
      const start = startRevision === 0n ? revision + 1 : Number(startRevision);
      const watch = new Watch(request, start, nowMs(), (woken) => {
        this.#dirty.add(woken);
        this.#wake();
      });
      if (start <= history.compactedRevision) throw compacted(start, history.compactedRevision);
      hub.add(watch);
      this.#watches.set(watchId, watch);
      this.#answers.push({ watchId, kind: WatchKind.CREATED, revision: this.#revision });
      if (start <= revision) {
        watch.pendingFrom = start;
        watch.wake();
      }
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      this.#answers.push(this.#cancelled(watchId, error));
    }
  }

  /** Tells a watch what it has not heard, up to a bound; then the next one has its turn. */
  *#tell(watch: Watch): Generator<ResponseInit> {
    this.#dirty.delete(watch);
    const { history } = this.#parts.machine();
    let sets: readonly ChangeSet[];
    try {
      sets = history.after(watch.pendingFrom - 1, SETS_PER_TURN);
      if (sets.some(({ changes }) => changes.some(({ kind }) => kind === 'clear')))
        throw new KvError('KV_COMPACTED', 'more keys were deleted at once than are told one by one');
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      this.#drop(watch);
      yield this.#cancelled(watch.id, error);
      return;
    }
    const { messages, next } = batchOf(watch, sets);
    watch.pendingFrom = next ?? (sets.length === SETS_PER_TURN ? sets.at(-1)!.revision + 1 : 0);
    if (watch.pendingFrom !== 0) this.#dirty.add(watch);
    // Only what is said next is held while the client does not read.
    sets = [];
    for (const message of messages) {
      if (this.#watches.get(watch.id) !== watch) return; // cancelled meanwhile
      watch.toldMs = this.#parts.nowMs();
      yield message;
    }
  }

  *#progress(): Generator<ResponseInit> {
    const now = this.#parts.nowMs();
    for (const watch of this.#watches.values()) {
      if (this.#dueMs(watch, now) > 0 || watch.pendingFrom !== 0) continue;
      watch.toldMs = now;
      yield { watchId: watch.id, kind: WatchKind.PROGRESS, revision: this.#revision };
    }
  }

  #progressDueMs(): number {
    const now = this.#parts.nowMs();
    let due = Number.POSITIVE_INFINITY;
    for (const watch of this.#watches.values()) due = Math.min(due, this.#dueMs(watch, now));
    return due;
  }

  #dueMs({ request, toldMs }: Watch, now: number): number {
    if (toldMs === Number.NEGATIVE_INFINITY) return 0;
    const { progressMs } = request;
    if (progressMs === 0) return Number.POSITIVE_INFINITY;
    return toldMs + Math.max(progressMs, PROGRESS_MS_MIN) - now;
  }

  get #revision(): bigint {
    return BigInt(this.#parts.machine().revision);
  }

  #cancelled(watchId: bigint, error: KvError): ResponseInit {
    const { history } = this.#parts.machine();
    const { code, message } = error;
    return {
      watchId,
      kind: WatchKind.CANCELLED,
      revision: code === 'KV_COMPACTED' ? BigInt(history.compactedRevision + 1) : this.#revision,
      error: { code, message },
    };
  }

  #drop(watch: Watch): void {
    this.#watches.delete(watch.id);
    this.#dirty.delete(watch);
    this.#parts.hub.remove(watch);
  }

  #wake(): void {
    this.#resume?.();
  }

  #sleep(dueMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancelTimer = Number.isFinite(dueMs) ? this.#parts.after(dueMs, () => this.#resume?.()) : null;
      this.#resume = () => {
        this.#resume = null;
        cancelTimer?.();
        resolve();
      };
    });
  }
}

function compacted(start: number, compactedRevision: number): KvError {
  return new KvError(
    'KV_COMPACTED',
    `events since revision ${start} are wanted, those up to ${compactedRevision} are not kept any more`,
  );
}

/**
 * As many revisions in one message as fit; one that does not fit alone, in several.
 * @returns `next`: the revision to go on with, null when all were taken
 */
function batchOf(
  watch: Watch,
  sets: readonly ChangeSet[],
): { messages: readonly ResponseInit[]; next: number | null } {
  const head = { watchId: watch.id, kind: WatchKind.EVENTS };
  const events: MessageInit<WatchEvent>[] = [];
  let bytes = 0;
  let revision = 0;
  for (const set of sets) {
    if (set.revision < watch.startRevision) continue;
    const own = set.changes.filter((change) => isWanted(watch, change));
    if (own.length === 0) continue;
    const ownBytes = own.reduce((sum, change) => sum + bytesOf(change), 0);
    const isTooMuch = events.length + own.length > EVENTS_PER_MESSAGE || bytes + ownBytes > BYTES_PER_MESSAGE;
    if (isTooMuch && events.length > 0) {
      return { messages: [{ ...head, revision: BigInt(revision), events }], next: set.revision };
    }
    if (isTooMuch) return { messages: partsOf(watch, set, own), next: set.revision + 1 };
    revision = set.revision;
    bytes += ownBytes;
    for (const change of own) events.push(eventOf(watch, set, change));
  }
  const messages = events.length === 0 ? [] : [{ ...head, revision: BigInt(revision), events }];
  return { messages, next: null };
}

/** One large revision. */
function partsOf(watch: Watch, set: ChangeSet, own: readonly Change[]): ResponseInit[] {
  const parts: { events: MessageInit<WatchEvent>[]; bytes: number }[] = [];
  for (const change of own) {
    const bytes = bytesOf(change);
    const part = parts.at(-1);
    if (
      part === undefined ||
      part.events.length >= EVENTS_PER_MESSAGE ||
      part.bytes + bytes > BYTES_PER_MESSAGE
    ) {
      parts.push({ events: [eventOf(watch, set, change)], bytes });
    } else {
      part.events.push(eventOf(watch, set, change));
      part.bytes += bytes;
    }
  }
  return parts.map(({ events }, at) => ({
    watchId: watch.id,
    kind: WatchKind.EVENTS,
    revision: BigInt(set.revision),
    events,
    more: at < parts.length - 1,
  }));
}

function bytesOf({ key, value }: Change): number {
  return key.length + (value?.length ?? 0) + 64;
}

function isWanted({ target, request }: Watch, { kind, key }: Change): boolean {
  if (kind === 'put' ? request.noPuts : request.noDeletes) return false;
  return isTarget(target, key);
}

function eventOf({ request }: Watch, set: ChangeSet, change: Change): MessageInit<WatchEvent> {
  const { kind, value, type, expireAtMs } = change;
  const key = bytesFrom(change.key);
  const modRevision = BigInt(set.revision);
  if (kind !== 'put') {
    return { kind: kind === 'expire' ? EventKind.EXPIRE : EventKind.DELETE, kv: { key, modRevision } };
  }
  return {
    kind: EventKind.PUT,
    kv: {
      key,
      ...(request.keysOnly || value === null ? {} : { value: bytesFrom(value) }),
      createRevision: BigInt(change.createRevision),
      modRevision,
      version: BigInt(change.writes),
      lease: BigInt(change.lease),
      ttlMs: expireAtMs === 0 ? 0n : BigInt(Math.max(0, expireAtMs - set.timeMs)),
      type: type !== 'string' ? type : value === null ? 'large' : '',
    },
  };
}
