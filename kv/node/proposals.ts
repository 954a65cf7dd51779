// What clients of this member want in the log, from their call until it was applied here.
// Submissions of one turn become one batch; a batch is proposed, by us or through the leader, until it was applied or
// nobody waits for it any more. Proposing the same bytes again is harmless: the machine knows them by origin, boot and
// sequence (docs/kv-server.md). kv-node.ts owns it: it says what became of proposals, and proposes.

import { KvError, type KvErrorCode } from '../errors.js';
import type { Done } from '../backend.js';
import { BATCH_HEAD_BYTES, BatchWriter, type EncodedItems, stampTime } from '../machine/batch.js';
import type { Reply } from '../machine/reply.js';

export interface ProposalLimits {
  /** Of one batch; a single submission may be bigger. */
  readonly batchBytesMax: number;
  /** Of one submission. */
  readonly submissionBytesMax: number;
  /** Of all that wait or are under way here. */
  readonly pendingBytesMax: number;
  readonly pendingCountMax: number;
}

interface Submission {
  readonly items: EncodedItems;
  readonly done: Done;
  readonly deadlineMs: number;
  /** Until when it waits for a leader, if there is none. */
  readonly leaderDeadlineMs: number;
  readonly isOwn: boolean;
}

interface Waiter {
  readonly count: number;
  readonly done: Done;
  readonly deadlineMs: number;
  readonly isOwn: boolean;
  isDone: boolean;
}

/** 'ready': to be proposed, perhaps again. 'forwarded': the leader has not answered. 'standing': it is in a log. */
type BatchState = 'ready' | 'forwarded' | 'standing';

export interface Batch {
  readonly sequence: number;
  bytes: Buffer;
  readonly waiters: readonly Waiter[];
  waiting: number;
  state: BatchState;
  attempts: number;
  forwardId: number;
  index: number;
  term: number;
  sentAtMs: number;
  /** Not before, after a refusal. */
  retryAtMs: number;
}

/** A batch waits no longer than this for the one before it. */
const HOLD_MS = 5;
const HOLD_BYTES_MAX = 65_536;
/** Of the crowd, with each batch. */
const CROWD_DECAY = 0.9;

export class Proposals {
  readonly #limits: ProposalLimits;
  readonly #origin: { readonly origin: number; readonly boot: number };
  readonly #onError: (error: unknown) => void;
  readonly #writer = new BatchWriter();
  #collecting: Submission[] = [];
  #collectedBytes = 0;
  #sealedMs = 0;
  readonly #batches = new Map<number, Batch>();
  readonly #forwards = new Map<number, Batch>();
  #nextSequence = 1;
  #pendingBytes = 0;
  #pendingCount = 0;
  #ownCount = 0;
  /** Submissions that waited at once, the most of late. */
  #crowd = 0;
  #closedError: KvError | null = null;
  submitted = 0;
  reproposed = 0;
  forwarded = 0;

