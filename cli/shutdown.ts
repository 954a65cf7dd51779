// Signals of a long-running command: the first SIGTERM or SIGINT drains, a second one ends at once, SIGHUP reloads.
// serve.ts and process-serve.ts wait here; what draining and reloading mean is theirs.

import { once } from 'node:events';

/** As a shell reports a command that a signal interrupted. */
export const EXIT_INTERRUPTED = 130;

/** `timeout` and some shells signal a process and then its whole group: that is one wish to stop, not two. */
const SAME_WISH_MS = 50;
/** What an application left open keeps the process for this long at most once everything was drained. */
const LEFTOVERS_MS = 1000;

export interface ShutdownActions {
  reload(): Promise<void>;
  /** Resolves to whether everything was finished in time. */
  drain(): Promise<boolean>;
  /** Ends what would outlive this process. */
  abandon(): void;
  /** Told of a reload that failed; the old code goes on. */
  reloadFailed(error: unknown): void;
}

export interface ShutdownOptions {
  /** A supervised process: its master alone decides when it is killed, and speaks for the terminal. */
  isSupervised: boolean;
  /** Another reason to drain, e.g. that the master is gone. */
  alsoWhen?: Promise<void>;
}

/** Resolves to the exit code: 0, or 1 when the drain deadline passed. A second signal exits with 130. */
export async function untilShutdown(
  actions: ShutdownActions,
  { isSupervised, alsoWhen }: ShutdownOptions,
): Promise<number> {
  const reload = (): void => {
    actions.reload().catch((error: unknown) => actions.reloadFailed(error));
  };
  const stopping = new AbortController();
  const stopped = once(stopping.signal, 'abort');
  let firstMs: number | null = null;
  const onStopSignal = (signal: NodeJS.Signals): void => {
    if (isSupervised && signal === 'SIGINT') return;
    firstMs ??= performance.now();
    stopping.abort();
    if (isSupervised || performance.now() - firstMs < SAME_WISH_MS) return;
    actions.abandon();
    process.exit(EXIT_INTERRUPTED);
  };
  process.on('SIGTERM', onStopSignal).on('SIGINT', onStopSignal).on('SIGHUP', reload);
  try {
    await Promise.race([stopped, ...(alsoWhen === undefined ? [] : [alsoWhen])]);
    const exitCode = (await actions.drain()) ? 0 : 1;
    setTimeout(() => process.exit(exitCode), LEFTOVERS_MS).unref();
    return exitCode;
  } finally {
    process.off('SIGTERM', onStopSignal).off('SIGINT', onStopSignal).off('SIGHUP', reload);
  }
}
