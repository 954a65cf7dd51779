// Runs inside a thread of a worker pool: imports the user's module and runs its functions by name.
// pool-thread.ts is the other end. One job at a time; cancelling one reaches its AbortSignal, which only
// a function that awaits can notice.

import { parentPort, workerData } from 'node:worker_threads';
import { ReactorError, type WireError, errorToWire } from './errors.js';

/** What a function of the module gets beside its arguments. */
export interface JobContext {
  /** Aborted when the caller cancelled or the job's time is over. */
  readonly signal: AbortSignal;
}

export type PoolFunction = (args: unknown, context: JobContext) => unknown;

export type ToPoolThread =
  | { readonly kind: 'run'; readonly jobId: number; readonly name: string; readonly args: unknown }
  | { readonly kind: 'cancel'; readonly jobId: number };

export type FromPoolThread =
  | { readonly kind: 'ready' }
  | { readonly kind: 'unusable'; readonly error: WireError }
  | { readonly kind: 'result'; readonly jobId: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly jobId: number; readonly error: WireError };

interface RunningJob {
  readonly jobId: number;
  readonly abort: AbortController;
}

const port = parentPort!; // this file only ever runs as a worker
let running: RunningJob | null = null;

await start((workerData as { module: string }).module);

async function start(module: string): Promise<void> {
  try {
    const functions = functionsOf((await import(module)) as Record<string, unknown>);
    port.on('message', (message: ToPoolThread) => {
      if (message.kind === 'run') void run(functions, message.jobId, message.name, message.args);
      else if (running?.jobId === message.jobId) running.abort.abort();
    });
    send({ kind: 'ready' });
  } catch (error) {
    send({ kind: 'unusable', error: errorToWire(error, 'REACTOR_HANDLERS_INVALID') });
  }
}

/** The module's functions: those of an object exported as default, else the named exports. */
function functionsOf(module: Record<string, unknown>): Map<string, PoolFunction> {
  const { default: exported } = module;
  const source = typeof exported === 'object' && exported !== null ? exported : module;
  const functions = new Map<string, PoolFunction>();
  for (const [name, value] of Object.entries(source)) {
    if (typeof value === 'function') functions.set(name, value as PoolFunction);
  }
  if (functions.size > 0) return functions;
  throw new ReactorError('REACTOR_HANDLERS_INVALID', 'the module of the worker pool exports no function');
}

async function run(
  functions: Map<string, PoolFunction>,
  jobId: number,
  name: string,
  args: unknown,
): Promise<void> {
  const abort = new AbortController();
  running = { jobId, abort };
  try {
    const job = functions.get(name);
    if (job === undefined)
      throw new ReactorError('REACTOR_UNKNOWN_TASK', `the module has no function ${name}`);
    const value = await job(args, { signal: abort.signal });
    running = null;
    send({ kind: 'result', jobId, value }); // throws when the value cannot be cloned
  } catch (error) {
    running = null;
    send({ kind: 'error', jobId, error: errorToWire(error, 'REACTOR_TASK_FAILED') });
  }
}

function send(message: FromPoolThread): void {
  port.postMessage(message);
}
