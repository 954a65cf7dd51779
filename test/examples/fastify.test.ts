import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startExample, stopExample } from '../support/example.js';

test('fastify: one app answers on every thread', async (t) => {
  const fastify = await startExample(t, 'fastify');
  const threads = Number(/with (\d+) threads/.exec(fastify.command.lines[0]!)?.[1]);
  const url = `http://127.0.0.1:${fastify.port}`;
  const answering: (number | 'main')[] = [];
  for (let request = 0; request < Math.max(1, threads); request += 1) {
    const response = await fetch(`${url}/greet/Ann`, { headers: { connection: 'close' } });
    const answer = (await response.json()) as { hello: string; thread: number | 'main' };
    assert.equal(answer.hello, 'Ann');
    answering.push(answer.thread);
  }
  const everyThread = threads === 0 ? ['main'] : Array.from({ length: threads }, (_, thread) => thread);
  assert.deepEqual(new Set<number | string>(answering), new Set<number | string>(everyThread));
  await stopExample(fastify);
});

test("fastify: a JSON body is parsed and serialised, and an unknown path is Fastify's own 404", async (t) => {
  const fastify = await startExample(t, 'fastify');
  const url = `http://127.0.0.1:${fastify.port}`;
  const echoed = await fetch(`${url}/echo`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"a":[1,2]}',
  });
  assert.deepEqual(await echoed.json(), { a: [1, 2] });
  const missing = await fetch(`${url}/nowhere`);
  assert.equal(missing.status, 404);
  assert.deepEqual(await missing.json(), {
    message: 'Route GET:/nowhere not found',
    error: 'Not Found',
    statusCode: 404,
  });
  await stopExample(fastify);
});
