// Which sub-reactor gets a newcomer.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDispatch, type DispatchPolicy, type ThreadLoad } from '../../reactor/dispatch.js';

const PEER = { address: '127.0.0.1', port: 1 };
const idle = (...threads: number[]): ThreadLoad[] => threads.map((thread) => ({ thread, connections: 0 }));

test('round robin gives every thread its turn, differing by at most one at any time', () => {
  for (const threads of [1, 2, 3, 4]) {
    const dispatch = createDispatch('round-robin');
    const counts = Array.from({ length: threads }, () => 0);
    for (let count = 0; count < 41; count += 1) {
      counts[dispatch(idle(...counts.keys()), PEER)]! += 1;
      assert(Math.max(...counts) - Math.min(...counts) <= 1);
    }
  }
});

test('round robin leaves a missing thread out without shifting the turns of the others', () => {
  const dispatch = createDispatch('round-robin');
  const chosen = (candidates: ThreadLoad[]): number => candidates[dispatch(candidates, PEER)]!.thread;
  assert.deepEqual(
    [idle(0, 1, 2), idle(0, 1, 2), idle(0, 1), idle(0, 2), idle(0, 1, 2), idle(2)].map(chosen),
    [0, 1, 0, 2, 0, 2],
  );
});

test('least connections takes the emptiest thread, the first of equals', () => {
  const dispatch = createDispatch('least-connections');
  const loads = (...counts: number[]): ThreadLoad[] =>
    counts.map((connections, thread) => ({ thread, connections }));
  assert.equal(dispatch(loads(3, 1, 2), PEER), 1);
  assert.equal(dispatch(loads(2, 2, 2), PEER), 0);
  assert.equal(dispatch(loads(5), PEER), 0);
});

test('hash sends one address to one thread, whatever its port, and uses every thread', () => {
  const dispatch = createDispatch('hash');
  const counts = [0, 0, 0, 0];
  for (let host = 0; host < 1000; host += 1) {
    const address = `10.0.${host >> 8}.${host & 255}`;
    const chosen = dispatch(idle(0, 1, 2, 3), { address, port: host });
    assert.equal(dispatch(idle(0, 1, 2, 3), { address, port: 9 }), chosen);
    counts[chosen]! += 1;
  }
  for (const count of counts) assert(count > 180 && count < 320, counts.join(' '));
});

test('hash takes peers without an address', () => {
  const peer = { address: undefined, port: undefined };
  assert.equal(createDispatch('hash')(idle(0), peer), 0);
});

test('a function decides itself, and an unknown policy is refused', () => {
  assert.equal(createDispatch(() => 7)(idle(0), PEER), 7);
  assert.throws(() => createDispatch('random' as DispatchPolicy), {
    code: 'REACTOR_OPTION_INVALID',
    message: /round-robin.*'?random/,
  });
});