  constructor(origin: number, boot: number, limits: ProposalLimits, onError: (error: unknown) => void) {
    this.#origin = { origin, boot };
    this.#limits = limits;
    this.#onError = onError;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Submissions that wait or are under way. */
  get pendingCount(): number {
    return this.#pendingCount;
  }

  /** Those that a client waits for, rather than this member itself. */
  get clientCount(): number {
    return this.#pendingCount - this.#ownCount;
  }

  /** Whether nothing is on its way, and as much was collected as lately waited at once: nobody else is likely to come. */
  get isComplete(): boolean {
    return this.#collecting.length >= this.#crowd && this.underWay === 0;
  }

  get hasCollected(): boolean {
    return this.#collecting.length > 0;
  }

  get collectedCount(): number {
    return this.#collecting.length;
  }

  /**
   * For how long what was collected stays back: while a batch of ours is on its way, what comes meanwhile makes up the next
   * one, for each costs every member the same whatever is in it. But not for long, and not when it is worth its own way.
   */
  holdMs(nowMs: number): number {
    if (this.#collectedBytes >= HOLD_BYTES_MAX || this.underWay === 0) return 0;
    return Math.max(0, this.#sealedMs + HOLD_MS - nowMs);
  }

  /** Batches that stand in a log or are on their way to the leader. */
  get underWay(): number {
    let count = 0;
    for (const { state } of this.#batches.values()) if (state !== 'ready') count += 1;
    return count;
  }

  /** @param isOwn this member asks, and nobody waits for it */
  submit(items: EncodedItems, done: Done, deadlineMs: number, leaderDeadlineMs: number, isOwn = false): void {
    const bytes = items.bytes.byteLength;
    const { submissionBytesMax, pendingBytesMax, pendingCountMax } = this.#limits;
    if (this.#closedError !== null) {
      this.#tell(done, this.#closedError, null);
    } else if (bytes > submissionBytesMax) {
      const text = `a request of ${bytes} bytes, the limit is ${submissionBytesMax}`;
      this.#tell(done, new KvError('KV_REQUEST_TOO_LARGE', text), null);
    } else if (this.#pendingCount >= pendingCountMax || this.#pendingBytes + bytes > pendingBytesMax) {
      const text = `${this.#pendingCount} requests of ${this.#pendingBytes} bytes wait already`;
      this.#tell(done, new KvError('KV_QUEUE_FULL', text), null);
    } else {
      this.#pendingBytes += bytes;
      this.#pendingCount += 1;
      if (isOwn) this.#ownCount += 1;
      this.submitted += 1;
      this.#collectedBytes += bytes;
      this.#collecting.push({ items, done, deadlineMs, leaderDeadlineMs, isOwn });
    }
  }

  /** The oldest batch that is to be proposed now; null when there is none. */
  ready(nowMs: number): Batch | null {
    for (const batch of this.#batches.values()) {
      if (batch.state === 'ready') return batch.retryAtMs <= nowMs ? batch : null;
    }
    return null;
  }

  /** Makes a batch of what was collected; null when there is nothing. */
  seal(nowMs: number): Batch | null {
    if (this.#collecting.length === 0) return null;
    this.#sealedMs = nowMs;
    this.#crowd = Math.max(this.#pendingCount, this.#crowd * CROWD_DECAY);
    const waiters: Waiter[] = [];
    for (const { items, done, deadlineMs, isOwn } of this.#collecting) {
      const isFull = this.#writer.bytes + items.bytes.byteLength > this.#limits.batchBytesMax;
      if (waiters.length > 0 && isFull) break;
      this.#writer.add(items);
      this.#collectedBytes -= items.bytes.byteLength;
      waiters.push({ count: items.count, done, deadlineMs, isOwn, isDone: false });
    }
    this.#collecting =
      waiters.length === this.#collecting.length ? [] : this.#collecting.slice(waiters.length);
    const sequence = this.#nextSequence;
    this.#nextSequence += 1;
    const batch: Batch = {
      sequence,
      bytes: this.#writer.take({ ...this.#origin, sequence }, 0),
      waiters,
      waiting: waiters.length,
      state: 'ready',
      attempts: 0,
      forwardId: 0,
      index: 0,
      term: 0,
      sentAtMs: 0,
      retryAtMs: 0,
    };
    this.#batches.set(sequence, batch);
    return batch;
  }

  /** The bytes to propose: a copy when they were proposed before, since somebody may hold them. */
  bytesOf(batch: Batch, timeMs: number): Buffer {
    if (batch.attempts > 0) {
      batch.bytes = Buffer.from(batch.bytes);
      this.reproposed += 1;
    }
    batch.attempts += 1;
    stampTime(batch.bytes, timeMs);
    return batch.bytes;
  }

  standsAt(batch: Batch, index: number, term: number): void {
    batch.state = 'standing';
    batch.index = index;
    batch.term = term;
  }

  wasForwarded(batch: Batch, id: number, nowMs: number): void {
    batch.state = 'forwarded';
    batch.forwardId = id;
    batch.sentAtMs = nowMs;
    this.forwarded += 1;
    this.#forwards.set(id, batch);
  }

  /** The leader's answer to a forwarded batch; index 0: it refused. */
  forwardAnswered(id: number, index: number, term: number, retryAtMs: number): void {
    const batch = this.#forwards.get(id);
    this.#forwards.delete(id);
    if (batch === undefined || batch.state !== 'forwarded' || batch.forwardId !== id) return;
    if (index > 0) this.standsAt(batch, index, term);
    else this.#again(batch, retryAtMs);
  }

  /** Nothing that is under way can be relied on: the leader is another, or was. */
  leaderChanged(): void {
    for (const batch of this.#batches.values()) if (batch.state !== 'ready') this.#again(batch, 0);
    this.#forwards.clear();
  }

  /** An entry was applied that is not ours, or not the expected one: whoever stood there has to go again. */
  displaced(index: number, term: number): void {
    for (const batch of this.#batches.values()) {
      if (batch.state !== 'standing' || batch.index > index) continue;
      if (batch.index < index || batch.term !== term) this.#again(batch, 0);
    }
  }

  /** Whether somebody waits for what this batch answers. */
  wants(origin: number, boot: number, sequence: number): boolean {
    if (origin !== this.#origin.origin || boot !== this.#origin.boot) return false;
    return this.#batches.has(sequence);
  }

  /** How many items each submission of a batch has, in order. */
  countsOf(sequence: number): readonly number[] {
    return this.#batches.get(sequence)?.waiters.map(({ count }) => count) ?? [];
  }

  /** The batch that was last told to stand at an index, whatever came of it there. */
  stoodAt(index: number): number | null {
    for (const batch of this.#batches.values()) if (batch.index === index) return batch.sequence;
    return null;
  }

  /** Our batch was applied: everybody hears what came of it. `replies` null: it was carried out unseen. */
  applied(sequence: number, replies: readonly Reply[] | null): void {
    const batch = this.#batches.get(sequence);
    if (batch === undefined) return;
    this.#forget(batch);
    let at = 0;
    for (const waiter of batch.waiters) {
      const from = at;
      at += waiter.count;
      if (waiter.isDone) continue;
      if (replies === null) {
        this.#end(waiter, unknownOutcome(UNANSWERED), null);
      } else {
        const isAll = batch.waiters.length === 1;
        this.#end(waiter, null, isAll ? replies : replies.slice(from, at));
      }
    }
  }

  /** Ends what has waited long enough, and looks again at what the leader should have answered. Called every tick. */
  sweep(nowMs: number, hasLeader: boolean, forwardTimeoutMs: number): void {
    for (const [id, batch] of this.#forwards) {
      if (batch.sentAtMs + forwardTimeoutMs > nowMs) continue;
      this.#forwards.delete(id);
      if (batch.state === 'forwarded' && batch.forwardId === id) this.#again(batch, 0);
    }
    for (const batch of this.#batches.values()) {
      for (const waiter of batch.waiters) {
        if (waiter.isDone || waiter.deadlineMs > nowMs) continue;
        batch.waiting -= 1;
        const error =
          batch.attempts === 0
            ? notDone(hasLeader)
            : unknownOutcome('it is not known whether it was carried out');
        this.#end(waiter, error, null);
      }
      if (batch.waiting === 0) this.#forget(batch);
    }
    if (this.#collecting.length === 0) return;
    const late: Submission[] = [];
    const kept: Submission[] = [];
    for (const each of this.#collecting) {
      const isLate = each.deadlineMs <= nowMs || (!hasLeader && each.leaderDeadlineMs <= nowMs);
      (isLate ? late : kept).push(each);
    }
    this.#collecting = kept;
    for (const each of late) this.#drop(each, notDone(hasLeader));
  }

  /** Ends everything and refuses what comes. */
  close(code: KvErrorCode, message: string): void {
    if (this.#closedError !== null) return;
    this.#closedError = new KvError(code, message);
    for (const batch of this.#batches.values()) {
      this.#forget(batch);
      for (const waiter of batch.waiters) {
        if (waiter.isDone) continue;
        this.#end(waiter, batch.attempts === 0 ? this.#closedError : unknownOutcome(message), null);
      }
    }
    for (const each of this.#collecting.splice(0)) this.#drop(each, this.#closedError);
  }

  #again(batch: Batch, retryAtMs: number): void {
    batch.state = 'ready';
    batch.retryAtMs = retryAtMs;
  }

  #forget(batch: Batch): void {
    if (!this.#batches.delete(batch.sequence)) return;
    this.#forwards.delete(batch.forwardId);
    this.#pendingBytes -= batch.bytes.byteLength - BATCH_HEAD_BYTES;
  }

  #drop(submission: Submission, error: KvError): void {
    this.#pendingBytes -= submission.items.bytes.byteLength;
    this.#collectedBytes -= submission.items.bytes.byteLength;
    this.#countDown(submission.isOwn);
    this.#tell(submission.done, error, null);
  }

  #end(waiter: Waiter, error: KvError | null, replies: readonly Reply[] | null): void {
    waiter.isDone = true;
    this.#countDown(waiter.isOwn);
    this.#tell(waiter.done, error, replies);
  }

  #countDown(isOwn: boolean): void {
    this.#pendingCount -= 1;
    if (isOwn) this.#ownCount -= 1;
  }

  /** Whoever is told has its own errors; they stop nothing here. */
  #tell(done: Done, error: KvError | null, replies: readonly Reply[] | null): void {
    try {
      done(error, replies);
    } catch (failure) {
      this.#onError(failure);
    }
  }
}

/** The machine passed over the batch: it had executed it, or it can no longer tell (docs/kv-machine.md, Executed once). */
const UNANSWERED =
  'the batch was sent again and passed over: it was carried out before without an answer, ' +
  'or it came too late for the log to tell whether it was';

function notDone(hasLeader: boolean): KvError {
  return hasLeader
    ? new KvError('KV_TIMEOUT', 'the request did not get into the log in time; it was not carried out')
    : new KvError('KV_NO_LEADER', 'the cluster has no leader; the request was not carried out');
}

function unknownOutcome(message: string): KvError {
  return new KvError('KV_OUTCOME_UNKNOWN', message);
}
