// Time, as the registry and its clients see it: they decide by what this says and wait by it alone.
// systemClock is the real one; tests bring their own and move it by hand.

export interface Clock {
  /** Milliseconds that only grow, from no particular beginning: for deadlines and ages. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch: for what people read and other machines compare. */
  wallMs(): number;
  /** Calls `task` once, `delayMs` from now; what it returns takes that back. Holds the process, as a socket does. */
  after(delayMs: number, task: () => void): () => void;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, task) => {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs`, or when the signal aborts, whichever is first; never rejects. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = (): void => {
      cancel();
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const cancel = clock.after(delayMs, finish);
    signal.addEventListener('abort', finish, { once: true });
  });
}
