import assert from 'node:assert/strict';
import { test } from 'node:test';

import { loadAddon } from '../../addon/index.js';
import { complaintsOf, runProgram } from '../support/example.js';

test('jbus: Python says every word back, and both processes end', {
  skip: loadAddon() === null,
}, async (t) => {
  const command = await runProgram(t, 'jbus', 'main', ['hello', 'wörld']);
  assert.deepEqual(
    command.lines.map((line) => line.replace(/ \(\d+ µs\)$/, '')),
    ['python says hello', 'python says wörld'],
  );
  assert.equal(complaintsOf(command), '');
  assert.equal(await command.exitCode, 0);
});
