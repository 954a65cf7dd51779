// Node's ring and Python's are the same ring: both directions at once, checked message by message.

import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

import { addonMissingReason } from '../../addon/index.js';
import { Command } from '../support/command.js';
import { pythonMissing } from '../support/python.js';
import { exchangeWithPython } from './support/python-exchange.js';

const skip = pythonMissing || (addonMissingReason() ?? false);
const COUNT = 100_000;
const OWNER = fileURLToPath(new URL('./support/python-owner.js', import.meta.url));
/** What an interpreter takes to come down. */
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

test('Python learns within 100 ms that a Node process which owned the channel was killed', {
  skip,
}, async (t) => {
  // The median of three: a machine that is busy with other tests is late once in a while.
  const delaysMs: number[] = [];
  for (let round = 0; round < 3; round += 1) delaysMs.push(await millisecondsUntilPythonEnds(t));
  assert(delaysMs.toSorted((a, b) => a - b)[1]! < 100 + PYTHON_EXIT_MS, `${delaysMs.join(', ')} ms`);
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
