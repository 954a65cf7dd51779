// Messages over every backing: order, sizes, copies and leases, both directions at once.

import assert from 'node:assert/strict';
import test from 'node:test';

import { type Channel, type Lease, recordBytesMax } from '../../addon/jbus/index.js';
import { forEachBacking, openPair } from '../support/backings.js';
import { SeededRandom } from '../support/seeded-random.js';
import { until } from '../support/until.js';
import { jbusError, patternBytes } from './support/rings.js';

const CAPACITY = 64 * 1024;
const SMALL = { capacityOut: CAPACITY, capacityIn: CAPACITY };

/** Writes `count` messages of random sizes and answers when all are in the ring. */
async function writeMany(channel: Channel, count: number, sizeMax: number, seed: number): Promise<void> {
  const random = new SeededRandom(seed);
  for (let index = 0; index < count; index += 1) {
    const data = patternBytes(index, random.integer(0, random.chance(0.1) ? sizeMax : 300));
    await channel.writeAsync(data, { type: index % 1000, timeoutMs: 10_000 });
  }
}

async function readMany(channel: Channel, count: number, sizeMax: number, seed: number): Promise<void> {
  const random = new SeededRandom(seed);
  for (let index = 0; index < count; index += 1) {
    const expected = patternBytes(index, random.integer(0, random.chance(0.1) ? sizeMax : 300));
    const { type, msgId, data } = await channel.readAsync({ timeoutMs: 10_000 });
    assert.equal(type, index % 1000);
    assert.equal(msgId, index + 1);
    assert(Buffer.compare(data, expected) === 0, `message ${index} differs, seed ${seed}`);
  }
}

