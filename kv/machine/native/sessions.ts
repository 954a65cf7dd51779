// Sessions: who retries what. Each keeps the answers of its last writes, so that a write sent again is executed once.
// native-executor.ts asks; everything here follows from the log alone, so that all members agree, also on who is evicted.
// A session ends when log time passes its deadline, when its client closes it, or when it is the least recently used of
// more than SESSIONS_MAX. After a change of leader every session has its whole ttl again.

import type { ValueReader, ValueWriter } from '../value.js';
import { DeadlineQueue } from './deadline-queue.js';
import { SESSION_REPLY_BYTES_MAX, SESSION_WINDOW, SESSIONS_MAX } from './native-limits.js';
import { decodeOutcome, encodeOutcome, type OutcomeInit } from './outcomes.js';

export interface Session {
  readonly id: number;
  readonly ttlMs: number;
  /** Log time of its last command. */
  seenMs: number;
  /** Sequences below have been answered, and their answers let go. */
  floor: number;
  /** By sequence, in the order of execution; null where only the fact is kept. */
  readonly replies: Map<number, OutcomeInit | null>;
  replyBytes: number;
}

/** What is known of a sequence before it is executed. */
export type Seen =
  | { readonly kind: 'new' | 'old' | 'above-window' | 'reply-lost' }
  | { readonly kind: 'repeated'; readonly outcome: OutcomeInit };

const NEW: Seen = { kind: 'new' };
const OLD: Seen = { kind: 'old' };
const ABOVE_WINDOW: Seen = { kind: 'above-window' };
const REPLY_LOST: Seen = { kind: 'reply-lost' };

/** Counted for each session beside its answers. */
const SESSION_BYTES = 400;

export class Sessions {
  /** Least recently used first. */
  readonly #sessions = new Map<number, Session>();
  #nextId = 1;
  /** Log time at which the present leader's first entry was applied. */
  #termStartMs = 0;
  readonly #queue = new DeadlineQueue((id) => this.#deadlineOf(id));
  #replyBytes = 0;

  get size(): number {
    return this.#sessions.size;
  }

  get memoryBytes(): number {
    return this.#sessions.size * SESSION_BYTES + this.#replyBytes;
  }

  /** A change of leader: nobody loses time in which there was none to hear a keep-alive. */
  termStarted(nowMs: number): void {
    this.#termStartMs = nowMs;
  }

  open(ttlMs: number, nowMs: number): Session {
    if (this.#sessions.size >= SESSIONS_MAX) {
      this.close(this.#sessions.keys().next().value!);
    }
    const id = this.#nextId;
    this.#nextId += 1;
    const session = { id, ttlMs, seenMs: nowMs, floor: 1, replies: new Map(), replyBytes: 0 };
    this.#sessions.set(id, session);
    this.#queue.add(id, nowMs + ttlMs, this.#sessions.size);
    return session;
  }

  /** The session, which counts as used from now on; undefined when it is over. */
  use(id: number, nowMs: number): Session | undefined {
    const session = this.#sessions.get(id);
    if (session === undefined) return undefined;
    session.seenMs = nowMs;
    this.#sessions.delete(id);
    this.#sessions.set(id, session);
    return session;
  }

  close(id: number): void {
    this.#replyBytes -= this.#sessions.get(id)?.replyBytes ?? 0;
    this.#sessions.delete(id);
  }

  /** Lets go of the answers below `acknowledged` and looks the sequence up. */
  look(session: Session, sequence: number, acknowledged: number): Seen {
    if (acknowledged > session.floor) {
      session.floor = acknowledged;
      for (const [old, outcome] of session.replies) {
        if (old >= acknowledged) continue;
        session.replies.delete(old);
        this.#count(session, outcome, -1);
      }
    }
    if (sequence < session.floor) return OLD;
    const outcome = session.replies.get(sequence);
    if (outcome !== undefined) return outcome === null ? REPLY_LOST : { kind: 'repeated', outcome };
    return sequence < session.floor + SESSION_WINDOW ? NEW : ABOVE_WINDOW;
  }

  /** The sequence was executed. The answer is shared: nobody changes it any more. */
  keep(session: Session, sequence: number, outcome: OutcomeInit): void {
    const kept = sizeOf(outcome) <= SESSION_REPLY_BYTES_MAX ? outcome : null;
    session.replies.set(sequence, kept);
    this.#count(session, kept, 1);
    if (session.replyBytes <= SESSION_REPLY_BYTES_MAX) return;
    for (const [old, reply] of session.replies) {
      if (reply === null || old === sequence) continue;
      session.replies.set(old, null);
      this.#count(session, reply, -1);
      if (session.replyBytes <= SESSION_REPLY_BYTES_MAX) return;
    }
  }

  /** Ends the sessions whose time is over. */
  expire(nowMs: number): void {
    for (let id = this.#queue.due(nowMs); id !== null; id = this.#queue.due(nowMs)) {
      this.close(id);
    }
  }

  nextDeadlineMs(): number | null {
    return this.#queue.nextMs();
  }

  encode(writer: ValueWriter): void {
    writer.uint(this.#nextId);
    writer.uint(this.#termStartMs);
    writer.uint(this.#sessions.size);
    for (const { id, ttlMs, seenMs, floor, replies } of this.#sessions.values()) {
      for (const number of [id, ttlMs, seenMs, floor, replies.size]) writer.uint(number);
      for (const [sequence, outcome] of replies) {
        writer.uint(sequence - floor);
        writer.byte(outcome === null ? 0 : 1);
        if (outcome !== null) writer.bytes(Buffer.from(encodeOutcome(outcome)));
      }
    }
  }

  /** @throws KvError KV_SNAPSHOT_DAMAGED */
  decode(reader: ValueReader): void {
    this.#nextId = reader.uint();
    this.#termStartMs = reader.uint();
    for (let left = reader.count(5); left > 0; left -= 1) {
      const [id, ttlMs, seenMs, floor] = [reader.uint(), reader.uint(), reader.uint(), reader.uint()];
      const session: Session = { id, ttlMs, seenMs, floor, replies: new Map(), replyBytes: 0 };
      for (let replies = reader.count(2); replies > 0; replies -= 1) {
        const sequence = floor + reader.uint();
        const outcome = reader.byte() === 0 ? null : decodeOutcome(reader.buffer());
        session.replies.set(sequence, outcome);
        this.#count(session, outcome, 1);
      }
      this.#sessions.set(id, session);
      this.#queue.add(id, this.#deadlineOf(id)!, this.#sessions.size);
    }
  }

  #deadlineOf(id: number): number | undefined {
    const session = this.#sessions.get(id);
    if (session === undefined) return undefined;
    return Math.max(session.seenMs, this.#termStartMs) + session.ttlMs;
  }

  #count(session: Session, outcome: OutcomeInit | null, sign: 1 | -1): void {
    if (outcome === null) return;
    const bytes = sign * sizeOf(outcome);
    session.replyBytes += bytes;
    this.#replyBytes += bytes;
  }
}

/** Of all byte fields and texts, with something for every object: the same before and after a snapshot. */
function sizeOf(value: unknown): number {
  if (value instanceof Uint8Array || typeof value === 'string') return value.length;
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + sizeOf(item), 0);
  if (typeof value !== 'object' || value === null) return 0;
  let sum = 32;
  for (const item of Object.values(value)) sum += sizeOf(item);
  return sum;
}
