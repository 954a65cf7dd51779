// The task queue of one thread: asks other threads to run tasks by name, and takes what they ask of it.
// event-loop.ts owns it and gives it turns; task-outbox.ts sends, task-runner.ts runs.
// Order: the tasks from one thread to another run in the order they were posted, per priority; urgent ones
// overtake. A full queue refuses (REACTOR_QUEUE_FULL). A task runs at most once; those not begun when their
// thread ends are run by its successor, except calls, whose callers have been told REACTOR_THREAD_LOST.

import assert from 'node:assert/strict';
import { ReactorError, type WireError } from './errors.js';
import type { LoopTimers } from './loop-timers.js';
import type { MeshSeat, ThreadIndex } from './mesh-seat.js';
import type { Lane } from './peer-link.js';
import { PendingCalls, abortedError } from './pending-calls.js';
import {
  BIG_PAYLOAD_FLAG,
  type OutgoingTask,
  type SendResult,
  TASK_KIND,
  TaskOutbox,
} from './task-outbox.js';
import { type EncodedPayload, checkPayloadSize, decodePayload, encodePayload } from './task-payload.js';
import { RECORD_NAME_BYTES_MAX, type TaskRecord } from './task-ring.js';
import { type TaskFunction, TaskRunner } from './task-runner.js';
import type { TurnBudget } from './turn-budget.js';

export interface PostOptions {
  /** Urgent tasks overtake normal ones, up to half of every turn. Default 'normal'. */
  priority?: Lane;
}

export interface CallOptions extends PostOptions {
  /** Milliseconds until the call rejects with REACTOR_TIMEOUT. Default 5000. */
  timeoutMs?: number;
  /** Rejects with REACTOR_ABORTED; a task that has begun runs on and its result is ignored. */
  signal?: AbortSignal;
}

export interface TaskQueueOptions {
  /** Calls waiting for an answer; one more rejects with REACTOR_QUEUE_FULL. Default 4096. */
  callsMax?: number;
  /** Bytes of one payload or result, encoded. Default 16 MiB. */
  payloadBytesMax?: number;
  /** Bytes of payloads above 4 KiB waiting per pair of threads and priority. Default 64 MiB. */
  bigBytesMax?: number;
  /** Answers waiting for room, per caller's thread; the oldest is dropped. Default 4096. */
  repliesWaitingMax?: number;
}

export interface TaskQueueStats {
  /** Tasks this thread has sent: posts, calls, and each thread of a broadcast. */
  readonly posted: number;
  /** Tasks that ran here. */
  readonly executed: number;
  /** Tasks this thread wanted to send and could not. */
  readonly refused: number;
  /** Tasks that ran here and threw, or could not run: unknown name, payload lost with a thread. */
  readonly failed: number;
  /** Calls found in a ring whose callers had given up on a former incarnation of this thread. */
  readonly stale: number;
  /** Times this thread roused another. */
  readonly wakesSent: number;
  /** Times this thread was roused. */
  readonly wakesReceived: number;
  readonly callsWaiting: number;
  readonly repliesWaiting: number;
  readonly repliesDropped: number;
}

const MIB = 1024 * 1024;
const DEFAULTS: Required<TaskQueueOptions> = {
  callsMax: 4096,
  payloadBytesMax: 16 * MIB,
  bigBytesMax: 64 * MIB,
  repliesWaitingMax: 4096,
};
const CALL_TIMEOUT_MS = 5000;

const NAMES_CACHED_MAX = 1024;
/** Tasks taken from one thread before the next thread's are looked at. */
const TASKS_PER_VISIT = 16;

export interface TaskQueueHost {
  /** There is work for a turn although nobody woke this thread. */
  requestTurn(): void;
  /** Another thread woke this one: run a turn now. */
  onWake(): void;
  onTaskError(error: ReactorError): void;
}

