import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

test('the bench of the ordered store runs and compares', () => {
  const script = fileURLToPath(new URL('../../bench/kv/skip-list.js', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', script, '500'], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(status, 0, stderr);
  for (const line of [
    'get, random: skip list',
    'get, random: Map',
    'snapshot:',
    'overhead, random:',
    'compare:',
  ]) {
    assert(stdout.includes(line), stdout);
  }
});
