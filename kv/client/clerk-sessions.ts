// The sessions in which a Clerk writes: opened when first needed, kept alive, one sequence for each write, and so pipelined
// that the store remembers every answer that has not arrived. A write that is sent again is executed once.
// More sessions are opened only while the windows of all are full.

import type { MessageInit } from '../../rpc/index.js';
import { KvError } from '../errors.js';
import { SESSION_WINDOW } from '../machine/native/native-limits.js';
import type { Command, ExecuteResponse } from '../proto/kv.js';
import { type ClerkCaller, closed } from './clerk-caller.js';

export interface WriteTimes {
  /** By the clerk's clock, when it ends. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
}

class Session {
  readonly clientId: bigint;
  readonly ttlMs: number;
  /** In the order of sequences: a set remembers the order of insertion. */
  readonly #open = new Set<number>();
  #next = 1;
  /** When a command that the store has seen was sent. */
  heardMs: number;
  isOver = false;
  isAsking = false;

  constructor(clientId: bigint, ttlMs: number, nowMs: number) {
    this.clientId = clientId;
    this.ttlMs = ttlMs;
    this.heardMs = nowMs;
  }

  /** All sequences below have been answered, or given up. */
  get acknowledged(): number {
    return this.#open.values().next().value ?? this.#next;
  }

  get hasRoom(): boolean {
    return !this.isOver && this.#next < this.acknowledged + SESSION_WINDOW;
  }

  get isIdle(): boolean {
    return this.#open.size === 0;
  }

  begin(): number {
    const sequence = this.#next;
    this.#next += 1;
    this.#open.add(sequence);
    return sequence;
  }

  end(sequence: number): void {
    this.#open.delete(sequence);
  }
}

/** Room for one write. */
interface Slot {
  readonly session: Session;
  readonly sequence: number;
}

interface Waiter {
  readonly deadlineMs: number;
  /** Null: the store opens no sessions now. */
  readonly go: (slot: Slot | null) => void;
  readonly fail: (error: unknown) => void;
}

export interface SessionOptions {
  readonly ttlMs: number;
  readonly sessionsMax: number;
}

const CLOSE_TIMEOUT_MS = 1_000;
/** An opening that fails at the deadline says more than the deadline. */
const GRACE_MS = 50;

export class ClerkSessions {
  readonly #caller: ClerkCaller;
  readonly #options: SessionOptions;
  readonly #sessions: Session[] = [];
  readonly #waiters = new Set<Waiter>();
  #isOpening = false;
  #cancelKeepAlive: (() => void) | null = null;
  #isClosed = false;

  constructor(caller: ClerkCaller, options: SessionOptions) {
    this.#caller = caller;
    this.#options = options;
  }

  /** Of the sessions that are open. */
  get ids(): readonly bigint[] {
    return this.#sessions.map(({ clientId }) => clientId);
  }

  /** @throws KvError as ClerkCaller.call does; KV_SESSION_EXPIRED: the write may have been carried out before */
  async write(command: MessageInit<Command>, times: WriteTimes): Promise<ExecuteResponse> {
    for (;;) {
      const slot = this.#slot() ?? (await this.#room(times));
      if (slot === null) return this.#outside(command, times);
      const response = await this.#inSession(slot, command, times);
      if (response !== null) return response;
      // The session was over before the write was looked at: nothing was executed, so another session may do it.
    }
  }