export class TaskQueue {
  readonly #seat: MeshSeat;
  readonly #host: TaskQueueHost;
  readonly #options: Required<TaskQueueOptions>;
  readonly #outbox: TaskOutbox;
  readonly #pending: PendingCalls;
  readonly #runner: TaskRunner;
  readonly #encodedNames: Map<string, Uint8Array> = new Map();
  /** Scratch of a turn: records still to take, by producer. */
  readonly #waitingNow: Int32Array;
  readonly #counts = { posted: 0, refused: 0, stale: 0, wakesReceived: 0 };
  #firstProducer: number = 0;
  #isClosed: boolean = false;

  /** `host` gives turns by calling `runLane`; nothing runs before `start`. */
  constructor(seat: MeshSeat, timers: LoopTimers, host: TaskQueueHost, options: TaskQueueOptions = {}) {
    this.#seat = seat;
    this.#host = host;
    this.#options = { ...DEFAULTS, ...options };
    const { bigBytesMax, repliesWaitingMax, payloadBytesMax } = this.#options;
    if (payloadBytesMax > bigBytesMax) {
      throw new ReactorError(
        'REACTOR_OPTION_INVALID',
        'payloadBytesMax is above bigBytesMax: it would never fit',
      );
    }
    this.#outbox = new TaskOutbox(seat, () => host.requestTurn(), bigBytesMax, repliesWaitingMax);
    this.#pending = new PendingCalls(timers);
    this.#runner = new TaskRunner(seat, this.#outbox, payloadBytesMax, (error) => host.onTaskError(error));
    this.#waitingNow = new Int32Array(seat.slotCount);
  }

  get stats(): TaskQueueStats {
    return {
      ...this.#counts,
      executed: this.#runner.executed,
      failed: this.#runner.failed,
      wakesSent: this.#outbox.wakesSent,
      callsWaiting: this.#pending.size,
      repliesWaiting: this.#outbox.repliesWaiting,
      repliesDropped: this.#outbox.repliesDropped,
    };
  }

  /** Tasks and answers that this thread sent to `thread` and that wait there, both priorities. */
  depth(thread: ThreadIndex): number {
    const { urgent, normal } = this.#seat.outgoing[this.#seat.slotOf(thread)]!;
    return urgent.depth + normal.depth;
  }

