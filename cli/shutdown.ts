// Signals of a long-running command: the first SIGTERM or SIGINT drains, a second one ends at once, SIGHUP reloads.
// Every form of serve waits here; what draining and reloading mean is theirs.

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
}

/**
 * Listens to signals from the moment it is made, so that none is missed between the ready line and `run`:
 * one that comes earlier is acted on once the command has started.
 */
export class Shutdown {
  readonly #isSupervised: boolean;
  readonly #stopping = new AbortController();
  #actions: ShutdownActions | null = null;
  #firstMs: number | null = null;

  constructor({ isSupervised }: ShutdownOptions) {
    this.#isSupervised = isSupervised;
    process.on('SIGTERM', this.#onStop).on('SIGINT', this.#onStop).on('SIGHUP', this.#onReload);
  }

  /** Aborts with the first wish to stop. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  /**
   * Waits for the wish to stop, or for `alsoWhen`, and drains.
   * @returns the exit code: 0, or 1 when the drain deadline passed; a second signal exits with 130
   */
  async run(actions: ShutdownActions, alsoWhen: Promise<void> | null = null): Promise<number> {
    this.#actions = actions;
    const { signal } = this.#stopping;
    if (!signal.aborted)
      await Promise.race([once(signal, 'abort'), ...(alsoWhen === null ? [] : [alsoWhen])]);
    const exitCode = (await actions.drain()) ? 0 : 1;
    setTimeout(() => process.exit(exitCode), LEFTOVERS_MS).unref();
    return exitCode;
  }

  /** Signals have their usual effect again. */
  close(): void {
    process.off('SIGTERM', this.#onStop).off('SIGINT', this.#onStop).off('SIGHUP', this.#onReload);
  }

  readonly #onStop = (signal: NodeJS.Signals): void => {
    if (this.#isSupervised && signal === 'SIGINT') return;
    this.#firstMs ??= performance.now();
    this.#stopping.abort();
    if (this.#isSupervised || performance.now() - this.#firstMs < SAME_WISH_MS) return;
    this.#actions?.abandon();
    process.exit(EXIT_INTERRUPTED);
  };

  /** Before the start has ended there is nothing older to replace. */
  readonly #onReload = (): void => {
    const actions = this.#actions;
    actions?.reload().catch((error: unknown) => actions.reloadFailed(error));
  };
}
