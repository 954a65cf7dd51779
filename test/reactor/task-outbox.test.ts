// Answers that wait for room, on two seats of one thread: every step between the two is the test's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshSeat } from '../../reactor/mesh-seat.js';
import { type OutgoingTask, TASK_KIND, TaskOutbox } from '../../reactor/task-outbox.js';
import { ThreadMesh } from '../../reactor/thread-mesh.js';

function answer(payloadBytes: number): OutgoingTask {
  const payload = { format: 0, bytes: new Uint8Array(payloadBytes) };
  return { kind: TASK_KIND.result, incarnation: 0, callId: 0, name: new Uint8Array(1), payload };
}

test('a thread that was told of too little room asks again before it sleeps', (t) => {
  const mesh = ThreadMesh.create({ threads: 1, wake: 'port' });
  const { seatData } = mesh.connect(0);
  const seat = MeshSeat.join(seatData);
  t.after(() => {
    seat.close();
    mesh.lost(0);
    mesh.close();
  });
  const outbox = new TaskOutbox(seat, () => {}, 1, 4096);
  outbox.reply(seat.mainSlot, 'normal', answer(1));
  while (outbox.repliesWaiting < 2) outbox.reply(seat.mainSlot, 'normal', answer(4000));

  const ring = mesh.seat.incoming[0]!.normal;
  ring.take(); // the small one: not enough room for a large one
  assert.equal(ring.takeSpaceWanted(), true);
  assert.equal(outbox.canFlush(), false);
  ring.take();
  assert.equal(ring.takeSpaceWanted(), true, 'the sleeper would never be woken');
  assert.equal(outbox.canFlush(), true);
  outbox.flush();
  assert.equal(outbox.repliesWaiting, 1);
});
