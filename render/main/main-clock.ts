// The time of a main node: milliseconds since the Unix epoch as they were when the process began, and growing evenly from
// there, so that setting the machine's clock moves no deadline.

export interface MainClock {
  nowMs(): number;
  /** Calls `task` once, `delayMs` from now; what it returns takes that back. */
  after(delayMs: number, task: () => void): () => void;
}

const DELAY_MS_MAX = 2 ** 31 - 1;

export const systemMainClock: MainClock = {
  nowMs: () => performance.timeOrigin + performance.now(),
  after: (delayMs, task) => {
    const timer = setTimeout(task, Math.min(DELAY_MS_MAX, delayMs));
    return () => clearTimeout(timer);
  },
};
