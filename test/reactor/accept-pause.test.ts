// Accepting stops for want of descriptors or of room, and goes on by itself; decided without a socket.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { AcceptPause } from '../../reactor/accept-pause.js';
import type { DescriptorWatch } from '../../reactor/descriptor-watch.js';
import type { ReactorErrorCode } from '../../reactor/errors.js';
import type { EventLoop } from '../../reactor/event-loop.js';
import { ACCEPT_PAUSED, SharedCounters } from '../../reactor/shared-counters.js';

const diary: string[] = [];
const told: ReactorErrorCode[] = [];
let isScarce: boolean;
let isFull: boolean;
let retry: (() => void) | null;
let pause: AcceptPause;
let pauses: () => number;

const watch = { isScarceAfterAccept: () => isScarce, isScarce: () => isScarce } as unknown as DescriptorWatch; // what a pause asks of it
const loop = {
  runAfter: (_delayMs: number, task: () => void) => {
    retry = task;
    return task;
  },
  cancel: () => {
    retry = null;
  },
} as unknown as EventLoop; // what a pause uses of it

function runRetry(): void {
  const due = retry;
  retry = null;
  due?.();
}

beforeEach(() => {
  diary.length = 0;
  told.length = 0;
  isScarce = false;
  isFull = false;
  retry = null;
  const counters = SharedCounters.create(0).row('main');
  pauses = () => counters.values[ACCEPT_PAUSED]!;
  pause = new AcceptPause(loop, counters, watch, {
    stop: () => diary.push('stop'),
    goOn: () => diary.push('go on'),
    isFull: () => isFull,
    troubled: ({ code }) => told.push(code),
  });
});

test('a burst that nobody can take stops accepting until somebody can, and is no error', () => {
  pause.accepted();
  isFull = true;
  pause.accepted();
  pause.accepted();
  assert.deepEqual(diary, ['stop']);
  assert.equal(pauses(), 1);
  runRetry();
  assert.deepEqual(diary, ['stop'], 'there is no room yet');
  isFull = false;
  runRetry();
  assert.deepEqual(diary, ['stop', 'go on']);
  assert.deepEqual(told, []);
});

test('room alone does not help while descriptors are short', () => {
  isScarce = true;
  pause.accepted();
  assert.deepEqual(told, ['REACTOR_FD_LIMIT']);
  isFull = true;
  isScarce = false;
  runRetry();
  isScarce = true;
  isFull = false;
  runRetry();
  assert.deepEqual(diary, ['stop']);
  isScarce = false;
  runRetry();
  assert.deepEqual(diary, ['stop', 'go on']);
  assert.equal(pauses(), 1);
});

test('what is closed does not go on', () => {
  isFull = true;
  pause.accepted();
  pause.close();
  runRetry();
  pause.accepted();
  assert.deepEqual(diary, ['stop']);
});
