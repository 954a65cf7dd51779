// A channel between two Node processes, in small: npm run soak:jbus is the same at full size.

import assert from 'node:assert/strict';
import test from 'node:test';

import type { BackingName } from '../../addon/jbus/index.js';
import { BACKINGS } from '../support/backings.js';
import { exchangeWithNode, passLargeMessage, pingWithNaps } from './support/channel-endurance.js';

const KIB = 1024;
const MIB = KIB * KIB;

const shared = BACKINGS.filter((name): name is Exclude<BackingName, 'memory'> => name !== 'memory');

for (const backing of shared) {
  test(`${backing}: 10,000 messages each way, up to three times the ring, arrive once and in order`, async () => {
    const seed = Date.now() % 1_000_000;
    const link = { backing, capacityOut: 64 * KIB, capacityIn: 64 * KIB };
    await exchangeWithNode({ count: 10_000, bytesMax: 192 * KIB, seed }, link).catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error });
    });
  });

  test(`${backing}: a message of 64 MiB goes through a ring of 1 MiB`, async () => {
    await passLargeMessage(64 * MIB, { backing, capacityOut: MIB, capacityIn: MIB });
  });

  test(`${backing}: whoever naps at the wrong moment is woken all the same`, async () => {
    const seed = Date.now() % 1_000_000;
    const link = { backing, capacityOut: 64 * KIB, capacityIn: 64 * KIB };
    const { rounds, foundByPolling } = await pingWithNaps(3000, seed, link);
    // A timer and a ring may come at the same time; a lost ring would be a habit.
    assert(foundByPolling <= rounds / 300, `${foundByPolling} answers were found by polling, seed ${seed}`);
  });
}

test('with a checksum on every record the same messages arrive', { skip: shared.length === 0 }, async () => {
  const link = { backing: 'sysv' as const, capacityOut: 64 * KIB, capacityIn: 64 * KIB, crc: true };
  await exchangeWithNode({ count: 2000, bytesMax: 192 * KIB, seed: 1 }, link);
});
