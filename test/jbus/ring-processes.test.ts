// Two processes over one ring: everything arrives once and in order, and a killed one leaves whole records.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { type RingReader, ShmRing } from '../../addon/jbus/index.js';
import { SeededRandom } from '../support/seeded-random.js';
import { until } from '../support/until.js';
import { patternBytes, privateRing } from './support/rings.js';

/** A process that writes numbered records, `count` of them, or until it is killed; the ring must not be removed yet. */
function startWriter(ring: ShmRing, count: number, seed: number): ChildProcess {
  const script = fileURLToPath(new URL('support/ring-writer.js', import.meta.url));
  const child = spawn(process.execPath, [script, `${ring.id}`, `${count}`, `${seed}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return child;
}

/** Reads what is there; checks every byte and that no number is missing. Returns the last number. */
function readOn(reader: RingReader, previous: number): number {
  let last = previous;
  for (let count = reader.readBatch(); count > 0; count = reader.readBatch()) {
    for (let row = 0; row < count; row += 1) {
      const { msgId, bytes } = reader.record(row);
      last += 1;
      assert.equal(msgId, last);
      assert.equal(bytes.compare(patternBytes(msgId, bytes.length)), 0, `record ${msgId}`);
    }
    reader.release();
  }
  return last;
}

test('100,000 records with checksums arrive once and in order from another process', async () => {
  const seed = Date.now() % 100_000;
  const ring = privateRing({ capacity: 65_536, crc: true });
  const reader = ring.reader();
  const child = startWriter(ring, 100_000, seed);
  const exited = once(child, 'exit');
  let last = 0;
  await until(() => {
    last = readOn(reader, last);
    return last >= 100_000 || child.exitCode !== null;
  });
  assert.deepEqual(await exited, [0, null], `seed ${seed}`);
  assert.equal(readOn(reader, last), 100_000);
  reader.close();
  ring.close();
});

test('a writer killed at random moments leaves whole records, and its successor goes on', async () => {
  const seed = Date.now() % 100_000;
  const random = new SeededRandom(seed);
  const ring = privateRing({ capacity: 65_536, crc: true });
  const reader = ring.reader();
  for (let round = 0; round < 6; round += 1) {
    const from = reader.facts().records;
    const child = startWriter(ring, 0, seed + round);
    const exited = once(child, 'exit');
    const enough = from + random.integer(1, 3000);
    let last = from;
    await until(() => {
      last = readOn(reader, last);
      return last >= enough;
    });
    child.kill('SIGKILL');
    await exited;
    assert.equal(reader.peer().alive, false);
    last = readOn(reader, last);
    assert.equal(reader.size, 0, `seed ${seed}`);
  }
  reader.close();
  ring.close();
});
