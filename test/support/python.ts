// Python in tests: whether there is one, and its own unittest modules as subtests of ours.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

/** The folder of the Python tests, in the sources: nothing compiles them. */
export const PYTHON_TESTS: string = fileURLToPath(new URL('../../../test/jbus/python/', import.meta.url));
/** For what hangs: a busy machine may need minutes. */
const TIMEOUT_MS = 400_000;

/** Why the Python peer cannot run here; false when it can. For the `skip` of a test. */
export const pythonMissing: string | false = findMissing();

interface PythonTest {
  readonly title: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  readonly detail: string;
}

/** Runs one module of test/jbus/python and reports each of its tests as a subtest. */
export async function reportPythonTests(t: TestContext, module: string): Promise<void> {
  const child = spawn('python3', ['-B', 'run.py', module], {
    cwd: PYTHON_TESTS,
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: TIMEOUT_MS,
  });
  const closed = once(child, 'close');
  for await (const line of createInterface({ input: child.stdout })) {
    const { title, outcome, detail } = JSON.parse(line) as PythonTest; // as run.py prints it
    const skip = outcome === 'skipped' ? detail : false;
    await t.test(title, { skip }, () => assert.equal(outcome, 'passed', detail));
  }
  const [code, signal] = await closed;
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, `${module} ran to its end`);
}

function findMissing(): string | false {
  if (process.platform !== 'linux') return 'System V memory as we use it is Linux';
  const probe = 'import ctypes, sys; sys.exit(sys.version_info < (3, 9))';
  return spawnSync('python3', ['-c', probe]).status === 0 ? false : 'no Python of 3.9 or later';
}
