import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CheckRule, judge, passed, type SuiteReport } from '../../bench/report.js';
import { type Sample, toResult } from '../../bench/sample.js';
import { checkRatio, noteUnmeasured } from '../../bench/suite.js';
import { formatTable } from '../../cli/text-table.js';
import { formatReport } from '../../bench/table.js';

const LOWER: CheckRule = { id: 'a.cpu', title: 'CPU', unit: 'ratio', bar: 0.95, better: 'lower' };
const HIGHER: CheckRule = { id: 'a.ops', title: 'throughput', unit: 'ratio', bar: 0.95, better: 'higher' };

function report(): SuiteReport {
  return {
    suite: 'a',
    host: { cpus: 2, node: 'v20.20.2', kernel: '6.1', cpu_model: 'any' },
    started: '2026-01-01T00:00:00.000Z',
    effort: 'full',
    results: [],
    checks: [],
    missing: [],
    notes: [],
  };
}

function sample(cpuPerOp: number): Sample {
  return {
    operations: 1,
    opsPerSecond: 1e6 / cpuPerOp,
    bytesPerSecond: 0,
    cpuPerOp,
    userPerOp: cpuPerOp / 2,
    systemPerOp: cpuPerOp / 2,
    loadCpuPerOp: 1,
    rssBytes: 1,
    histogram: null,
    p50: 1,
    p99: 2,
    p999: 3,
  };
}

test('a value on the bar is ok from both sides, one past it is not', () => {
  assert.equal(judge(LOWER, [0.95]).ok, true);
  assert.equal(judge(LOWER, [0.9501]).ok, false);
  assert.equal(judge(HIGHER, [0.95]).ok, true);
  assert.equal(judge(HIGHER, [0.9499]).ok, false);
});

test('a check carries the median, the quartiles and the number of pairs', () => {
  const { value, q1, q3, pairs } = judge(LOWER, [3, 1, 2, 5, 4]);
  assert.deepEqual({ value, q1, q3, pairs }, { value: 3, q1: 2, q3: 4, pairs: 5 });
});

test('a ratio is judged round by round', () => {
  const rounds = new Map([
    ['ours', [sample(9), sample(19)]],
    ['theirs', [sample(10), sample(20)]],
  ]);
  const filled = report();
  checkRatio(filled, LOWER, rounds, { ours: 'ours', theirs: 'theirs' }, ({ cpuPerOp }) => cpuPerOp);
  assert.equal(filled.checks[0]?.value, 0.925);
  assert.equal(filled.checks[0]?.pairs, 2);
});

test('a check without its peer is named, and a report with one has not passed', () => {
  const filled = report();
  checkRatio(filled, LOWER, new Map([['ours', [sample(9)]]]), { ours: 'ours', theirs: 'gone' }, () => 1);
  assert.deepEqual(filled.checks, []);
  noteUnmeasured(filled, [LOWER], 'gone is missing');
  assert.deepEqual(filled.missing[0]?.checks, ['a.cpu']);
  assert.equal(passed(filled), false);
  assert.match(formatReport(filled), /missing: a: gone is missing .*a\.cpu/);
});

test('a missing subject that no check needs does not fail a report', () => {
  const filled = { ...report(), missing: [{ subject: 'b', reason: 'not here', checks: [] }] };
  filled.checks.push(judge(LOWER, [0.5]));
  noteUnmeasured(filled, [LOWER], 'gone is missing');
  assert.equal(passed(filled), true);
  assert.equal(passed({ ...filled, checks: [judge(LOWER, [2])] }), false);
});

test('a result is the median of its rounds with the fields of the contract', () => {
  const result = toResult('echo', { connections: 40 }, 'node:net', [sample(1), sample(4), sample(2)]);
  assert.equal(result.cpu_us_per_op, 2);
  assert.equal(result.ops_per_s, 500_000);
  assert.equal(result.rounds, 3);
  const promised =
    'name params subject ops_per_s cpu_us_per_op user_us_per_op sys_us_per_op load_cpu_us_per_op p50_us p99_us p999_us bytes_per_s rss_bytes';
  for (const field of promised.split(' ')) assert.ok(field in result, field);
  assert.throws(() => toResult('echo', {}, 'node:net', []), RangeError);
});

test('a table aligns names left and figures right', () => {
  const rows = [
    ['name', 'ops'],
    ['a', '10,000'],
    ['long name', '7'],
  ];
  assert.equal(formatTable(rows, 1), 'name          ops\na          10,000\nlong name       7');
});