forEachBacking((backing) => {
  test(`${backing}: messages of every size arrive whole and in order, in both directions at once`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    const seed = Date.now() % 2 ** 31;
    await Promise.all([
      writeMany(owner, 1500, 3 * CAPACITY, seed),
      readMany(peer, 1500, 3 * CAPACITY, seed),
      writeMany(peer, 1500, CAPACITY, seed + 1),
      readMany(owner, 1500, CAPACITY, seed + 1),
    ]);
    assert.equal(owner.stats().messagesWritten, 1500);
    assert.equal(owner.stats().bytesWritten, peer.stats().bytesRead);
    assert.equal(peer.stats().leasesOut, 0);
  });

  test(`${backing}: a message of 64 rings goes through while the peer reads`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    const message = patternBytes(1, 64 * CAPACITY);
    const written = owner.writeAsync(message, { type: 9, timeoutMs: 10_000 });
    const { type, data } = await peer.readAsync({ timeoutMs: 10_000 });
    assert.equal(type, 9);
    assert(Buffer.compare(data, message) === 0);
    assert.equal(await written, 1);
  });

  test(`${backing}: the largest record goes whole, and one byte more in fragments`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    for (const length of [recordBytesMax(CAPACITY), recordBytesMax(CAPACITY) + 1]) {
      const message = patternBytes(2, length);
      const written = owner.writeAsync(message);
      assert(Buffer.compare((await peer.readAsync()).data, message) === 0);
      await written;
    }
    await until(() => owner.tryWrite(patternBytes(0, recordBytesMax(CAPACITY))));
    assert.throws(
      () => owner.tryWrite(patternBytes(0, recordBytesMax(CAPACITY) + 1)),
      jbusError('JBUS_RECORD_TOO_LARGE'),
    );
  });

  test(`${backing}: a leased message lies in place until it is released, and is refused afterwards`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    await owner.writeAsync(Buffer.from('one'));
    await owner.writeAsync(Buffer.from('two'));
    const one = await peer.leaseAsync();
    const two = await peer.leaseAsync();
    assert.equal(one.data.buffer, two.data.buffer);
    assert.notEqual(one.data.buffer.byteLength, 3);
    two.release();
    assert.throws(() => two.data, jbusError('JBUS_RELEASED'));
    assert.equal(Buffer.from(one.data).toString(), 'one');
    assert.equal(peer.stats().leasesOut, 2);
    one.release();
    one.release();
    assert.equal(peer.stats().leasesOut, 0);
  });

  test(`${backing}: a message that was assembled is kept by who keeps it, and lent to who releases it`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    const messages = [1, 2, 3].map((seed) => patternBytes(seed, 2 * CAPACITY + seed));
    const written = Promise.all(messages.map((data) => owner.writeAsync(data, { timeoutMs: 10_000 })));
    const first = await peer.leaseAsync();
    assert(Buffer.compare(first.data, messages[0]!) === 0);
    first.release();
    const second = await peer.readAsync();
    const third = await peer.readAsync();
    await written;
    assert(Buffer.compare(second.data, messages[1]!) === 0);
    assert(Buffer.compare(third.data, messages[2]!) === 0);
  });

  test(`${backing}: a lease that outlives its channel is refused, or still whole`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    await owner.writeAsync(Buffer.from('lent'));
    const lease = await peer.leaseAsync();
    peer.close();
    owner.close(); // in one thread both sides look at the segment through the same view
    if (backing === 'sysv' || backing === 'memfd') assert.throws(() => lease.data, jbusError('JBUS_CLOSED'));
    else assert.equal(Buffer.from(lease.data).toString(), 'lent');
    lease.release();
  });

  test(`${backing}: readScoped lends until the promise of its function settles, also when it rejects`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    for (const text of ['good', 'bad']) await owner.writeAsync(Buffer.from(text));
    const length = await peer.readScoped(async ({ data }) => {
      await new Promise(setImmediate);
      return data.length;
    });
    assert.equal(length, 4);
    await assert.rejects(
      peer.readScoped(() => Promise.reject(new Error('mine'))),
      /mine/,
    );
    assert.equal(peer.stats().leasesOut, 0);
  });

  test(`${backing}: a lease that is held makes the writer wait, and its release lets it go on`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    await owner.writeAsync(patternBytes(0, recordBytesMax(CAPACITY)));
    const lease = await peer.leaseAsync();
    await owner.writeAsync(patternBytes(1, recordBytesMax(CAPACITY)));
    let isWritten = false;
    const third = owner.writeAsync(patternBytes(2, 1000)).then(() => {
      isWritten = true;
    });
    const second = await peer.leaseAsync();
    await new Promise(setImmediate);
    assert.equal(isWritten, false);
    lease.release();
    await third;
    assert(Buffer.compare(second.data, patternBytes(1, recordBytesMax(CAPACITY))) === 0);
    second.release();
  });

  test(`${backing}: messages of half a ring follow each other through it, lent in parts`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    const count = 50;
    const writing = (async () => {
      for (let index = 0; index < count; index += 1) {
        await owner.writeAsync(patternBytes(index, CAPACITY / 2), { timeoutMs: 10_000 });
      }
      owner.close();
    })();
    let seen = 0;
    for await (const { parts, length } of peer) {
      assert(parts.length > 1);
      assert.equal(length, CAPACITY / 2);
      assert(Buffer.compare(Buffer.concat(parts), patternBytes(seen, CAPACITY / 2)) === 0);
      seen += 1;
    }
    await writing;
    assert.equal(seen, count);
    assert.equal(peer.stats().leasesOut, 0);
  });

  test(`${backing}: for await takes one message after the other and ends when the peer closes`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    for (let index = 0; index < 100; index += 1) await owner.writeAsync(Buffer.from([index]));
    owner.close();
    const seen: number[] = [];
    for await (const { data } of peer) seen.push(data[0]!);
    assert.deepEqual(
      seen,
      Array.from({ length: 100 }, (_, index) => index),
    );
  });

  test(`${backing}: tryWrite fills the ring and then refuses; tryLease finds what is there`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    assert.equal(peer.tryLease(), undefined);
    let count = 0;
    while (owner.tryWrite(patternBytes(count, 4000))) count += 1;
    assert(count >= 14 && count <= 16, `${count} records of 4000 bytes in 64 KiB`);
    for (let index = 0; index < count; index += 1) {
      let lease: Lease | undefined;
      await until(() => (lease = peer.tryLease()) !== undefined);
      assert(Buffer.compare(lease!.data, patternBytes(index, 4000)) === 0);
      lease!.release();
    }
    assert.equal(peer.tryLease(), undefined);
  });
});
