// The frame of every tool that talks to a server: a connection that is opened when it is needed and always closed, the
// contract, SIGINT as cancellation, and failures told in one place.

import { type Caller, type ProtoPackage, RpcError } from '../rpc/index.js';
import type { Io } from './main.js';
import { type Connection, openConnection } from './rpc-connection.js';
import { loadContract } from './rpc-contract-source.js';
import { reportFailure } from './rpc-failure.js';
import type { TargetFlags } from './rpc-target-flags.js';
import { EXIT_INTERRUPTED } from './shutdown.js';

export interface ServerSession {
  /** Aborts at the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** Opens the connection if that was not done yet. */
  readonly caller: () => Promise<Caller>;
}

export interface ToolSession extends ServerSession {
  readonly types: ProtoPackage;
}

/**
 * Loads the contract and does the same with it as `withServer`.
 * @param symbol what is wanted of the contract; null: all of it
 * @throws UsageError
 */
export function withContract(
  flags: TargetFlags,
  symbol: string | null,
  io: Io,
  work: (session: ToolSession) => number | Promise<number>,
): Promise<number> {
  return withServer(flags, io, async (session) => {
    const types = await loadContract(flags, symbol, session.caller, session.signal);
    return work({ ...session, types });
  });
}

/**
 * Runs `work`, closes everything, and tells of what failed.
 * @returns the exit code of `work`, or 1, or 3 where nobody was reached, or 130 after a signal
 * @throws UsageError
 */
export async function withServer(
  flags: TargetFlags,
  io: Io,
  work: (session: ServerSession) => number | Promise<number>,
): Promise<number> {
  const interrupted = new AbortController();
  const onSignal = (): void => interrupted.abort(new Error('interrupted'));
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal); // a second one ends the process as usual
  const { signal } = interrupted;
  let connection: Connection | null = null;
  const caller = async (): Promise<Caller> => (connection ??= await openConnection(flags)).caller;
  try {
    return await work({ signal, caller });
  } catch (error) {
    if (signal.aborted) return EXIT_INTERRUPTED;
    if (!(error instanceof RpcError)) throw error;
    return reportFailure(error, io, flags.json, null);
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    await (connection as Connection | null)?.close();
  }
}
