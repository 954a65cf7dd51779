// Finding handlers by message id, and refusing handler objects of the wrong shape with a code and a name.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FrameHandler, Handlers } from '../../reactor/index.js';
import { Router } from '../../reactor/router.js';

const handler: FrameHandler = () => {};

test('ids from 0 to the largest find their own handler and no other', () => {
  const ids = [0, 1, 0x3fff, 0xffff, 0x10000, 0x1_0001, 0xffff_ffff];
  const onFrame: Record<number, FrameHandler> = {};
  for (const id of ids) onFrame[id] = () => id;
  const router = new Router({ onFrame });
  for (const id of ids) assert.equal(router.find(id), onFrame[id]);
  for (const id of [2, 0x3ffe, 0xfffe, 0x1_0002, 0xffff_fffe]) assert.equal(router.find(id), undefined);
});

test('one function takes every id', () => {
  const router = new Router({ onFrame: handler });
  for (const id of [0, 5, 0xffff_ffff]) assert.equal(router.find(id), handler);
});

test('without onFrame every id is unknown', () => {
  assert.equal(new Router({}).find(0), undefined);
});

const WRONG: readonly (readonly [string, unknown, RegExp])[] = [
  ['nothing', undefined, /undefined/],
  ['null', null, /null/],
  ['a function', handler, /function/],
  ['an onFrame that is no function', { onFrame: 'echo' }, /onFrame/],
  ['an onFrame that is null', { onFrame: null }, /onFrame/],
  ['a handler that is no function', { onFrame: { 1: 'echo' } }, /onFrame\[1\]/],
  ['a name for an id', { onFrame: { echo: handler } }, /'echo'/],
  ['an empty name for an id', { onFrame: { '': handler } }, /''/],
  ['an id written in another way', { onFrame: { '0x10': handler } }, /'0x10'/],
  ['a negative id', { onFrame: { '-1': handler } }, /'-1'/],
  ['a fraction for an id', { onFrame: { 1.5: handler } }, /'1.5'/],
  ['an id above 32 bits', { onFrame: { 0x1_0000_0000: handler } }, /4294967296/],
  ...['onConnect', 'onClose', 'onUnknown', 'onError', 'onDrain', 'onHalfClose'].map(
    (hook) => [`an ${hook} that is no function`, { [hook]: 1 }, new RegExp(hook)] as const,
  ),
];

for (const [what, handlers, message] of WRONG) {
  test(`${what} is refused with REACTOR_HANDLERS_INVALID and named`, () => {
    assert.throws(() => new Router(handlers as Handlers), { code: 'REACTOR_HANDLERS_INVALID', message });
  });
}
