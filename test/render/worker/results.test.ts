// What is told of one image: the times of its stages.

import assert from 'node:assert/strict';
import test from 'node:test';

import { ErrCode } from '../../../render/index.js';
import { RENDERER_OPS, rendererReply, rendererRequest } from '../../../render/renderer/message.js';
import type { CrewOutcome, Flight } from '../../../render/worker/renderer-crew.js';
import { goodImage } from '../../../render/worker/results.js';

const FLIGHT = { index: 3, sentAt: 12, run: { takenAt: 10 } } as unknown as Flight; // goodImage reads no more of it

function outcome(tookMs: number, writeMs: number, renderUs: number): CrewOutcome {
  const request = rendererRequest({
    op: RENDERER_OPS.render,
    requestId: 1n,
    taskCount: 1,
    width: 2,
    height: 2,
  });
  const reply = rendererReply(request, { renderUs, readOutUs: 100, body: new Uint8Array(4) });
  return { err: ErrCode.EC_OK, text: '', log: '', tookMs, writeMs, reply };
}

test('the stages of an image add up to the time it took, from when it was taken', () => {
  const { times } = goodImage(1, outcome(5, 0.5, 4000), FLIGHT);
  assert.deepEqual(times, {
    queueUs: 2000,
    shmRequestUs: 500,
    renderUs: 3900,
    readOutUs: 100,
    shmReplyUs: 500,
  });
});

test('a write that is noted when the image is rendered already does not count the rendering twice', () => {
  const { times } = goodImage(1, outcome(5, 4.9, 4000), FLIGHT);
  assert.deepEqual([times.shmRequestUs, times.renderUs, times.shmReplyUs], [1000, 3900, 0]);
});
