// Threads are terminated in the middle of their work, in a process of its own that must survive it.
// REACTOR_TEST_ROUNDS sets how often (default 21); npm run test:asan does it 100 times under AddressSanitizer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runScript } from '../support/script.js';
import { forEachTransport } from '../support/transports.js';

const ROUNDS = Number(process.env['REACTOR_TEST_ROUNDS'] ?? 21);
const SCRIPT = new URL('fixtures/terminate-rounds.js', import.meta.url);

forEachTransport((transport) => {
  test(`${ROUNDS} threads terminated under load leave the process alive, the others serving, no descriptor (${transport})`, async (t) => {
    const args = [transport, String(ROUNDS)];
    const { stdout, stderr, code, signal } = await runScript(SCRIPT, args, 170_000);
    assert.equal(stderr, '', 'no report, no warning');
    assert.deepEqual({ code, signal }, { code: 0, signal: null });
    const result = JSON.parse(stdout) as Record<string, number>;
    assert.equal(result['descriptorsAfter'], result['descriptorsBefore']);
    assert(result['cut']! > 0, 'threads were terminated with connections');
    t.diagnostic(stdout.trim());
  });
});
