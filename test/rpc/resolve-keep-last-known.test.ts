// Lists that are suddenly empty, or most of it, are not believed the first time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Instance } from '../../rpc/instance.js';
import { parseInstance } from '../../rpc/resolve/instance-list.js';
import { KeepLastKnown, type KeptList } from '../../rpc/resolve/keep-last-known.js';

function list(...ids: number[]): Instance[] {
  return ids.map((id) => parseInstance(`host${id}:1`));
}

function ids({ instances }: KeptList): string {
  return instances.map(({ host }) => host.slice('host'.length)).join(' ');
}

test('an empty answer is believed the second time in a row', () => {
  const kept = new KeepLastKnown();
  assert.equal(kept.offer(list(), 0).heldBack, 0, 'nothing was known that could be kept');
  kept.offer(list(1, 2), 1);
  assert.equal(ids(kept.offer(list(), 2)), '1 2');
  assert.equal(kept.isHolding, true);
  assert.equal(ids(kept.offer(list(1, 2), 3)), '1 2');
  assert.equal(kept.isHolding, false);
  assert.equal(ids(kept.offer(list(), 4)), '1 2', 'the answer between began the count anew');
  assert.equal(ids(kept.offer(list(), 5)), '');
});

test('an answer without most of the instances is held back, but what is new in it is used', () => {
  const kept = new KeepLastKnown();
  kept.offer(list(1, 2, 3, 4), 0);
  assert.equal(ids(kept.offer(list(1, 2), 1)), '1 2', 'half may go at once');
  kept.offer(list(1, 2, 3, 4), 2);
  const held = kept.offer(list(1, 5), 3);
  assert.equal(ids(held), '1 5 2 3 4');
  assert.equal(held.heldBack, 3);
  assert.equal(ids(kept.offer(list(1, 5), 4)), '1 5');
});

test('short lists may lose any share but not everything', () => {
  const kept = new KeepLastKnown();
  kept.offer(list(1, 2, 3), 0);
  assert.equal(ids(kept.offer(list(3), 1)), '3');
  assert.equal(ids(kept.offer(list(4), 2)), '4', 'one may replace another');
  assert.equal(ids(kept.offer(list(), 3)), '4');
});

test('with a hold time, repeating the answer at once is not enough', () => {
  const kept = new KeepLastKnown({ holdMs: 5000 });
  kept.offer(list(1), 0);
  for (const nowMs of [100, 200, 5099]) assert.equal(ids(kept.offer(list(), nowMs)), '1');
  assert.equal(ids(kept.offer(list(), 5100)), '');
});

test('the guards can be taken away, and options that make no sense are refused', () => {
  const kept = new KeepLastKnown({ answersMin: 1 });
  kept.offer(list(1, 2, 3, 4, 5), 0);
  assert.equal(ids(kept.offer(list(), 1)), '');
  const open = new KeepLastKnown({ removedShareMax: 1 });
  open.offer(list(1, 2, 3, 4, 5), 0);
  assert.equal(ids(open.offer(list(5), 1)), '5');
  assert.throws(() => new KeepLastKnown({ removedShareMax: 2 }), { code: 'RPC_OPTION_INVALID' });
  assert.throws(() => new KeepLastKnown({ answersMin: 0 }), { code: 'RPC_OPTION_INVALID' });
});
