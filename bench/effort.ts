// How much work a run does: `full` is judged, `quick` and `smoke` only report.
// Suites take their repetitions and durations from here, so that the promised times hold in one place.

export interface Effort {
  readonly name: 'full' | 'quick' | 'smoke';
  /** Interleaved rounds of a suite's first point, of the others that a check rests on, and of those without one. */
  readonly pairs: number;
  readonly pointPairs: number;
  readonly sidePairs: number;
  readonly warmupSeconds: number;
  readonly durationSeconds: number;
  readonly idleConnections: number;
  readonly idlePairs: number;
  /** How long a server is left in peace before its memory is read. */
  readonly settleSeconds: number;
  /** Opened and closed again in search of leaks. */
  readonly churnConnections: number;
  /** Whether points without a check are measured, or only the first of them. */
  readonly allPoints: boolean;
  /** Whether the exit code depends on the checks. */
  readonly judged: boolean;
}

export const FULL: Effort = {
  name: 'full',
  pairs: 11,
  pointPairs: 11,
  sidePairs: 3,
  warmupSeconds: 0.2,
  durationSeconds: 1,
  idleConnections: 15_000,
  idlePairs: 3,
  settleSeconds: 5.5,
  churnConnections: 100_000,
  allPoints: true,
  judged: true,
};

/** Under 30 s a suite. */
export const QUICK: Effort = {
  name: 'quick',
  pairs: 3,
  pointPairs: 1,
  sidePairs: 1,
  warmupSeconds: 0.1,
  durationSeconds: 0.25,
  idleConnections: 5000,
  idlePairs: 1,
  settleSeconds: 1,
  churnConnections: 5000,
  allPoints: true,
  judged: false,
};

/** Under 3 s a suite: shows that the bench still runs, its figures mean nothing. */
export const SMOKE: Effort = {
  name: 'smoke',
  pairs: 1,
  pointPairs: 1,
  sidePairs: 1,
  warmupSeconds: 0.01,
  durationSeconds: 0.1,
  idleConnections: 100,
  idlePairs: 1,
  settleSeconds: 0,
  churnConnections: 100,
  allPoints: false,
  judged: false,
};
