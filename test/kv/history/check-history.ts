// `node dist/test/kv/history/check-history.js FILE…` judges kept histories again (see recorder.ts) and shows the first violation of each key.
// Also where the chaos runs have theirs judged. Keys carry the name of their model.

import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { type CounterInput, counterModel, type CounterOutput } from './counter-model.js';
import { check, type Verdict } from './linearizability.js';
import { type Anomaly, checkLists, type ListTransaction } from './list-append.js';
import { byKey, type Operation } from './operation.js';
import { type KeptHistory, readHistory, type Recorded } from './recorder.js';
import { type RegisterInput, registerModel, type RegisterOutput } from './register-model.js';
import { asHtml, asText, explain, type Violation } from './report.js';

/** Names that a history's operations may carry. */
export type ModelName = 'register' | 'register-versions' | 'counter' | 'lists';

export interface Judgement {
  readonly operations: number;
  readonly unknownOutcomes: number;
  readonly keys: number;
  readonly violations: readonly Violation[];
  readonly anomalies: readonly Anomaly[];
  /** Keys whose search used up its steps: nothing is known of them. */
  readonly undecided: readonly string[];
  readonly steps: number;
}

const REGISTER = registerModel('none');
const VERSIONED = registerModel('revisions');

export function judge({ history, failed }: KeptHistory, stepsMax?: number): Judgement {
  const violations: Violation[] = [];
  const undecided: string[] = [];
  const options = stepsMax === undefined ? {} : { stepsMax };
  const models = new Set(history.map((operation) => operation.model));
  let keys = 0;
  let steps = 0;
  const note = (key: string, verdict: Verdict, explained: () => Violation | null): void => {
    keys += 1;
    steps += verdict.steps;
    if (verdict.kind === 'unknown') undecided.push(key);
    if (verdict.kind !== 'violation') return;
    const violation = explained();
    if (violation === null) undecided.push(key);
    else violations.push(violation);
  };
  let anomalies: readonly Anomaly[] = [];
  for (const model of models) {
    const operations = history.filter((operation) => operation.model === model);
    switch (model as ModelName) {
      case 'register':
      case 'register-versions': {
        const object = model === 'register' ? REGISTER : VERSIONED;
        // The clients write such operations under such a model's name and no others.
        for (const [key, its] of byKey(operations as Operation<RegisterInput, RegisterOutput>[]))
          note(key, check(object, its, options), () => explain(object, its, options));
        break;
      }
      case 'counter':
        for (const [key, its] of byKey(operations as Operation<CounterInput, CounterOutput>[]))
          note(key, check(counterModel, its, options), () => explain(counterModel, its, options));
        break;
      case 'lists':
        keys += 1;
        anomalies = checkLists(
          operations as ListTransaction[],
          failed.filter((operation) => operation.model === 'lists') as ListTransaction[],
        );
        break;
      default:
        throw new Error(`no model ${model}`);
    }
  }
  const unknownOutcomes = history.filter((operation: Recorded) => operation.returnNs === Infinity).length;
  return { operations: history.length, unknownOutcomes, keys, violations, anomalies, undecided, steps };
}

/** What a person is told. */
export function told(judgement: Judgement): string {
  const { operations, unknownOutcomes, keys, violations, anomalies, undecided, steps } = judgement;
  const lines = [
    `${operations} operations (${unknownOutcomes} of unknown outcome) on ${keys} keys, ${steps} steps: ` +
      `${violations.length} violations, ${anomalies.length} anomalies, ${undecided.length} undecided`,
    ...violations.map(asText),
    ...anomalies.map(
      ({ kind, key, transactions, explanation }) =>
        `${kind} on ${key}, transactions ${transactions.join(', ')}: ${explanation}`,
    ),
    ...undecided.map((key) => `${key}: undecided`),
  ];
  return lines.join('\n');
}

function main(files: readonly string[]): number {
  if (files.length === 0) {
    console.error('usage: node dist/test/kv/history/check-history.js FILE…');
    return 2;
  }
  let isFine = true;
  for (const file of files) {
    const judgement = judge(readHistory(file));
    console.log(`${file}: ${told(judgement)}`);
    for (const [at, violation] of judgement.violations.entries())
      writeFileSync(`${file}.${at + 1}.html`, asHtml(violation));
    isFine &&= judgement.violations.length + judgement.anomalies.length + judgement.undecided.length === 0;
  }
  return isFine ? 0 : 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  process.exitCode = main(process.argv.slice(2));
