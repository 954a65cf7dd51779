// Where the time of an image went, as drivers are told: what its worker node said, with what the main node adds. Pure.

import type { StageTimes } from '../proto/render.js';

const NO_TIMES: StageTimes = {
  queueUs: 0,
  dispatchUs: 0,
  shmRequestUs: 0,
  renderUs: 0,
  readOutUs: 0,
  shmReplyUs: 0,
  replyUs: 0,
};

/**
 * Of one image.
 * @param waitedMs until it was given to the node
 * @param elapsedMs from then until its pixels were here: what the node did not use of it is the way there and back
 */
export function stageTimes(waitedMs: number, elapsedMs: number, told: StageTimes = NO_TIMES): StageTimes {
  const { queueUs, dispatchUs, shmRequestUs, renderUs, readOutUs, shmReplyUs, replyUs } = told;
  const toldUs = queueUs + dispatchUs + shmRequestUs + renderUs + readOutUs + shmReplyUs + replyUs;
  return {
    queueUs: microseconds(queueUs + waitedMs * 1000),
    dispatchUs: microseconds(elapsedMs * 1000 - toldUs),
    shmRequestUs,
    renderUs,
    readOutUs,
    shmReplyUs,
    replyUs,
  };
}

function microseconds(us: number): number {
  return Math.min(0xffff_ffff, Math.max(0, Math.round(us)));
}
