import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { PassThrough } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

import { pairKey, ShmRing, type ShmRingOptions, ShmSegment } from '../../addon/jbus/index.js';
import { loadAddon } from '../../addon/index.js';
import { main } from '../../cli/main.js';
import type { GcScenario } from './support/shm-scenario.js';

const SCENARIO = fileURLToPath(new URL('./support/shm-scenario.js', import.meta.url));
const skip = loadAddon() === null ? 'shared memory needs the addon' : false;

interface Outcome {
  readonly exitCode: number;
  readonly lines: readonly string[];
  readonly errors: readonly string[];
}

async function shm(...args: readonly string[]): Promise<Outcome> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const exitCode = await main(['shm', ...args], { stdout, stderr, environment: {} });
  return { exitCode, lines: linesOf(stdout), errors: linesOf(stderr) };
}

function linesOf(stream: PassThrough): string[] {
  return String(stream.read() ?? '')
    .split('\n')
    .filter((line) => line !== '');
}

function parsed(lines: readonly string[]): Record<string, unknown>[] {
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** A ring that is gone when the test ends. */
function ringOf(t: TestContext, options: ShmRingOptions = {}, key = 0): ShmRing {
  const ring = ShmRing.create(key, { capacity: 4096, ...options });
  t.after(() => {
    ring.remove();
    ring.close();
  });
  return ring;
}

function foreignSegment(t: TestContext, bytes: number): ShmSegment {
  const segment = ShmSegment.create(0, bytes);
  t.after(() => {
    segment.remove();
    segment.close();
  });
  return segment;
}

function isThere(id: number): boolean {
  try {
    const segment = ShmSegment.attach(id);
    const { removed } = segment.stat();
    segment.close();
    return !removed;
  } catch {
    return false; // no such segment: that is the answer
  }
}

test('ls tells of a ring who owns it, how full it is, and that it is in use', { skip }, async (t) => {
  const ring = ringOf(t, { epoch: 77 });
  const writer = ring.writer();
  writer.write(1, 1, Buffer.alloc(2048 - 32 - 32));
  const { exitCode, lines } = await shm('ls', '--json');
  const mine = parsed(lines).find(({ id }) => id === ring.id);
  assert.equal(exitCode, 0);
  assert(mine !== undefined);
  const { bytes, capacity, usedBytes, recordsWritten, ownerPid, ownerAlive, attached, epoch } = mine;
  assert.deepEqual(
    { bytes, capacity, usedBytes, recordsWritten, ownerPid, ownerAlive, attached, epoch },
    {
      bytes: 8192,
      capacity: 4096,
      usedBytes: 2016,
      recordsWritten: 1,
      ownerPid: process.pid,
      ownerAlive: true,
      attached: 1,
      epoch: 77,
    },
  );
  assert.deepEqual([mine['key'], mine['state'], mine['stale']], ['none', 'init', false]);
  assert((mine['heartbeatAgeMs'] as number) < 60_000);
  writer.close();
});

test('ls shows people the same facts as a table', { skip }, async (t) => {
  const ring = ringOf(t);
  const { lines } = await shm('ls');
  assert.match(
    lines[0]!,
    /^ID +KEY +SIZE +CAPACITY +STATE +OWNER +ATTACHED +FILL +RECORDS +HEARTBEAT +EPOCH/,
  );
  const mine = lines.find((line) => line.startsWith(`${ring.id} `));
  assert.match(mine!, /none +8 KiB +4 KiB +init +\d+ alive +1 +0% +0 +never +\d+$/);
});

test('ls does not know segments that are no rings, and shows impossible positions as such', {
  skip,
}, async (t) => {
  const small = foreignSegment(t, 100);
  const foreign = foreignSegment(t, 8192);
  const broken = ringOf(t, { startPosition: 4096 });
  Buffer.from(broken.segment.buffer).writeBigUInt64LE(8n, 0x80); // the tail, before the head
  const other = ringOf(t);
  Buffer.from(other.segment.buffer).writeUInt32LE(2, 0x008); // the version
  const rows = parsed((await shm('ls', '--json')).lines);
  const idsListed = new Set(rows.map(({ id }) => id));
  assert.deepEqual(
    [small.id, foreign.id, broken.id, other.id].map((id) => idsListed.has(id)),
    [false, false, true, true],
  );
  assert.equal(rows.find(({ id }) => id === broken.id)!['usedBytes'], null);
  const { version, state, epoch } = rows.find(({ id }) => id === other.id)!;
  assert.deepEqual({ version, state, epoch }, { version: 2, state: 'unknown', epoch: undefined });
  const table = (await shm('ls')).lines;
  assert.match(table.find((line) => line.startsWith(`${broken.id} `))!, / broken /);
  assert.match(table.find((line) => line.startsWith(`${other.id} `))!, / version 2 /);
});

test('rm leaves what is in use alone, and gives it up when forced', { skip }, async (t) => {
  const ring = ringOf(t);
  const writer = ring.writer();
  const refused = await shm('rm', String(ring.id));
  assert.equal(refused.exitCode, 1);
  assert.deepEqual(refused.lines, []);
  assert.match(
    refused.errors[0]!,
    new RegExp(
      `^reactor-net: shm rm: segment ${ring.id}: it is in use \\(owner ${process.pid} alive, 1 attached\\)`,
    ),
  );
  assert(isThere(ring.id));

  const forced = await shm('rm', '--force', '--json', String(ring.id));
  assert.deepEqual([forced.exitCode, forced.errors], [0, []]);
  assert.deepEqual(
    parsed(forced.lines).map(({ event, id }) => [event, id]),
    [['removed', ring.id]],
  );
  assert(!isThere(ring.id));
  assert.throws(() => writer.write(1, 1, Buffer.from('late')), { code: 'JBUS_POISONED' });
  writer.close();
});

test('rm finds a segment by its key, and goes on after one that it cannot remove', { skip }, async (t) => {
  const key = pairKey(process.pid % 4000, 4001, 77);
  const ring = ringOf(t, {}, key);
  const keyText = `0x${key.toString(16)}`;
  const { exitCode, lines, errors } = await shm('rm', '2147483647', keyText, '--force');
  assert.deepEqual(errors, ['reactor-net: shm rm: segment 2147483647: there is none']);
  assert.equal(exitCode, 1);
  assert.deepEqual(lines, [`removed segment ${ring.id} (key ${keyText}, 8 KiB, owner ${process.pid} alive)`]);
  assert.match((await shm('rm', keyText)).errors[0]!, new RegExp(`: key ${keyText}: there is none$`));
});

test('rm removes nothing without our magic, not even when forced', { skip }, async (t) => {
  for (const bytes of [100, 8192]) {
    const foreign = foreignSegment(t, bytes);
    const { exitCode, lines, errors } = await shm('rm', String(foreign.id), '--force');
    assert.deepEqual([exitCode, lines], [1, []]);
    assert.match(errors[0]!, /: it is not one of jbus, or not yours to read; ipcrm /);
    assert(isThere(foreign.id));
  }
});

test('gc removes what a killed owner left, and neither live nor foreign segments, and id 0 is one like any other', {
  skip,
}, () => {
  const { ids, listed, collected, listedAfter, foreign } = runScenario();
  const before = parsed(listed).filter(({ id }) => Object.values(ids).includes(id as number));
  assert.deepEqual(
    before.map(({ id, stale, usedBytes }) => ({ id, stale, usedBytes })),
    [
      { id: ids.abandoned, stale: true, usedBytes: 48 },
      { id: ids.live, stale: false, usedBytes: 0 },
      { id: ids.left, stale: false, usedBytes: 0 },
    ],
  );
  assert.deepEqual(
    parsed(collected).map(({ event, id }) => [event, id]),
    [['removed', ids.abandoned]],
  );
  const after = new Set(parsed(listedAfter).map(({ id }) => id));
  assert.deepEqual([after.has(ids.abandoned), after.has(ids.live), after.has(ids.left)], [false, true, true]);
  assert.deepEqual(foreign, { text: 'JBUSRNG', attached: 1 });
});

test('gc removes what a living maker has left once it was silent for three heartbeats, but not what he holds', {
  skip,
}, () => {
  const { ids, collectedLater, live } = runScenario();
  assert.deepEqual(
    parsed(collectedLater).map(({ id }) => id),
    [ids.left],
  );
  assert.deepEqual(live, { state: 'init', removed: false });
});

/** In a namespace where there are no other segments, so that gc finds none of other tests; where that is not allowed, here. */
function runScenario(): GcScenario {
  const isolated = spawnSync('unshare', ['--ipc', process.execPath, SCENARIO], { encoding: 'utf8' });
  const { stdout, stderr, status } =
    isolated.status === 0 ? isolated : spawnSync(process.execPath, [SCENARIO], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const scenario = JSON.parse(stdout) as GcScenario; // as the scenario prints it
  if (isolated.status === 0) assert.equal(scenario.ids.abandoned, 0, 'the first segment of a namespace');
  return scenario;
}