  /** Sessions with writes under way end by themselves. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelKeepAlive?.();
    for (const waiter of this.#waiters) waiter.fail(closed());
    await Promise.all(this.#sessions.splice(0).map((session) => this.#end(session)));
  }

  /** @returns null: not executed, the session is over */
  async #inSession(
    { session, sequence }: Slot,
    command: MessageInit<Command>,
    times: WriteTimes,
  ): Promise<ExecuteResponse | null> {
    const { clientId } = session;
    let mayHaveRun = false;
    try {
      const sentMs = this.#caller.clock.nowMs();
      const response = await this.#caller.call<ExecuteResponse>({
        ...times,
        repetition: 'once',
        send: (client, attempt) => {
          const acknowledged = BigInt(session.acknowledged);
          return client.execute({ clientId, sequence: BigInt(sequence), acknowledged, command }, attempt);
        },
        onUnknown: () => {
          mayHaveRun = true;
        },
      });
      if (response.outcome?.error?.code !== 'KV_SESSION_EXPIRED') {
        session.heardMs = Math.max(session.heardMs, sentMs);
        return response;
      }
      this.#drop(session);
      if (!mayHaveRun) return null;
      throw new KvError(
        'KV_SESSION_EXPIRED',
        'the session ended while the write was being repeated: it may have been carried out',
      );
    } finally {
      session.end(sequence);
      if (this.#waiters.size > 0) this.#serve();
    }
  }

  /** Deletes must be possible where the store is above its quota and opens no sessions. */
  #outside(command: MessageInit<Command>, times: WriteTimes): Promise<ExecuteResponse> {
    return this.#caller.call<ExecuteResponse>({
      ...times,
      repetition: 'never',
      send: (client, attempt) => client.execute({ command }, attempt),
    });
  }

  #slot(): Slot | null {
    const session = this.#sessions.find(({ hasRoom }) => hasRoom);
    return session === undefined ? null : { session, sequence: session.begin() };
  }

  #room({ deadlineMs, signal }: WriteTimes): Promise<Slot | null> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        cancelTimer();
        this.#waiters.delete(waiter);
        signal?.removeEventListener('abort', cancel);
      };
      const waiter: Waiter = {
        deadlineMs,
        go: (slot) => {
          leave();
          resolve(slot);
        },
        fail: (error) => {
          leave();
          reject(error);
        },
      };
      const cancel = (): void => waiter.fail(new KvError('KV_CANCELLED', 'the request was cancelled'));
      const { clock } = this.#caller;
      const cancelTimer = clock.after(Math.max(0, deadlineMs - clock.nowMs()) + GRACE_MS, () =>
        waiter.fail(new KvError('KV_TIMEOUT', 'no session had room in time: the write was not sent')),
      );
      this.#waiters.add(waiter);
      signal?.addEventListener('abort', cancel, { once: true });
      if (this.#isClosed) waiter.fail(closed());
      else if (signal?.aborted === true) cancel();
      else this.#serve();
    });
  }

  /** Gives room to those that wait, or sees to it that there will be some. */
  #serve(): void {
    for (const waiter of this.#waiters) {
      const slot = this.#slot();
      if (slot === null) {
        if (!this.#isOpening && this.#sessions.length < this.#options.sessionsMax)
          void this.#open(waiter.deadlineMs);
        return;
      }
      waiter.go(slot);
    }
  }

  async #open(deadlineMs: number): Promise<void> {
    this.#isOpening = true;
    try {
      const openedMs = this.#caller.clock.nowMs();
      const { clientId, ttlMs } = await this.#caller.call({
        repetition: 'harmless', // one too many ends by itself
        deadlineMs,
        send: (client, attempt) => client.openSession({ ttlMs: BigInt(this.#options.ttlMs) }, attempt),
      });
      this.#isOpening = false;
      if (clientId === 0n) {
        for (const waiter of this.#waiters) waiter.go(null);
        return;
      }
      const session = new Session(clientId, Number(ttlMs), openedMs);
      if (this.#isClosed) return await this.#end(session);
      this.#sessions.push(session);
      if (this.#cancelKeepAlive === null) this.#scheduleKeepAlive();
      this.#serve();
    } catch (error) {
      this.#isOpening = false;
      // With one session less than there might be, those that wait have theirs.
      if (this.#sessions.length > 0) return;
      const nowMs = this.#caller.clock.nowMs();
      for (const waiter of this.#waiters)
        if (waiter.deadlineMs <= Math.max(nowMs, deadlineMs)) waiter.fail(error);
      this.#serve();
    }
  }

  #scheduleKeepAlive(): void {
    this.#cancelKeepAlive = this.#caller.clock.afterIdle(this.#options.ttlMs / 6, () => {
      this.#scheduleKeepAlive();
      this.#keepAlive();
    });
  }

  /** The first session is kept alive through quiet times; more than one is only needed in busy ones. */
  #keepAlive(): void {
    const nowMs = this.#caller.clock.nowMs();
    for (const [index, session] of [...this.#sessions].entries()) {
      if (nowMs - session.heardMs < session.ttlMs / 3) continue;
      if (index > 0 && session.isIdle) {
        this.#drop(session);
        void this.#end(session);
      } else if (!session.isAsking) void this.#ask(session, nowMs);
    }
  }

  async #ask(session: Session, nowMs: number): Promise<void> {
    session.isAsking = true;
    try {
      const { isAlive } = await this.#caller.call({
        repetition: 'harmless',
        deadlineMs: nowMs + session.ttlMs / 3,
        send: (client, attempt) => client.keepAlive({ clientId: session.clientId }, attempt),
      });
      if (isAlive) session.heardMs = Math.max(session.heardMs, nowMs);
      else this.#drop(session);
    } catch {
      // The next one asks again; whether the session has ended is for the store to say.
    } finally {
      session.isAsking = false;
    }
  }

  #drop(session: Session): void {
    session.isOver = true;
    const index = this.#sessions.indexOf(session);
    if (index >= 0) this.#sessions.splice(index, 1);
  }

  async #end(session: Session): Promise<void> {
    if (!session.isIdle) return;
    session.isOver = true;
    try {
      await this.#caller.call({
        repetition: 'harmless',
        deadlineMs: this.#caller.clock.nowMs() + CLOSE_TIMEOUT_MS,
        send: (client, attempt) => client.closeSession({ clientId: session.clientId }, attempt),
      });
    } catch {
      // It ends by itself.
    }
  }
}
