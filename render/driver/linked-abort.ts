// One signal that follows others for a while: AbortSignal.any keeps something of itself in each of them for as long as they
// live, and a driver lives for very many calls.

export class LinkedAbort {
  readonly #controller = new AbortController();
  readonly #unlinks: (() => void)[] = [];

  constructor(...signals: readonly (AbortSignal | undefined)[]) {
    for (const signal of signals) if (signal !== undefined) this.#link(signal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    this.#controller.abort(reason);
  }

  /** Follows nobody any more. */
  unlink(): void {
    for (const unlink of this.#unlinks.splice(0)) unlink();
  }

  #link(signal: AbortSignal): void {
    const follow = (): void => this.#controller.abort(signal.reason);
    if (signal.aborted) follow();
    signal.addEventListener('abort', follow, { once: true });
    this.#unlinks.push(() => signal.removeEventListener('abort', follow));
  }
}
