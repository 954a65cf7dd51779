// Runs the compiled tests, one process per file, and ends with one line `N passed, N failed`.
// Counted are the tests themselves, from the runner's own events; a file that crashes counts as failed.
// Usage: node tools/run-tests.js [--jobs N] [--long | part of a path …]   e.g. node tools/run-tests.js reactor/frame
// What takes half a minute is in files *.long.test.ts; they run with --long, and where a part of their path is given.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const FILE_TIMEOUT_MS = 600_000;
/** The files that take longest are told at the end, so that the suite does not grow slow unseen. */
const SLOWEST_SHOWN = 20;
const SLOW_MS = 10_000;

const { values, positionals } = parseArgs({
  options: { jobs: { type: 'string', default: '2' }, long: { type: 'boolean', default: false } },
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

const counts = { passed: 0, failed: 0, skipped: 0 };
/** What the tests of a file took, in milliseconds. */
const took = new Map();
const addTime = ({ file, nesting, details }) => {
  if (nesting === 0 && file !== undefined) took.set(file, (took.get(file) ?? 0) + details.duration_ms);
};
const stream = run({ files, concurrency: Number(values.jobs), timeout: FILE_TIMEOUT_MS });
stream.on('test:pass', (event) => {
  if (event.details.type === 'suite') return;
  if (event.skip !== undefined && event.skip !== false) counts.skipped += 1;
  else counts.passed += 1;
});
stream.on('test:fail', (event) => {
  // A suite fails with its tests; those are counted already.
  if (event.details.type !== 'suite' || event.details.error?.failureType !== 'subtestsFailed')
    counts.failed += 1;
});
stream.on('test:pass', addTime);
stream.on('test:fail', addTime);
stream.compose(new spec()).pipe(process.stdout);
stream.once('end', () => {
  process.once('beforeExit', () => {
    for (const [file, ms] of [...took].toSorted(([, a], [, b]) => b - a).slice(0, SLOWEST_SHOWN)) {
      if (ms >= SLOW_MS) console.log(`${(ms / 1000).toFixed(1).padStart(6)} s  ${path.relative(root, file)}`);
    }
    const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
    console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
    process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1;
  });
});
