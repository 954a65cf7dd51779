// A killed writer leaves whole records, a killed reader a ring to go on with; `npm run jbus:crash` does it 500 times,
// mostly in mid-write. Each single store of a write is covered by the C++ test jbus_ring_crash.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { crashRounds } from './support/crash-rounds.js';

const STOPPING_ADDON = fileURLToPath(new URL('../../../build-stop/Debug/reactor_net.node', import.meta.url));

test('whoever is killed, no torn record is delivered and the ring can be gone on with', async () => {
  const stoppingAddon = existsSync(STOPPING_ADDON) ? { stoppingAddon: STOPPING_ADDON } : {};
  const counts = await crashRounds({ rounds: 8, seed: Date.now() % 1_000_000, ...stoppingAddon });
  assert.equal(counts.writersKilled, 6);
  assert.equal(counts.readersKilled, 2);
});
