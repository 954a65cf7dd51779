// Node's ring and Python's are the same ring: both directions at once, checked message by message.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

import { addonMissingReason } from '../../addon/index.js';
import { createChannel, pairKey, PYTHON_PEER } from '../../addon/jbus/index.js';
import { Command } from '../support/command.js';
import { pythonMissing } from '../support/python.js';
import { exchangeWithPython } from './support/python-exchange.js';
import { patternBytes } from './support/rings.js';

const skip = pythonMissing || (addonMissingReason() ?? false);
const COUNT = 100_000;
const RING_BYTES = 64 * 1024;
const PATIENCE_MS = 20_000;
const OWNER = fileURLToPath(new URL('./support/python-owner.js', import.meta.url));
/** What an interpreter takes to come down. */
const ROUNDS_MAX = 15;
const PYTHON_EXIT_MS = 100;

for (const capacity of [4096, 64 * 1024]) {
  const count = capacity === 4096 ? COUNT / 10 : COUNT;
  test(`${count} messages go both ways between Node and Python through rings of ${capacity} bytes`, {
    skip,
  }, async (t) => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    t.diagnostic(`seed ${seed}`);
    await exchangeWithPython({ count, capacity, bytesMax: 3 * capacity, seed });
  });
}

test('a channel of Node and Python carries messages of every size over the doorbell of its key', {
  skip,
}, async (t) => {
  const key = pairKey(process.pid % 4094, 4094);
  const { channel, address } = await createChannel({
    key,
    capacityOut: RING_BYTES,
    capacityIn: 2 * RING_BYTES,
  });
  t.after(() => channel.close());
  assert('sendId' in address, 'shared memory');
  const { sendId, receiveId, epoch } = address;
  const flags = { 'send-id': sendId, 'receive-id': receiveId, epoch, 'doorbell-key': key };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const echo = spawn('python3', ['-B', fileURLToPath(PYTHON_PEER), 'echo', ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: PATIENCE_MS,
  });
  const ended = Promise.all([once(echo, 'exit'), text(echo.stderr)]);
  await channel.join({ timeoutMs: PATIENCE_MS });
  for (const bytes of [0, 1, RING_BYTES / 2 - 32, RING_BYTES, 10 * RING_BYTES]) {
    const data = patternBytes(bytes, bytes);
    // Both at once: neither ring holds the largest of them.
    const [, message] = await Promise.all([
      channel.writeAsync(data, { type: 5, timeoutMs: PATIENCE_MS }),
      channel.readAsync({ timeoutMs: PATIENCE_MS }),
    ]);
    assert.equal(message.type, 5);
    assert(Buffer.from(data).equals(message.data), `${bytes} bytes come back as they went`);
  }
  channel.close();
  assert.deepEqual(await ended, [[0, null], '']);
});

test('Python learns within 100 ms that a Node process which owned the channel was killed', {
  skip,
}, async (t) => {
  // A busy machine is late; by heartbeats alone, which come every 250 ms, not one of the rounds could be in time.
  const delaysMs: number[] = [];
  while (delaysMs.length < ROUNDS_MAX && !(Math.min(...delaysMs) < 100 + PYTHON_EXIT_MS)) {
    delaysMs.push(await millisecondsUntilPythonEnds(t));
  }
  assert(Math.min(...delaysMs) < 100 + PYTHON_EXIT_MS, `${delaysMs.join(', ')} ms`);
});

/** Kills the owner; Python ends by its own decision, and says why. */
async function millisecondsUntilPythonEnds(t: TestContext): Promise<number> {
  const owner = new Command(t, [], {}, OWNER);
  await owner.line((line) => line.startsWith('joined'));
  const startMs = performance.now();
  // 'close' comes when nobody holds the owner's standard error any more: when Python has ended as well.
  await owner.stop('SIGKILL');
  assert.match(owner.stderr, /^reactor_jbus.py: JBUS_PEER_DEAD: .*\n$/);
  return performance.now() - startMs;
}
