import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

import { complaintsOf, runProgram } from '../support/example.js';

const skip = spawnSync('python3', ['--version']).status === 0 ? false : 'there is no python3 on this machine';

test('rpc-python: a client written from the document calls a server in Node', { skip }, async (t) => {
  const long = 'x'.repeat(40_000); // its answer comes as DATA
  const command = await runProgram(t, 'rpc-python', 'main', ['ada', 'grace höpper', long]);
  assert.deepEqual(command.lines, ['hello ada', 'hello grace höpper', `hello ${long}`]);
  assert.equal(complaintsOf(command), '');
  assert.equal(await command.exitCode, 0);
});

test('rpc-python: an error arrives with its status and its text', { skip }, async (t) => {
  const command = await runProgram(t, 'rpc-python', 'main', ['ada', '']);
  assert.deepEqual(command.lines, ['hello ada']);
  assert.equal(complaintsOf(command), 'status 3, reason 0, perhaps executed: a greeting needs a name\n');
  assert.equal(await command.exitCode, 1);
});
