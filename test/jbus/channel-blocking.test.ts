// The blocking form, on a thread of its own: wakes by the doorbell, ends with the channel, and gives up in time.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import test, { type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';

import { loadAddon } from '../../addon/index.js';
import {
  attachChannel,
  type Channel,
  createChannel,
  type CreateChannelOptions,
} from '../../addon/jbus/index.js';
import { BACKINGS } from '../support/backings.js';
import { jbusError, patternBytes } from './support/rings.js';

/** Those on which a thread may block. */
const blocking = BACKINGS.filter((name) => name === 'sysv' || name === 'memfd');

/** A channel whose other side is a worker's; both are ended after the test. */
async function startWorker(
  t: TestContext,
  file: string,
  options: CreateChannelOptions,
  dataOf: (address: unknown) => unknown,
): Promise<{ channel: Channel; message: Promise<unknown[]> }> {
  const [near, far] = loadAddon()!.socketPair();
  const { channel, address } = await createChannel({ ...options, doorbellFd: near });
  const { backing } = address;
  const place = backing === 'sysv' ? address : { backing };
  const worker = new Worker(new URL(`support/${file}.worker.js`, import.meta.url), {
    workerData: dataOf({ ...place, doorbellFd: far }),
  });
  t.after(async () => {
    channel.close();
    await worker.terminate();
  });
  await channel.join({ timeoutMs: 10_000 });
  return { channel, message: once(worker, 'message') };
}

for (const backing of blocking) {
  for (const spinMicros of [0, 50]) {
    test(`${backing}, spin ${spinMicros}: a thread that blocks echoes whatever it is sent`, async (t) => {
      const options = { backing, capacityOut: 65_536, capacityIn: 65_536 };
      const { channel, message } = await startWorker(t, 'blocking-echo', options, (address) => ({
        address,
        spinMicros,
      }));
      for (let index = 0; index < 300; index += 1) {
        const data = patternBytes(index, index % 10 === 0 ? 200_000 : index);
        const written = channel.writeAsync(data, { msgId: index, timeoutMs: 10_000 });
        const answer = await channel.readAsync({ timeoutMs: 10_000 });
        assert.equal(answer.msgId, index);
        assert(Buffer.compare(answer.data, data) === 0);
        await written;
      }
      channel.close();
      assert.deepEqual(await message, [{ echoed: 300, end: 'JBUS_CLOSED' }]);
    });
  }

  test(`${backing}: each blocking call that comes to nothing says why, and in time`, async (t) => {
    const options = { backing, capacityOut: 4096, capacityIn: 4096 };
    const { message } = await startWorker(t, 'blocking-limits', options, (address) => address);
    const [{ seen, waitedMs }] = (await message) as [{ seen: string[]; waitedMs: number }];
    assert.deepEqual(seen, ['JBUS_TIMEOUT', 'JBUS_TIMEOUT', 'JBUS_BUSY', 'JBUS_TIMEOUT', 'JBUS_CLOSED']);
    assert(waitedMs >= 118, `${waitedMs} ms`);
  });
}

test('without a doorbell both sides find each other and their messages by looking', async (t) => {
  const { channel, address } = await createChannel({ backing: 'sysv', capacityOut: 4096, capacityIn: 4096 });
  t.after(() => channel.close());
  const peer = await attachChannel(address);
  t.after(() => peer.close());
  await channel.join({ timeoutMs: 5000 });
  for (let index = 0; index < 20; index += 1) {
    const read = peer.readAsync({ timeoutMs: 5000 });
    await channel.writeAsync(patternBytes(index, 3000), { timeoutMs: 5000 });
    assert.equal((await read).data.length, 3000);
  }
  channel.close();
  await assert.rejects(peer.readAsync({ timeoutMs: 5000 }), jbusError('JBUS_CLOSED'));
});
