// The judgements of the log on which a restart rests, one function each. They stand apart so that tests can break one at a
// time and see the simulator catch it; the product never passes others.

export interface WalRules {
  /** A bad record at the end is torn only if it looks it; `isWitnessed`: a later record says that it was durable. */
  isTorn(isWitnessed: boolean, looksTorn: boolean): boolean;
  /** The index that a new segment goes on with. */
  firstIndexAfter(lastIndex: number): number;
  /** A segment may go when nothing in it is above what is to be forgotten. */
  mayRemove(indexMax: number, through: number): boolean;
}

export const WAL_RULES: WalRules = {
  isTorn: (isWitnessed, looksTorn) => !isWitnessed && looksTorn,
  firstIndexAfter: (lastIndex) => lastIndex + 1,
  mayRemove: (indexMax, through) => indexMax <= through,
};
