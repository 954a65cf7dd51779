// What a suite is and what it is given: subjects to start, rounds to run, a report to fill.
// A new suite is one file in suites/ and one line in suites/index.ts.

import type { Effort } from './effort.js';
import { type CheckRule, judge, type SuiteReport } from './report.js';
import type { Sample } from './sample.js';
import { pairRatios, roundOrder } from './statistics.js';
import { startSubject, type Subject, type SubjectSpec } from './subject.js';

export interface Bench {
  readonly effort: Effort;
  /** CPUs that servers and load generators are bound to; null leaves them to the scheduler. */
  readonly serverCpu: number | null;
  readonly loadCpu: number | null;
  readonly report: SuiteReport;
  progress(text: string): void;
}

export interface Suite {
  readonly name: string;
  /** Every figure the suite judges, so that one that could not be measured is noticed. */
  readonly rules: readonly CheckRule[];
  run(bench: Bench): Promise<void>;
}

/** Samples of every subject, by name, in the order of the rounds. */
export type Rounds = ReadonlyMap<string, readonly Sample[]>;

/** Starts all that can be started; the others are entered in the report as missing. */
export async function startSubjects(bench: Bench, specs: readonly SubjectSpec[]): Promise<Subject[]> {
  const outcomes = await Promise.allSettled(specs.map((spec) => startSubject(spec, bench.serverCpu)));
  const subjects: Subject[] = [];
  for (const [index, outcome] of outcomes.entries()) {
    const name = specs[index]?.name ?? '';
    if (outcome.status === 'fulfilled') subjects.push(outcome.value);
    else noteMissing(bench.report, name, (outcome.reason as Error).message);
  }
  return subjects;
}

export function noteMissing(report: SuiteReport, subject: string, reason: string): void {
  const known = report.missing.some((missing) => missing.subject === subject && missing.reason === reason);
  if (!known) report.missing.push({ subject, reason, checks: [] });
}

/** Visits every subject once a round, in turn, so that what disturbs the machine disturbs all of them. */
export async function interleave(
  subjects: readonly Subject[],
  rounds: number,
  measure: (subject: Subject) => Promise<Sample>,
): Promise<Rounds> {
  const samples = new Map<string, Sample[]>(subjects.map((subject) => [subject.name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const index of roundOrder(subjects.length, round)) {
      const subject = subjects[index] as Subject; // roundOrder is a permutation of the indices
      samples.get(subject.name)?.push(await measure(subject));
    }
  }
  return samples;
}

/** Visits the subjects that are judged in all `pairs` rounds, the others in the first few, for the table. */
export async function interleaveJudged(
  subjects: readonly Subject[],
  judged: ReadonlySet<string>,
  { pairs, sidePairs }: { pairs: number; sidePairs: number },
  measure: (subject: Subject) => Promise<Sample>,
): Promise<Rounds> {
  const sideRounds = Math.min(pairs, sidePairs);
  const some = await interleave(subjects, sideRounds, measure);
  const compared = subjects.filter((subject) => judged.has(subject.name));
  const more = await interleave(compared, pairs - sideRounds, measure);
  return new Map(
    [...some].map(([subject, samples]) => [subject, [...samples, ...(more.get(subject) ?? [])]]),
  );
}

/** Judges ours against theirs round by round; does nothing when either is missing. */
export function checkRatio(
  report: SuiteReport,
  rule: CheckRule,
  rounds: Rounds,
  names: { ours: string; theirs: string },
  pick: (sample: Sample) => number,
): void {
  const ours = rounds.get(names.ours);
  const theirs = rounds.get(names.theirs);
  if (ours === undefined || theirs === undefined || ours.length === 0) return;
  report.checks.push(judge(rule, pairRatios(ours.map(pick), theirs.map(pick))));
}

/** Names the checks that have no value, so that none is passed by being left out. */
export function noteUnmeasured(report: SuiteReport, rules: readonly CheckRule[], reason: string): void {
  const measured = new Set(report.checks.map((check) => check.id));
  const checks = rules.map((rule) => rule.id).filter((id) => !measured.has(id));
  if (checks.length > 0) {
    report.missing.push({ subject: report.suite, reason, checks });
  }
}
