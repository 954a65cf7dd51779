// Counts per command: what INFO commandstats shows, and what metrics read.

export class CommandStats {
  calls = 0;
  /** From taking it up to having its answer; a command of a batch has its share of the batch's time. */
  micros = 0;
  /** Refused before execution: wrong arity, no permission. */
  rejected = 0;
  /** Answered with an error. */
  failed = 0;

  reset(): void {
    this.calls = 0;
    this.micros = 0;
    this.rejected = 0;
    this.failed = 0;
  }
}
