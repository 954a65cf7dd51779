// The Python peer against itself, in one process: its own tests, each of them counted here.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

import { pythonMissing, reportPythonTests } from '../support/python.js';

test('the Python segment', { skip: pythonMissing }, (t) => reportPythonTests(t, 'test_segment'));
test('the Python ring', { skip: pythonMissing }, (t) => reportPythonTests(t, 'test_ring'));
test('the Python channel', { skip: pythonMissing }, (t) => reportPythonTests(t, 'test_channel'));

test('the bench of the Python peer runs, whatever it measures', { skip: pythonMissing }, () => {
  const bench = fileURLToPath(new URL('../../../bench/jbus-python.py', import.meta.url));
  const { status, stdout, stderr } = spawnSync('python3', ['-B', bench, '--smoke'], { encoding: 'utf8' });
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  assert.match(stdout, /write_many 64 B .* million per second/);
});
