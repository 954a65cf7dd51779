// A worker terminated with loop callbacks pending must not take the process with it.
// Run it against the sanitizer build as well: npm run build:addon -- --sanitize=address --test
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runScript } from '../support/script.js';

const ROUNDS = 100;

test('100 workers terminated with callbacks pending leave the process alive and no descriptor', async () => {
  const script = new URL('support/terminate-rounds.js', import.meta.url);
  const { stdout, stderr, code, signal } = await runScript(script, [String(ROUNDS)], 120_000);
  assert.equal(stderr, '');
  assert.deepEqual({ code, signal }, { code: 0, signal: null });
  const result = JSON.parse(stdout) as {
    rounds: number;
    descriptorsBefore: number;
    descriptorsAfter: number;
  };
  assert.equal(result.rounds, ROUNDS);
  assert.equal(result.descriptorsAfter, result.descriptorsBefore);
});
