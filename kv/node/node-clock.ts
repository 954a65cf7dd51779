// Time and turns, as a member sees them: it decides by what this says and waits by it alone.
// systemClock is the real one; a simulator brings its own and moves it.

export interface NodeClock {
  /** Milliseconds that only grow, from no particular beginning: for ticks and deadlines. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch: what a leader stamps into its proposals. */
  wallMs(): number;
  /** Calls `task` once, `delayMs` from now; what it returns takes that back. */
  after(delayMs: number, task: () => void): () => void;
  /** Calls `task` once, at the end of this turn: when all that had arrived was looked at. */
  defer(task: () => void): void;
}

export const systemClock: NodeClock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, task) => {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
  defer: (task) => {
    setImmediate(task);
  },
};
