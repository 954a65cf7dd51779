// One message to several peers: what becomes of it at each, and that none waits for another.

import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';

import { BroadcastChannel, type BroadcastOutcome, type Channel } from '../../addon/jbus/index.js';
import { forEachBacking, openPair } from '../support/backings.js';
import { patternBytes } from './support/rings.js';

const SMALL = { capacityOut: 4096, capacityIn: 4096 };

/** `done`, or the code of what went wrong, per peer. */
function ends(outcomes: readonly BroadcastOutcome[]): string[] {
  return outcomes.map((outcome) => (outcome.isWritten ? 'done' : outcome.error.code));
}

function fill(channel: Channel): void {
  for (const length of [1500, 400, 0]) while (channel.tryWrite(patternBytes(0, length)));
}

/** A peer that reads, one that has stopped reading and one that is gone. */
async function threePeers(
  t: TestContext,
  backing: Parameters<typeof openPair>[1],
): Promise<[Channel, Channel][]> {
  const pairs = [
    await openPair(t, backing, SMALL),
    await openPair(t, backing, SMALL),
    await openPair(t, backing, SMALL),
  ];
  fill(pairs[1]![0]);
  pairs[2]![1].close();
  await assert.rejects(pairs[2]![0].readAsync()); // until the end is told
  return pairs;
}

forEachBacking((backing) => {
  test(`${backing}: a stalled and a dead peer have their outcome, and the third its message at once`, async (t) => {
    const pairs = await threePeers(t, backing);
    const broadcast = new BroadcastChannel(pairs.map(([owner]) => owner));
    let encoded = 0;
    const encode = (): Uint8Array => {
      encoded += 1;
      return patternBytes(5, 1000);
    };
    const outcome = broadcast.writeAsync(encode, { type: 3, timeoutMs: 200 });
    let isOver = false;
    void outcome.then(() => (isOver = true));
    const { type, data } = await pairs[0]![1].readAsync();
    assert.equal(isOver, false, 'the reader did not wait for the stalled one');
    assert.equal(type, 3);
    assert(Buffer.compare(data, patternBytes(5, 1000)) === 0);
    assert.deepEqual(ends(await outcome), ['done', 'JBUS_TIMEOUT', 'JBUS_CLOSED']);
    assert.deepEqual(
      (await outcome).map(({ channel }) => channel),
      broadcast.channels,
    );
    assert.equal(encoded, 1);
  });

  test(`${backing}: with whenFull 'drop' nothing is waited for`, async (t) => {
    const pairs = await threePeers(t, backing);
    const broadcast = new BroadcastChannel();
    for (const [owner] of pairs) broadcast.add(owner);
    const outcomes = await broadcast.writeAsync(patternBytes(1, 1000), {
      whenFull: 'drop',
      timeoutMs: 60_000,
    });
    assert.deepEqual(ends(outcomes), ['done', 'JBUS_TIMEOUT', 'JBUS_CLOSED']);
    assert.equal(broadcast.delete(pairs[2]![0]), true);
    assert.equal(broadcast.delete(pairs[2]![0]), false);
    assert.equal((await broadcast.writeAsync(new Uint8Array(0), { whenFull: 'drop' })).length, 2);
  });
});

test('what the encoding function throws is thrown, and nobody gets a message', async (t) => {
  const [owner, peer] = await openPair(t, 'memory', SMALL);
  const failing = new BroadcastChannel([owner]).writeAsync(() => {
    throw new Error('mine');
  });
  await assert.rejects(failing, /mine/);
  assert.equal(peer.tryLease(), undefined);
});
