// A worker terminated with a busy transport must not take the process with it, nor leave its sockets open.
// Run it against the sanitizer build as well: npm run build:addon -- --sanitize=address --test
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { runScript } from '../support/script.js';

/** `npm run test:asan` makes it 100 each. */
const ROUNDS = process.env['REACTOR_TEST_ROUNDS'];
const CASES = { streams: Number(ROUNDS ?? 12), datagrams: Number(ROUNDS ?? 20) };

for (const [kind, rounds] of Object.entries(CASES)) {
  test(`workers terminated with busy ${kind} leave the process alive and no descriptor`, async () => {
    const script = new URL('support/terminate-transport-rounds.js', import.meta.url);
    const { stdout, stderr, code, signal } = await runScript(script, [String(rounds), kind], 120_000);
    assert.equal(stderr, '');
    assert.deepEqual({ code, signal }, { code: 0, signal: null });
    const result = JSON.parse(stdout) as Record<string, number>;
    assert.equal(result['rounds'], rounds);
    assert.equal(result['descriptorsAfter'], result['descriptorsBefore']);
  });
}
