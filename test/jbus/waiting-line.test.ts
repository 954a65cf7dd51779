import assert from 'node:assert/strict';
import test from 'node:test';

import { WaitingLine } from '../../addon/jbus/waiting-line.js';

function lineOf(...deadlines: number[]): WaitingLine<{ readonly deadlineMs: number }> {
  const line = new WaitingLine<{ readonly deadlineMs: number }>();
  for (const deadlineMs of deadlines) line.push({ deadlineMs });
  return line;
}

test('those whose deadline has come leave in the order they were submitted', () => {
  const line = lineOf(30, 10, 20, 40);
  assert.equal(line.earliestMs, 10);
  assert.deepEqual(
    line.expire(30).map(({ deadlineMs }) => deadlineMs),
    [30, 10, 20],
  );
  assert.equal(line.length, 1);
  assert.equal(line.earliestMs, 40);
});

test('a waiter leaves once, whichever way is tried next', () => {
  const line = lineOf(10);
  const [waiter] = [line.first!];
  assert.equal(line.remove(waiter), true);
  assert.equal(line.remove(waiter), false);
  assert.deepEqual(line.expire(Infinity), []);
  assert.equal(line.shift(), undefined);
  assert.deepEqual(line.drain(), []);
});

test('an empty line has no earliest deadline', () => {
  const line = lineOf(10, 20);
  line.shift();
  line.shift();
  assert.equal(line.earliestMs, Infinity);
});

test('one that never expires is found by removing it after thousands went before it', () => {
  const line = lineOf(...Array.from({ length: 3000 }, () => Infinity));
  for (let i = 0; i < 2999; i += 1) line.shift();
  assert.equal(line.remove(line.first!), true);
  assert.equal(line.length, 0);
});
