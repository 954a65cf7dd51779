// Runs the compiled tests, one process per file, and ends with one line `N passed, N failed`.
// Counted are the tests themselves, from the runner's own events; a file that crashes counts as failed.
// Usage: node tools/run-tests.js [--jobs N] [--again] [--long | part of a path …]   e.g. node tools/run-tests.js reactor/frame
// What takes half a minute is in files *.long.test.ts; they run with --long, and where a part of their path is given.
// With --again, up to three files that failed run once more, alone. What passes then is named as flaky: a fault to be
// found, of the test or of the product, that the load of the machine brought out.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const FILE_TIMEOUT_MS = 600_000;
/** The files that take longest are told at the end, so that the suite does not grow slow unseen. */
const SLOWEST_SHOWN = 20;
const SLOW_MS = 10_000;

/** More files that fail are no accident. */
const AGAIN_MAX = 3;

const { values, positionals } = parseArgs({
  options: {
    jobs: { type: 'string', default: '2' },
    again: { type: 'boolean', default: false },
    long: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const root = fileURLToPath(new URL('../dist/test/', import.meta.url));
const files = readdirSync(root, { recursive: true })
  .filter((name) => name.endsWith('.test.js') && !name.includes('fixtures'))
  .filter((name) =>
    positionals.length === 0
      ? name.endsWith('.long.test.js') === values.long
      : positionals.some((part) => name.includes(part)),
  )
  .toSorted()
  .map((name) => path.join(root, name));

if (files.length === 0) {
  console.error(`no compiled test matches ${positionals.join(' ') || 'dist/test'}`);
  process.exit(1);
}

let outcomes = await runFiles(files, Number(values.jobs));
const slowest = [...outcomes].toSorted(([, a], [, b]) => b.ms - a.ms).slice(0, SLOWEST_SHOWN);
const flaky = [];
const suspects = failedAmong(outcomes);
if (values.again && suspects.length > 0 && suspects.length <= AGAIN_MAX) {
  console.log(`\nonce more, alone: ${suspects.map(([file]) => nameOf(file)).join(', ')}`);
  const again = await runFiles(
    suspects.map(([file]) => file),
    1,
  );
  const stillFailed = new Set(failedAmong(again).map(([file]) => file));
  flaky.push(...suspects.filter(([file]) => !stillFailed.has(file)));
  outcomes = new Map([...outcomes, ...again]);
}

for (const [file, { ms }] of slowest) {
  if (ms >= SLOW_MS) console.log(`${(ms / 1000).toFixed(1).padStart(6)} s  ${nameOf(file)}`);
}
tell('flaky', flaky);
tell('failed', failedAmong(outcomes));
const sum = (count) => [...outcomes.values()].reduce((total, outcome) => total + count(outcome), 0);
const [passed, failed, skipped] = [
  sum((outcome) => outcome.passed),
  sum((outcome) => outcome.failures.length),
  sum((outcome) => outcome.skipped),
];
const others = [
  [skipped, 'skipped'],
  [flaky.length, flaky.length === 1 ? 'flaky file' : 'flaky files'],
].map(([count, what]) => (count > 0 ? `, ${count} ${what}` : ''));
console.log(`${passed} passed, ${failed} failed${others.join('')}`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

/**
 * By file: its counts, its failures in words, and what its tests took, in milliseconds. Every file has a runner of its
 * own, for an event names the place where a test was declared, and a suite of both transports is declared elsewhere.
 */
async function runFiles(paths, concurrency) {
  const found = new Map();
  const reporter = new spec();
  const told = pipeline(reporter, process.stdout, { end: false });
  const waiting = [...paths];
  const runSome = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const { outcome, events } = await runFile(file);
      found.set(file, outcome);
      for (const event of events) reporter.write(event);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, runSome));
  reporter.end();
  await told;
  return found;
}

async function runFile(file) {
  const outcome = { passed: 0, skipped: 0, failures: [], ms: 0 };
  const events = [];
  for await (const event of run({ files: [file], timeout: FILE_TIMEOUT_MS })) {
    const { type, data } = event;
    const { name, nesting, details, skip } = data;
    // Of the run, which is here one of a single file: `tests 4`, `pass 3`.
    if (type === 'test:diagnostic' && nesting === 0) continue;
    events.push(event);
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (nesting === 0) outcome.ms += details.duration_ms;
    if (type === 'test:pass') {
      if (details.type === 'suite') continue;
      if (skip !== undefined && skip !== false) outcome.skipped += 1;
      else outcome.passed += 1;
    } else if (details.type !== 'suite' || details.error?.failureType !== 'subtestsFailed') {
      // A suite fails with its tests; those are counted already.
      outcome.failures.push(`${name}: ${firstLine(details.error)}`);
    }
  }
  return { outcome, events };
}

function failedAmong(of) {
  return [...of].filter(([, { failures }]) => failures.length > 0);
}

function tell(verdict, of) {
  for (const [file, { failures }] of of) {
    for (const failure of failures) console.log(`${verdict}: ${nameOf(file)}: ${failure}`);
  }
}

function nameOf(file) {
  return path.relative(root, file);
}

function firstLine(error) {
  const cause = error?.cause ?? error;
  return String(cause?.message ?? cause).split('\n')[0];
}
