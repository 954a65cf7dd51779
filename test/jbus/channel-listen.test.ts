// Channel.listen over every backing: every message once and in order without a promise for each, and the end once.

import assert from 'node:assert/strict';
import test from 'node:test';

import type { Channel } from '../../addon/jbus/index.js';
import { forEachBacking, openPair } from '../support/backings.js';
import { until } from '../support/until.js';
import { jbusError, patternBytes } from './support/rings.js';

const CAPACITY = 64 * 1024;
const SMALL = { capacityOut: CAPACITY, capacityIn: CAPACITY };

/** What a listener heard: the ids of messages, and the codes of ends. */
function hearing(channel: Channel): { ids: number[]; ends: string[] } {
  const heard = { ids: [] as number[], ends: [] as string[] };
  channel.listen(
    (lease) => {
      heard.ids.push(lease.msgId);
      assert(Buffer.compare(lease.data, patternBytes(lease.msgId, lease.length)) === 0);
      lease.release();
    },
    ({ code }) => heard.ends.push(code),
  );
  return heard;
}

/** The bytes of each message tell its id. */
async function writeAll(channel: Channel, lengths: readonly number[], firstId = 1): Promise<void> {
  for (const [at, length] of lengths.entries())
    await channel.writeAsync(patternBytes(firstId + at, length), { timeoutMs: 10_000 });
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1);
}

forEachBacking((backing) => {
  test(`${backing}: a listener gets every message in order, what was there before included, and more than the ring holds`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    const lengths = Array.from({ length: 600 }, (_, at) => (at % 50 === 0 ? 2 * CAPACITY : at));
    await writeAll(owner, [10, 20]);
    const heard = hearing(peer);
    assert.deepEqual(heard.ids, [], 'not before it returned');
    await writeAll(owner, lengths, 3);
    await until(() => heard.ids.length === lengths.length + 2);
    assert.deepEqual(heard.ids, upTo(lengths.length + 2));
    assert.deepEqual(heard.ends, []);
  });

  test(`${backing}: a listener may answer at once, many times`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    peer.listen(
      (lease) => {
        const data = Buffer.from(lease.data);
        lease.release();
        assert(peer.tryWrite(data));
      },
      () => {},
    );
    for (let round = 1; round <= 300; round += 1) {
      await owner.writeAsync(patternBytes(round, 40));
      const { data } = await owner.readAsync({ timeoutMs: 5000 });
      assert(Buffer.compare(data, patternBytes(round, 40)) === 0);
    }
  });

  test(`${backing}: a listener hears what was written before the peer closed, and then the end, once`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    await writeAll(owner, [5, 6, 7]);
    const heard = hearing(peer);
    owner.close();
    await until(() => heard.ends.length > 0);
    peer.close();
    assert.deepEqual(heard, { ids: [1, 2, 3], ends: ['JBUS_CLOSED'] });
  });

  test(`${backing}: one who closes the channel within a message hears nothing more but the end`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    await writeAll(owner, [1, 2, 3]);
    const heard: (number | string)[] = [];
    peer.listen(
      (lease) => {
        heard.push(lease.msgId);
        lease.release();
        peer.close();
      },
      ({ code }) => heard.push(code),
    );
    await until(() => heard.length > 1);
    assert.deepEqual(heard, [1, 'JBUS_CLOSED']);
  });

  test(`${backing}: a channel that is listened to has no other readers, nor a second listener`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    const reading = peer.readAsync({ timeoutMs: 5000 });
    assert.throws(() => hearing(peer), jbusError('JBUS_BUSY'));
    await owner.writeAsync(patternBytes(1, 3));
    await reading;
    hearing(peer);
    assert.throws(() => hearing(peer), jbusError('JBUS_BUSY'));
    await assert.rejects(peer.readAsync(), jbusError('JBUS_BUSY'));
    await assert.rejects(peer.leaseAsync(), jbusError('JBUS_BUSY'));
    assert.equal(peer.tryLease(), undefined);
  });

  test(`${backing}: who listens to a channel that has ended hears its end`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    owner.close();
    await until(() => peer.ended !== undefined);
    const heard = hearing(peer);
    await until(() => heard.ends.length > 0);
    assert.deepEqual(heard, { ids: [], ends: ['JBUS_CLOSED'] });
  });
});
