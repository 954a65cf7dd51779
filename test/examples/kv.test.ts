import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaintsOf, runProgram } from '../support/example.js';
import { ProcessCluster } from '../kv/node/support/process-cluster.js';

test('kv: three apples are sold to three of five, each once', async (t) => {
  const cluster = new ProcessCluster(t);
  await cluster.startAll();
  const endpoints = [...cluster.ports.values()].map(({ rpc }) => rpc);
  const shop = await runProgram(t, 'kv', 'main', endpoints);
  assert.equal(await shop.exitCode, 0, shop.stderr);
  assert.equal(complaintsOf(shop), '');
  const buyers = shop.lines.flatMap((line) => /^sale \d: an apple for (\w+)$/.exec(line)?.[1] ?? []);
  assert.equal(new Set(buyers).size, 3);
  assert.match(shop.lines.at(-1)!, /^3 sold/);
});
