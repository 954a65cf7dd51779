// Every suite runs tiny, each in a process of its own: what it measures means nothing, that it runs does.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { SuiteReport } from '../../bench/report.js';
import { SUITES } from '../../bench/suites/index.js';

const BENCH = fileURLToPath(new URL('../../bench/main.js', import.meta.url));
/** Generous: the promise of 3 s is for a machine that does nothing else. */
const TIMEOUT_MS = 120_000;

for (const { name } of SUITES) {
  test(`bench ${name} --smoke runs and writes its report`, { timeout: TIMEOUT_MS }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'reactor-net-bench-'));
    try {
      const file = join(directory, 'report.json');
      const child = spawn(process.execPath, [BENCH, name, '--smoke', '--json', file], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const exited = once(child, 'exit');
      const [table, progress] = await Promise.all([text(child.stdout), text(child.stderr)]);
      const [code] = (await exited) as [number | null];
      assert.equal(code, 0, progress);
      const report = JSON.parse(readFileSync(file, 'utf8')) as SuiteReport;
      assert.equal(report.suite, name);
      assert.ok(report.host.cpus > 0);
      assert.match(table, new RegExp(`^${name} \\(smoke\\)`));
      // A figure or a reason: nothing is left out in silence.
      assert.ok(report.results.length > 0 || report.missing.length > 0);
      for (const result of report.results) {
        // Of all that was done, warm-up included. In the tenth of a second that is timed a busy machine may do nothing.
        assert.ok(result.cpu_us_per_op > 0, JSON.stringify(result));
        assert.ok(result.ops_per_s >= 0, JSON.stringify(result));
        assert.ok(result.p50_us <= result.p999_us, JSON.stringify(result));
      }
      for (const check of report.checks) assert.ok(Number.isFinite(check.value), check.id);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}
