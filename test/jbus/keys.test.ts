// Keys of pairs and hashes of names: symmetrical, injective, the same in every language.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { channelHash, isJbusKey, keyText, NODE_ID_MAX, pairKey, twinKey } from '../../addon/jbus/index.js';
import { jbusError } from './support/rings.js';

test('both nodes of a pair find the same even key, and its twin is one more', () => {
  assert.equal(pairKey(3, 8), pairKey(8, 3));
  assert.equal(pairKey(3, 8) % 2, 0);
  assert.equal(twinKey(pairKey(3, 8)), pairKey(3, 8) + 1);
  assert.equal(twinKey(twinKey(pairKey(3, 8))), pairKey(3, 8));
});

test('the 501,501 pairs of ids up to 1000 and their twins all have keys of their own', () => {
  const keys = new Set<number>();
  for (let high = 0; high <= 1000; high += 1) {
    for (let low = 0; low <= high; low += 1) {
      const key = pairKey(low, high);
      keys.add(key);
      keys.add(twinKey(key));
    }
  }
  assert.equal(keys.size, 2 * 501_501);
});

test('a key is a positive int32 and never IPC_PRIVATE, at the ends of the range too', () => {
  for (const key of [
    pairKey(0, 0),
    pairKey(NODE_ID_MAX, NODE_ID_MAX),
    pairKey(NODE_ID_MAX, NODE_ID_MAX, 2 ** 23 - 1),
  ]) {
    assert(isJbusKey(key) && isJbusKey(twinKey(key)));
    assert(key > 0 && twinKey(key) < 2 ** 31);
  }
  assert(!isJbusKey(0) && !isJbusKey(0x4b000000));
  assert.equal(keyText(pairKey(0, 1)), '0x4a000002');
});

test('another namespace is another key for the same pair', () => {
  assert.notEqual(pairKey(1, 2), pairKey(1, 2, 1000));
});

test('ids and namespaces that are no integers of the range are refused', () => {
  for (const id of [-1, NODE_ID_MAX + 1, 1.5, NaN, '1' as unknown as number]) {
    assert.throws(() => pairKey(id, 1), jbusError('JBUS_INVALID_ARGUMENT'));
    assert.throws(() => pairKey(1, id), jbusError('JBUS_INVALID_ARGUMENT'));
  }
  assert.throws(() => pairKey(1, 1, 2 ** 23), jbusError('JBUS_INVALID_ARGUMENT'));
});

test('the hash of a name is FNV-1a, of which 53 bits are kept', () => {
  assert.equal(channelHash(''), Number(BigInt.asUintN(53, 0xcbf29ce484222325n)));
  assert.equal(channelHash('a'), Number(BigInt.asUintN(53, 0xaf63dc4c8601ec8cn)));
  assert.notEqual(channelHash('frames'), channelHash('framés'));
});
