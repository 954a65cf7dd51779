// Questions and answers: matched by id, and what comes late or twice is dropped and counted.

import assert from 'node:assert/strict';
import test from 'node:test';

import { type Channel, Requester } from '../../addon/jbus/index.js';
import { openPair } from '../support/backings.js';
import { until } from '../support/until.js';
import { jbusError } from './support/rings.js';

/** Answers each question `copies` times, all questions of a turn in reverse order. */
async function answer(peer: Channel, count: number, copies: number): Promise<void> {
  const questions = [];
  for (let index = 0; index < count; index += 1) questions.push(await peer.readAsync());
  for (const { msgId, data } of questions.toReversed()) {
    for (let copy = 0; copy < copies; copy += 1) await peer.writeAsync(data, { msgId });
  }
}

test('answers find their questions in any order, and a second answer is dropped and counted', async (t) => {
  const [owner, peer] = await openPair(t, 'memory');
  const requester = new Requester(owner);
  const answered = answer(peer, 3, 2);
  const answers = await Promise.all(['a', 'b', 'c'].map((text) => requester.request(Buffer.from(text))));
  assert.deepEqual(
    answers.map(({ data }) => data.toString()),
    ['a', 'b', 'c'],
  );
  await answered;
  await until(() => requester.dropped === 3);
});

test('an answer that comes after the time was up is dropped and counted, and the next one is not mistaken for it', async (t) => {
  const [owner, peer] = await openPair(t, 'memory');
  const requester = new Requester(owner);
  await assert.rejects(requester.request(Buffer.from('slow'), { timeoutMs: 20 }), jbusError('JBUS_TIMEOUT'));
  const next = requester.request(Buffer.from('next'));
  await answer(peer, 2, 1);
  assert.equal((await next).data.toString(), 'next');
  await until(() => requester.dropped === 1);
});

test('too many questions are refused, a signal takes one back, and the end of the channel ends them all', async (t) => {
  const [owner, peer] = await openPair(t, 'memory');
  const requester = new Requester(owner, { requestsMax: 2 });
  const cancel = new AbortController();
  const first = requester.request(Buffer.from('1'), { signal: cancel.signal });
  const second = requester.request(Buffer.from('2'));
  await assert.rejects(requester.request(Buffer.from('3')), jbusError('JBUS_QUEUE_FULL'));
  cancel.abort();
  await assert.rejects(first, jbusError('JBUS_CANCELED'));
  await assert.rejects(
    requester.request(Buffer.from('4'), { signal: cancel.signal }),
    jbusError('JBUS_CANCELED'),
  );
  const ended = assert.rejects(second, jbusError('JBUS_CLOSED'));
  peer.close();
  await ended;
  await assert.rejects(requester.request(Buffer.from('5')), jbusError('JBUS_CLOSED'));
});
