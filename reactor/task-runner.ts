// Runs the tasks registered on one thread, and sends callers what became of them.
// task-queue.ts hands it what arrived; answers leave by task-outbox.ts.
// A task that throws or rejects is reported where it ran, or told to its caller, and stops nothing else.

import { inOwnScope, NOBODYS_CONTEXT } from './async-scope.js';
import { ReactorError, type ReactorErrorCode, errorToWire } from './errors.js';
import type { MeshSeat, ThreadIndex } from './mesh-seat.js';
import type { Lane } from './peer-link.js';
import { TASK_KIND, type TaskOutbox } from './task-outbox.js';
import { type EncodedPayload, checkPayloadSize, decodePayload, encodePayload } from './task-payload.js';

/** Runs on the target thread; what it returns, or its promise fulfils with, is the result of a call. */
export type TaskFunction = (payload: unknown, from: ThreadIndex) => unknown;

/** Where an answer goes. */
export interface Caller {
  readonly slot: number;
  /** Answers travel with the priority of their call. */
  readonly lane: Lane;
  readonly callId: number;
}

const NO_NAME = new Uint8Array(0);

export class TaskRunner {
  readonly #seat: MeshSeat;
  readonly #outbox: TaskOutbox;
  readonly #payloadBytesMax: number;
  readonly #onTaskError: (error: ReactorError) => void;
  readonly #tasks: Map<string, TaskFunction> = new Map();
  /** Tasks that ran. */
  executed: number = 0;
  /** Tasks that ran and threw, or could not run. */
  failed: number = 0;

  /** Results may have `payloadBytesMax` bytes; `onTaskError` hears of posted tasks that failed. */
  constructor(
    seat: MeshSeat,
    outbox: TaskOutbox,
    payloadBytesMax: number,
    onTaskError: (error: ReactorError) => void,
  ) {
    this.#seat = seat;
    this.#outbox = outbox;
    this.#payloadBytesMax = payloadBytesMax;
    this.#onTaskError = onTaskError;
  }

  register(name: string, task: TaskFunction): void {
    this.#tasks.set(name, task);
  }

  /** Runs a task that nobody waits for; `bytes` is null when its payload was lost. */
  runPost(slot: number, name: string, format: number, bytes: Uint8Array | null): void {
    const task = this.#tasks.get(name);
    if (task === undefined || bytes === null) {
      this.#reportFailure(name, unrunnable(name, bytes));
      return;
    }
    this.executed += 1;
    try {
      const result = this.#run(task, slot, format, bytes);
      if (isThenable(result)) result.then(undefined, (error: unknown) => this.#reportFailure(name, error));
    } catch (error) {
      this.#reportFailure(name, error);
    }
  }

  /** Runs a task and sends its caller the outcome. */
  runCall(caller: Caller, name: string, format: number, bytes: Uint8Array | null): void {
    const task = this.#tasks.get(name);
    if (task === undefined || bytes === null) {
      this.#replyError(caller, unrunnable(name, bytes));
      return;
    }
    this.executed += 1;
    try {
      const result = this.#run(task, caller.slot, format, bytes);
      if (!isThenable(result)) {
        this.#replyResult(caller, result);
        return;
      }
      result.then(
        (value: unknown) => this.#replyResult(caller, value),
        (error: unknown) => this.#replyError(caller, error),
      );
    } catch (error) {
      this.#replyError(caller, error);
    }
  }

  #run(task: TaskFunction, slot: number, format: number, bytes: Uint8Array): unknown {
    const payload = decodePayload(format, bytes);
    return inOwnScope(NOBODYS_CONTEXT, () => task(payload, this.#seat.threadOf(slot)));
  }

  #replyResult(caller: Caller, value: unknown): void {
    try {
      const payload = encodePayload(value);
      checkPayloadSize(payload, this.#payloadBytesMax);
      this.#reply(caller, TASK_KIND.result, payload);
    } catch (error) {
      this.#replyError(caller, error);
    }
  }

  #replyError(caller: Caller, error: unknown): void {
    this.failed += 1;
    const payload = encodePayload(errorToWire(error, 'REACTOR_TASK_FAILED'));
    this.#reply(caller, TASK_KIND.error, payload);
  }

  #reply(caller: Caller, kind: number, payload: EncodedPayload): void {
    const { slot, lane, callId } = caller;
    this.#outbox.reply(slot, lane, { kind, incarnation: 0, callId, name: NO_NAME, payload });
  }

  #reportFailure(name: string, error: unknown): void {
    this.failed += 1;
    this.#onTaskError(taskError(name, error, 'REACTOR_TASK_FAILED'));
  }
}

/** Wraps what a task threw, unless it already is one of ours. */
export function taskError(name: string, error: unknown, code: ReactorErrorCode): ReactorError {
  if (error instanceof ReactorError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ReactorError(code, `${name}: ${message}`, { cause: error });
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

function unrunnable(name: string, bytes: Uint8Array | null): ReactorError {
  return bytes === null
    ? new ReactorError(
        'REACTOR_THREAD_LOST',
        `the payload of ${name} was lost with the thread it was sent to`,
      )
    : new ReactorError('REACTOR_UNKNOWN_TASK', `no task is registered as ${name}`);
}
