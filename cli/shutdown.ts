// Signals of a long-running command: the first SIGTERM or SIGINT drains, a second one ends at once, SIGHUP reloads.
// serve.ts and process-serve.ts wait here; what draining and reloading mean is theirs.

import { once } from 'node:events';

/** As a shell reports a command that a signal interrupted. */
export const EXIT_INTERRUPTED = 130;

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
  let signals = 0;
  const onStopSignal = (signal: NodeJS.Signals): void => {
    if (isSupervised && signal === 'SIGINT') return;
    signals += 1;
    stopping.abort();
    if (signals === 1 || isSupervised) return;
    actions.abandon();
    process.exit(EXIT_INTERRUPTED);
  };
  process.on('SIGTERM', onStopSignal).on('SIGINT', onStopSignal).on('SIGHUP', reload);
  try {
    await Promise.race([stopped, ...(alsoWhen === undefined ? [] : [alsoWhen])]);
    return (await actions.drain()) ? 0 : 1;
  } finally {
    process.off('SIGTERM', onStopSignal).off('SIGINT', onStopSignal).off('SIGHUP', reload);
  }
}
