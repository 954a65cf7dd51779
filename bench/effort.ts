// How much work a run does: `full` is judged, `quick` and `smoke` only report.
// Suites take their repetitions and durations from here, so that the promised times hold in one place.

export interface Effort {
  readonly name: 'full' | 'quick' | 'smoke';
  /** Interleaved rounds of a point that a check rests on, and of the others. */
  readonly pairs: number;
  readonly sidePairs: number;
  readonly warmupSeconds: number;
  readonly durationSeconds: number;
  readonly idleConnections: number;
  readonly idlePairs: number;
  /** Whether points without a check are measured, or only the first of them. */
  readonly allPoints: boolean;
  /** Whether the exit code depends on the checks. */
  readonly judged: boolean;
}

export const FULL: Effort = {
  name: 'full',
  pairs: 11,
  sidePairs: 5,
  warmupSeconds: 0.2,
  durationSeconds: 1,
  idleConnections: 10_000,
  idlePairs: 3,
  allPoints: true,
  judged: true,
};

/** Under 30 s a suite. */
export const QUICK: Effort = {
  name: 'quick',
  pairs: 3,
  sidePairs: 1,
  warmupSeconds: 0.1,
  durationSeconds: 0.25,
  idleConnections: 5000,
  idlePairs: 1,
  allPoints: true,
  judged: false,
};

/** Under 3 s a suite: shows that the bench still runs, its figures mean nothing. */
export const SMOKE: Effort = {
  name: 'smoke',
  pairs: 1,
  sidePairs: 1,
  warmupSeconds: 0.01,
  durationSeconds: 0.05,
  idleConnections: 100,
  idlePairs: 1,
  allPoints: false,
  judged: false,
};
