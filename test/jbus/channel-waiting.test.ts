// What waits on a channel: deadlines, signals, bounds, and that every operation completes exactly once, in order.

import assert from 'node:assert/strict';
import test from 'node:test';

import { type Channel, recordBytesMax } from '../../addon/jbus/index.js';
import { BACKINGS, forEachBacking, openPair } from '../support/backings.js';
import { jbusError, patternBytes } from './support/rings.js';

const CAPACITY = 4096;
const SMALL = { capacityOut: CAPACITY, capacityIn: CAPACITY };

/** Leaves room for nothing at all. Returns how many messages that took. */
function fill(channel: Channel): number {
  let count = 0;
  for (const length of [recordBytesMax(CAPACITY), 400, 0]) {
    while (channel.tryWrite(patternBytes(0, length))) count += 1;
  }
  return count;
}

/** Notes how an operation ends, however often. */
class Ends {
  readonly seen: string[] = [];

  of(name: string, operation: Promise<unknown>): Promise<void> {
    return operation.then(
      () => void this.seen.push(`${name} done`),
      (error: unknown) => void this.seen.push(`${name} ${(error as { code?: string }).code}`),
    );
  }
}

forEachBacking((backing) => {
  test(`${backing}: a read and a write that find nothing time out, once, after their time`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    fill(owner);
    const started = performance.now();
    await Promise.all([
      assert.rejects(owner.writeAsync(patternBytes(1, 2000), { timeoutMs: 60 }), jbusError('JBUS_TIMEOUT')),
      assert.rejects(owner.readAsync({ timeoutMs: 60 }), jbusError('JBUS_TIMEOUT')),
    ]);
    assert(performance.now() - started >= 58);
    assert.equal(owner.stats().timeouts, 2);
    // Nothing was written: the channel works on.
    while (peer.tryLease() !== undefined) peer.tryLease()?.release();
    assert.equal(owner.ended, undefined);
  });

  test(`${backing}: a timeout of 0 is a question that is answered at once`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    await assert.rejects(peer.readAsync({ timeoutMs: 0 }), jbusError('JBUS_TIMEOUT'));
    await owner.writeAsync(Buffer.from('x'), { timeoutMs: 0 });
    assert.equal((await peer.readAsync({ timeoutMs: 0 })).data.toString(), 'x');
  });

  test(`${backing}: operations complete in the order they were submitted, and each once`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    const ends = new Ends();
    const operations: Promise<void>[] = [];
    for (let index = 0; index < 50; index += 1) {
      operations.push(ends.of(`w${index}`, owner.writeAsync(patternBytes(index, 700), { timeoutMs: 5000 })));
    }
    for (let index = 0; index < 50; index += 1) {
      const read = peer.readAsync({ timeoutMs: 5000 }).then(({ msgId }) => assert.equal(msgId, index + 1));
      operations.push(ends.of(`r${index}`, read));
    }
    await Promise.all(operations);
    const numbers = (kind: string): number[] =>
      ends.seen.filter((end) => end.startsWith(kind)).map((end) => Number.parseInt(end.slice(1), 10));
    const expected = Array.from({ length: 50 }, (_, index) => index);
    assert.deepEqual(numbers('w'), expected);
    assert.deepEqual(numbers('r'), expected);
    assert.equal(ends.seen.filter((end) => end.endsWith(' done')).length, 100);
  });

  test(`${backing}: a signal takes back what has not begun, and only that`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    fill(owner);
    const cancel = new AbortController();
    const ends = new Ends();
    const operations = [
      ends.of('first', owner.writeAsync(patternBytes(1, 1500), { timeoutMs: 5000 })),
      ends.of('second', owner.writeAsync(patternBytes(2, 1500), { timeoutMs: 5000, signal: cancel.signal })),
      ends.of('read', owner.readAsync({ timeoutMs: 5000, signal: cancel.signal })),
    ];
    cancel.abort();
    await Promise.all(operations.slice(1));
    assert.deepEqual(ends.seen, ['second JBUS_CANCELED', 'read JBUS_CANCELED']);
    await assert.rejects(owner.readAsync({ signal: cancel.signal }), jbusError('JBUS_CANCELED'));
    assert.equal((await peer.readAsync()).data.length, recordBytesMax(CAPACITY));
    await operations[0];
    assert.equal(owner.stats().writesWaiting, 0);
    assert.equal(owner.stats().writeBytesWaiting, 0);
  });

  test(`${backing}: too many waiting writes, bytes or reads are refused, and what waited goes on`, async (t) => {
    const bounds = { pendingWritesMax: 3, pendingWriteBytesMax: 3000, pendingReadsMax: 2 };
    const [owner, peer] = await openPair(t, backing, { ...SMALL, ...bounds });
    const read = async (count: number): Promise<void> => {
      for (let index = 0; index < count; index += 1) await peer.readAsync();
    };
    let count = fill(owner);
    const large = owner.writeAsync(patternBytes(1, 9000), { timeoutMs: 5000 }); // the first may be of any size
    await assert.rejects(owner.writeAsync(patternBytes(2, 1)), jbusError('JBUS_QUEUE_FULL'));
    await read(count + 1);
    await large;
    count = fill(owner);
    const waiting = [1, 2, 3].map((seed) => owner.writeAsync(patternBytes(seed, 700), { timeoutMs: 5000 }));
    await assert.rejects(owner.writeAsync(patternBytes(4, 10)), jbusError('JBUS_QUEUE_FULL'));
    await read(count + 3);
    await Promise.all(waiting);
    const two = [owner.readAsync(), owner.readAsync()];
    await assert.rejects(owner.readAsync(), jbusError('JBUS_QUEUE_FULL'));
    await peer.writeAsync(Buffer.from('1'));
    await peer.writeAsync(Buffer.from('2'));
    assert.equal((await Promise.all(two)).map(({ data }) => data.toString()).join(''), '12');
  });

  test(`${backing}: a message that runs out of time half written ends the channel on both sides`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    const downs: string[] = [];
    owner.onPeerDown(({ code }) => downs.push(`owner ${code}`));
    peer.onPeerDown(({ code }) => downs.push(`peer ${code}`));
    const ends = new Ends();
    const cancel = new AbortController();
    const half = ends.of(
      'half',
      owner.writeAsync(patternBytes(1, 3 * CAPACITY), { timeoutMs: 50, signal: cancel.signal }),
    );
    const next = ends.of('next', owner.writeAsync(patternBytes(2, 10), { timeoutMs: 5000 }));
    cancel.abort(); // too late: a part is in the ring
    await Promise.all([half, next]);
    assert.deepEqual(ends.seen.toSorted(), ['half JBUS_TIMEOUT', 'next JBUS_CHANNEL_FULL']);
    await assert.rejects(peer.readAsync({ timeoutMs: 5000 }), jbusError('JBUS_POISONED'));
    assert.deepEqual(downs.toSorted(), ['owner JBUS_CHANNEL_FULL', 'peer JBUS_POISONED']);
    await assert.rejects(owner.writeAsync(Buffer.from('x')), jbusError('JBUS_CHANNEL_FULL'));
    assert.throws(() => owner.tryWrite(Buffer.from('x')), jbusError('JBUS_CHANNEL_FULL'));
  });

  test(`${backing}: close ends everything that waits with JBUS_CLOSED, and nothing happens after it`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    fill(owner);
    const ends = new Ends();
    const cancel = new AbortController();
    const operations = [
      ends.of('write', owner.writeAsync(patternBytes(1, 1500), { timeoutMs: 20, signal: cancel.signal })),
      ends.of('read', owner.readAsync({ timeoutMs: 20, signal: cancel.signal })),
    ];
    owner.onPeerDown(() => ends.seen.push('peer down'));
    owner.close();
    owner.close();
    await Promise.all(operations);
    cancel.abort();
    peer.close();
    await new Promise((resolve) => setTimeout(resolve, 60)); // past both deadlines
    assert.deepEqual(ends.seen, ['write JBUS_CLOSED', 'read JBUS_CLOSED']);
    await assert.rejects(owner.readAsync(), jbusError('JBUS_CLOSED'));
    await assert.rejects(owner.writeAsync(Buffer.from('x')), jbusError('JBUS_CLOSED'));
    assert.throws(() => owner.tryLease(), jbusError('JBUS_CLOSED'));
  });

  test(`${backing}: what was written before a close is read before the end is told`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    const downs: string[] = [];
    peer.onPeerDown(({ code }) => downs.push(code));
    await owner.writeAsync(Buffer.from('last words'));
    owner.close();
    assert.equal((await peer.readAsync()).data.toString(), 'last words');
    await assert.rejects(peer.readAsync(), jbusError('JBUS_CLOSED'));
    await assert.rejects(peer.writeAsync(Buffer.from('too late')), jbusError('JBUS_CLOSED'));
    assert.deepEqual(downs, ['JBUS_CLOSED']);
  });

  test(`${backing}: blocking on the main thread is refused`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL);
    assert.throws(() => owner.write(Buffer.from('x')), jbusError('JBUS_MAIN_THREAD'));
    assert.throws(() => peer.read(), jbusError('JBUS_MAIN_THREAD'));
  });

  test(`${backing}: arguments that can never be right are refused by name`, async (t) => {
    const [owner] = await openPair(t, backing, { ...SMALL, messageBytesMax: 10_000 });
    const invalid = jbusError('JBUS_INVALID_ARGUMENT');
    await assert.rejects(owner.writeAsync('text' as unknown as Uint8Array), invalid);
    await assert.rejects(owner.writeAsync(Buffer.from('x'), { type: 65_536 }), invalid);
    await assert.rejects(owner.writeAsync(Buffer.from('x'), { msgId: -1 }), invalid);
    await assert.rejects(owner.writeAsync(Buffer.from('x'), { timeoutMs: Number.NaN }), invalid);
    await assert.rejects(owner.readAsync({ timeoutMs: -1 }), invalid);
    await assert.rejects(owner.writeAsync(Buffer.alloc(10_001)), jbusError('JBUS_MESSAGE_TOO_LARGE'));
  });

  test(`${backing}: a message beyond the reader's messageBytesMax poisons the channel for both`, async (t) => {
    const [owner, peer] = await openPair(t, backing, SMALL, { ...SMALL, messageBytesMax: 9999 });
    const read = assert.rejects(peer.readAsync({ timeoutMs: 5000 }), jbusError('JBUS_POISONED'));
    await assert.rejects(owner.writeAsync(patternBytes(1, 10_000)), jbusError('JBUS_POISONED'));
    await read;
  });
});

test('a channel whose options are impossible is not made', async (t) => {
  for (const options of [{ messageBytesMax: 2 ** 32 }, { spinMicros: 1001 }, { pendingWritesMax: 0 }]) {
    await assert.rejects(openPair(t, BACKINGS[0]!, options), jbusError('JBUS_INVALID_ARGUMENT'));
  }
  for (const capacityOut of [4095, 5000, 2 ** 32]) {
    await assert.rejects(openPair(t, BACKINGS[0]!, { capacityOut }), jbusError('JBUS_INVALID_ARGUMENT'));
  }
});
