// The part of the suite kv about the ordered store alone: skip-list.ts beside sorted-btree, in a process of its own, which
// takes turns between them round by round. No server, no disk.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { JsonLines } from '../json-lines.js';
import { type CheckRule, judge } from '../report.js';
import { median, pairRatios } from '../statistics.js';
import { cleanEnvironment } from '../subject.js';
import { type Bench, noteMissing } from '../suite.js';

const PROGRAM = fileURLToPath(new URL('../kv/skip-list.js', import.meta.url));
const TIMEOUT_MS = 900_000;
/** Of a full run: where the bars are set. The others look at fewer, of which caches hold more. */
const KEYS = 1_000_000;
const QUICK_KEYS = 20_000;
const SMOKE_KEYS = 500;
const ROUNDS_MAX = 3;

const COMPARED = ['get, random', 'insert, ascending', 'insert, random'] as const;
type Compared = (typeof COMPARED)[number];
const RULES: Readonly<Record<Compared, CheckRule>> = {
  'get, random': cpu('kv.store.get_vs_btree', 'CPU of a point lookup, skip list / sorted-btree'),
  'insert, ascending': cpu(
    'kv.store.insert_vs_btree',
    'CPU of an insert in ascending order, skip list / sorted-btree',
  ),
  'insert, random': cpu(
    'kv.store.insert_random_vs_btree',
    'CPU of an insert in random order, skip list / sorted-btree',
  ),
};
const OVERHEAD: CheckRule = {
  id: 'kv.store.overhead',
  title: 'memory of the skip list per key beyond keys and values',
  unit: 'bytes',
  bar: 150,
  better: 'lower',
};

export const STORE_RULES: readonly CheckRule[] = [...Object.values(RULES), OVERHEAD];

export async function runOrderedStore(bench: Bench): Promise<void> {
  const { effort, report } = bench;
  const keys = effort.judged ? KEYS : effort.allPoints ? QUICK_KEYS : SMOKE_KEYS;
  const rounds = Math.min(effort.pairs, ROUNDS_MAX);
  bench.progress(`ordered store: ${keys} keys`);
  const { samples, overheads } = await measure(keys, rounds);
  for (const what of COMPARED) {
    const ours = samples[`${what}: skip list`];
    const theirs = samples[`${what}: sorted-btree`];
    if (ours === undefined) continue;
    const beside = theirs === undefined ? '' : `, sorted-btree ${Math.round(median(theirs))} ns`;
    report.notes.push(`${what}: skip list ${Math.round(median(ours))} ns a key${beside} (${keys} keys)`);
    if (theirs !== undefined) report.checks.push(judge(RULES[what], pairRatios(ours, theirs)));
  }
  if (samples['get, random: sorted-btree'] === undefined) noteMissing(report, 'sorted-btree', 'npm ci');
  if (overheads.length > 0) report.checks.push(judge(OVERHEAD, overheads));
}

interface StoreResult {
  readonly samples: Readonly<Record<string, readonly number[]>>;
  readonly overheads: readonly number[];
}

async function measure(keys: number, rounds: number): Promise<StoreResult> {
  const child = spawn(process.execPath, ['--expose-gc', PROGRAM, String(keys), String(rounds)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: cleanEnvironment(),
  });
  const exited = once(child, 'exit');
  try {
    return (await new JsonLines(child.stdout).next('result', TIMEOUT_MS)) as unknown as StoreResult; // its last line
  } finally {
    child.kill('SIGKILL'); // it has nothing to put in order
    await exited;
  }
}

function cpu(id: string, title: string): CheckRule {
  return { id, title, unit: 'ratio', bar: 1.5, better: 'lower' };
}
