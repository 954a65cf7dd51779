// Two processes over one ring: everything arrives once and in order.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import type { ShmRing } from '../../addon/jbus/index.js';
import { until } from '../support/until.js';
import { readAll } from './support/crash-rounds.js';
import { privateRing } from './support/rings.js';

/** A process that writes `count` numbered records. */
function startWriter(ring: ShmRing, count: number, seed: number): ChildProcess {
  const script = fileURLToPath(new URL('support/ring-writer.js', import.meta.url));
  return spawn(process.execPath, [script, `${ring.id}`, `${count}`, `${seed}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

test('100,000 records with checksums arrive once and in order from another process', async () => {
  const seed = Date.now() % 100_000;
  const ring = privateRing({ capacity: 65_536, crc: true });
  const reader = ring.reader();
  const child = startWriter(ring, 100_000, seed);
  const exited = once(child, 'exit');
  let last = 0;
  await until(() => {
    last = readAll(reader, last);
    return last >= 100_000 || child.exitCode !== null;
  });
  assert.deepEqual(await exited, [0, null], `seed ${seed}`);
  assert.equal(readAll(reader, last), 100_000);
  reader.close();
  ring.close();
});
