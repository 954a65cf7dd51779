// Handlers that run on a worker pool: CPU-heavy methods beside the event loops instead of on them.
// A service module makes one pool per thread, or none where it has no such method; the pool's own bounds hold.

import { ReactorError, type WorkerPool } from '../../reactor/index.js';
import type { ServerCall, UnaryHandler } from '../call.js';
import { RpcError } from '../errors.js';

export interface OffloadOptions {
  /** Kill the worker thread of a call that is cancelled or late, since a busy one hears no signal. Default false. */
  terminate?: boolean;
}

/**
 * A handler that runs the pool's function `name` as `name(request, { signal })`; request and answer are copied between
 * threads. The call's deadline and cancellation are the job's. A full pool fails the call with RPC_RESOURCE_EXHAUSTED,
 * surely not executed.
 */
export function offload<Q, A>(
  pool: WorkerPool,
  name: string,
  options: OffloadOptions = {},
): UnaryHandler<Q, A> {
  const { terminate = false } = options;
  return async (request: Q, call: ServerCall): Promise<A> => {
    const remainingMs = call.remainingMs();
    const timeoutMs = remainingMs === Infinity ? 0 : Math.max(1, Math.ceil(remainingMs));
    try {
      return (await pool.submit(name, request, { signal: call.signal, timeoutMs, terminate })) as A; // its own function
    } catch (error) {
      throw error instanceof ReactorError ? jobError(error, call) : error;
    }
  };
}

function jobError(error: ReactorError, call: ServerCall): RpcError {
  const { path } = call.method;
  switch (error.code) {
    case 'REACTOR_QUEUE_FULL':
      return new RpcError('RPC_RESOURCE_EXHAUSTED', `${path}: ${error.message}`, {
        cause: error,
        executed: 'no',
      });
    case 'REACTOR_TIMEOUT':
      return new RpcError('RPC_DEADLINE_EXCEEDED', `${path}: ${error.message}`, { cause: error });
    case 'REACTOR_ABORTED':
      return new RpcError('RPC_CANCELLED', `${path}: ${error.message}`, { cause: error });
    case 'REACTOR_CLOSED':
      return new RpcError('RPC_UNAVAILABLE', `${path}: ${error.message}`, { cause: error, executed: 'no' });
    default:
      return new RpcError('RPC_UNKNOWN', `${path} failed: ${error.message}`, { cause: error });
  }
}