  /** Tasks and answers waiting for this thread, from all threads. */
  get waiting(): number {
    let count = 0;
    for (const { urgent, normal } of this.#seat.incoming) count += urgent.depth + normal.depth;
    return count;
  }

  /** Begins to listen for other threads; the first turn is the host's to run. */
  start(): void {
    this.#seat.start({
      onWake: () => {
        this.#counts.wakesReceived += 1;
        this.#host.onWake();
      },
      onPeersChanged: () => this.#noticePeers(),
    });
  }

  /** Makes `task` callable by `name` from every thread; replaces a former one of that name. */
  register(name: string, task: TaskFunction): void {
    this.#nameOf(name); // judged here, where the mistake is
    this.#runner.register(name, task);
  }

  /**
   * Asks `thread` to run the task `name` and does not wait. `payload` is copied before this returns.
   * @throws ReactorError REACTOR_QUEUE_FULL, REACTOR_UNKNOWN_THREAD, REACTOR_BODY_TOO_LARGE,
   *   REACTOR_THREAD_LOST (only for payloads above 4 KiB), REACTOR_OPTION_INVALID (not cloneable), REACTOR_CLOSED
   */
  post(thread: ThreadIndex, name: string, payload?: unknown, options: PostOptions = {}): void {
    const slot = this.#seat.slotOf(thread);
    const task = this.#outgoing(TASK_KIND.post, name, encodePayload(payload));
    this.#sendTask(slot, options.priority ?? 'normal', task, name);
  }

  /**
   * Asks `thread` to run the task `name`; fulfils with its result. Every failure is a rejection with a
   * ReactorError: those of `post`, and REACTOR_UNKNOWN_TASK, REACTOR_TASK_FAILED (or the task's own reactor
   * code), REACTOR_TIMEOUT, REACTOR_ABORTED, REACTOR_THREAD_LOST (the task may or may not have run).
   */
  async call(
    thread: ThreadIndex,
    name: string,
    payload?: unknown,
    options: CallOptions = {},
  ): Promise<unknown> {
    const slot = this.#seat.slotOf(thread);
    const { timeoutMs = CALL_TIMEOUT_MS, signal, priority = 'normal' } = options;
    if (signal?.aborted === true) throw abortedError(name, signal);
    if (this.#pending.size >= this.#options.callsMax) {
      this.#counts.refused += 1;
      throw new ReactorError('REACTOR_QUEUE_FULL', `${this.#pending.size} calls already wait for an answer`);
    }
    const incarnation = this.#seat.incarnationOf(slot);
    if (incarnation === null)
      throw new ReactorError('REACTOR_THREAD_LOST', `thread ${thread} is not running`);
    const callId = this.#seat.outgoing[slot]!.normal.nextCallId();
    const task = { ...this.#outgoing(TASK_KIND.call, name, encodePayload(payload)), incarnation, callId };
    this.#sendTask(slot, priority, task, name);
    return this.#pending.open({ slot, incarnation, callId, name }, timeoutMs, signal);
  }

  /**
   * Posts to every sub-reactor, the caller's own thread included when it is one, never to main (unless
   * there are no sub-reactors). Returns the threads that refused because their queue is full or, for a
   * payload above 4 KiB, because they are not running; the others have it.
   */
  broadcast(name: string, payload?: unknown, options: PostOptions = {}): number[] {
    const task = this.#outgoing(TASK_KIND.post, name, encodePayload(payload));
    const refused: number[] = [];
    for (let thread = 0; thread < Math.max(this.#seat.threads, 1); thread += 1) {
      const result = this.#send(this.#seat.slotOf(thread), options.priority ?? 'normal', task);
      if (result !== 'sent') refused.push(thread);
    }
    return refused;
  }

  /** Begins a turn: notices lost peers, sends answers that found no room before. */
  beginTurn(): void {
    this.#seat.disarm();
    this.#seat.checkPeers();
    this.#outbox.flush();
  }

  /** Runs tasks of one priority that were waiting when it began, in rounds over their senders. */
  runLane(lane: Lane, budget: TurnBudget): void {
    const { incoming, slotCount } = this.#seat;
    const waiting = this.#waitingNow;
    let total = 0;
    for (let slot = 0; slot < slotCount; slot += 1) total += waiting[slot] = incoming[slot]![lane].depth;
    let producer = this.#firstProducer;
    while (total > 0 && !this.#isClosed) {
      const visits = Math.min(waiting[producer]!, TASKS_PER_VISIT);
      for (let visit = 0; visit < visits && !this.#isClosed; visit += 1) {
        if (this.#takeFrom(producer, lane, budget)) {
          this.#firstProducer = (producer + 1) % slotCount;
          return;
        }
      }
      waiting[producer]! -= visits;
      total -= visits;
      producer = (producer + 1) % slotCount;
    }
  }

  /**
   * Ends a turn. True: there is more to do, run another turn soon. False: the queue is asleep, the next
   * sender will wake this thread.
   */
  endTurn(): boolean {
    if (this.#isClosed) return false;
    if (this.#hasWork()) return true;
    this.#seat.arm();
    if (!this.#hasWork()) return false;
    this.#seat.disarm();
    return true;
  }

  /** Whether listening keeps the thread alive; it does not until asked. */
  setRef(isRef: boolean): void {
    this.#seat.setRef(isRef);
  }

  /** Rejects waiting calls with REACTOR_CLOSED and leaves the mesh; tasks not begun stay. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#outbox.close();
    this.#pending.close();
    this.#seat.close();
  }

  #hasWork(): boolean {
    if (this.#outbox.canFlush()) return true;
    return this.#seat.incoming.some(({ urgent, normal }) => !urgent.isEmpty || !normal.isEmpty);
  }

  #noticePeers(): void {
    for (let slot = 0; slot < this.#seat.slotCount; slot += 1) {
      const incarnation = this.#seat.incarnationOf(slot);
      this.#outbox.forgetLost(slot, incarnation);
      this.#pending.rejectLost(slot, incarnation);
    }
  }

  #outgoing(kind: number, name: string, payload: EncodedPayload): OutgoingTask {
    return { kind, incarnation: 0, callId: 0, name: this.#nameOf(name), payload };
  }

  #sendTask(slot: number, lane: Lane, task: OutgoingTask, name: string): void {
    const thread = this.#seat.threadOf(slot);
    const result = this.#send(slot, lane, task);
    switch (result) {
      case 'sent':
        return;
      case 'full':
        throw new ReactorError(
          'REACTOR_QUEUE_FULL',
          `the ${lane} queue of thread ${thread} is full: ${name} refused`,
        );
      case 'lost':
        throw new ReactorError(
          'REACTOR_THREAD_LOST',
          `thread ${thread} is not running: ${name} is too large to wait`,
        );
      default:
        result satisfies never;
    }
  }

  #send(slot: number, lane: Lane, task: OutgoingTask): SendResult {
    if (this.#isClosed) throw new ReactorError('REACTOR_CLOSED', 'the task queue is closed');
    checkPayloadSize(task.payload, this.#options.payloadBytesMax);
    const result = this.#outbox.send(slot, lane, task);
    if (result === 'sent') this.#counts.posted += 1;
    else this.#counts.refused += 1;
    return result;
  }

  /** Takes one record and runs it; whether the budget is spent. */
  #takeFrom(slot: number, lane: Lane, budget: TurnBudget): boolean {
    const ring = this.#seat.incoming[slot]![lane];
    const record = ring.take();
    assert(record !== null, 'what was waiting is taken by nobody else');
    const payload = this.#payloadOf(slot, lane, record);
    if (ring.takeSpaceWanted() && slot !== this.#seat.slot) this.#seat.wake(slot);
    this.#handle(slot, lane, record, payload);
    return budget.spend();
  }

  /** The payload's bytes, null when they died with the former incarnation of this thread. */
  #payloadOf(slot: number, lane: Lane, record: TaskRecord): Uint8Array | null {
    if ((record.format & BIG_PAYLOAD_FLAG) === 0) return record.payload;
    this.#seat.incoming[slot]![lane].addBigTaken(record.payload.readUInt32LE(4));
    return this.#seat.takeBig(slot, lane, record.payload.readInt32LE(0));
  }

  #handle(slot: number, lane: Lane, record: TaskRecord, bytes: Uint8Array | null): void {
    const format = record.format & ~BIG_PAYLOAD_FLAG;
    switch (record.kind) {
      case TASK_KIND.post:
        this.#runner.runPost(slot, record.name, format, bytes);
        return;
      case TASK_KIND.call:
        if (record.incarnation !== this.#seat.incarnation) this.#counts.stale += 1;
        else this.#runner.runCall({ slot, lane, callId: record.callId }, record.name, format, bytes);
        return;
      case TASK_KIND.result:
        if (bytes !== null) this.#pending.resolve(slot, record.callId, decodePayload(format, bytes));
        return;
      case TASK_KIND.error:
        if (bytes !== null) {
          const error = ReactorError.fromWire(decodePayload(format, bytes) as WireError);
          this.#pending.reject(slot, record.callId, error);
        }
        return;
      default:
        assert.fail('no other kind is ever sent');
    }
  }

  #nameOf(name: string): Uint8Array {
    const known = this.#encodedNames.get(name);
    if (known !== undefined) return known;
    const encoded = Buffer.from(name, 'utf8');
    if (encoded.length === 0 || encoded.length > RECORD_NAME_BYTES_MAX) {
      throw new ReactorError('REACTOR_OPTION_INVALID', `a task name has 1 to ${RECORD_NAME_BYTES_MAX} bytes`);
    }
    if (this.#encodedNames.size >= NAMES_CACHED_MAX) this.#encodedNames.clear();
    this.#encodedNames.set(name, encoded);
    return encoded;
  }
}
