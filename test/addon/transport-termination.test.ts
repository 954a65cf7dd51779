// A worker terminated with a busy transport must not take the process with it, nor leave its sockets open.
// Run it against the sanitizer build as well: npm run build:addon -- --sanitize=address --test
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** `npm run test:asan` makes it 100. */
const ROUNDS = Number(process.env['REACTOR_TEST_ROUNDS'] ?? 12);

test('workers terminated with busy transports leave the process alive and no descriptor', async () => {
  const script = fileURLToPath(new URL('support/terminate-transport-rounds.js', import.meta.url));
  const child = spawn(process.execPath, [script, String(ROUNDS)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
  });
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  assert.equal(stderr, '');
  assert.deepEqual({ code, signal }, { code: 0, signal: null });
  const result = JSON.parse(stdout) as Record<string, number>;
  assert.equal(result['rounds'], ROUNDS);
  assert.equal(result['descriptorsAfter'], result['descriptorsBefore']);
});
