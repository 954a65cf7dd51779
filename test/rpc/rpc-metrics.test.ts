// The figures of servers and clients as Prometheus renders them, of real calls and of calls made up.

import { Registry } from 'prom-client';
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  type CallFigures,
  LATENCY_BUCKETS_S,
  registerClientMetrics,
  registerServerMetrics,
  RpcError,
} from '../../rpc/index.js';
import { until } from '../support/until.js';
import { deferred } from './support/deferred.js';
import { ECHO, echoService } from './support/echo.js';
import { startGrpcCaller, startGrpcServer } from './support/grpc-pair.js';
import { startPair } from './support/rpc-pair.js';

/** Values by name and labels: `name{a="1"}`. */
async function scrape(registry: Registry): Promise<Map<string, number>> {
  const lines = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const end = line.lastIndexOf(' ');
      return [line.slice(0, end), Number(line.slice(end + 1))];
    }),
  );
}

test('calls of an RpcServer and its client are counted by method and status', async (t) => {
  const gate = deferred<void>();
  const { server, client } = await startPair(t, {
    services: [
      echoService({
        say: ({ text }: { text?: string }) => {
          if (text === 'fail') throw new RpcError('RPC_NOT_FOUND', 'no');
          return text === 'wait' ? gate.promise.then(() => ({})) : {};
        },
      }),
    ],
  });
  const registry = new Registry();
  registerServerMetrics(registry, server);
  registerClientMetrics(registry, client, 'echo');
  for (let index = 0; index < 3; index += 1) await client.unary(ECHO.say, {});
  await assert.rejects(client.unary(ECHO.say, { text: 'fail' }));
  const waiting = client.unary(ECHO.say, { text: 'wait' });
  await client.unary(ECHO.count, {}); // behind the one that waits: that one has arrived
  const values = await scrape(registry);
  for (const [side, label] of [
    ['server', 'server="rpc"'],
    ['client', 'client="echo"'],
  ]) {
    const name = `reactor_net_rpc_${side}`;
    const method = `${label},method="demo.Echo/Say"`;
    assert.equal(values.get(`${name}_calls_started_total{${method}}`), 5, side);
    assert.equal(values.get(`${name}_calls_total{${method},status="OK"}`), 3, side);
    assert.equal(values.get(`${name}_calls_total{${method},status="NOT_FOUND"}`), 1, side);
    assert.equal(values.get(`${name}_calls_in_flight{${method}}`), 1, side);
    assert.equal(values.get(`${name}_call_duration_seconds_count{${method}}`), 4, side);
    assert.equal(values.get(`${name}_call_duration_seconds_bucket{le="+Inf",${method}}`), 4, side);
  }
  assert((values.get('reactor_net_rpc_server_connections{server="rpc"}') ?? 0) >= 1);
  assert((values.get('reactor_net_rpc_client_connections{client="echo"}') ?? 0) >= 1);
  assert.equal(values.get('reactor_net_rpc_client_instances{client="echo"}'), 1);
  assert.equal(values.get('reactor_net_rpc_client_retries_total{client="echo"}'), 0);
  gate.resolve();
  await waiting;
});

test('the gRPC adapter’s sides join the same registry under their names', async (t) => {
  const registry = new Registry();
  const { server, target } = await startGrpcServer(t);
  const caller = startGrpcCaller(t, { target });
  const { server: ours, client } = await startPair(t);
  registerServerMetrics(registry, ours);
  registerServerMetrics(registry, server, 'grpc');
  registerClientMetrics(registry, client, 'ours');
  const forget = registerClientMetrics(registry, caller, 'theirs');
  await caller.unary(ECHO.say, {});
  await client.unary(ECHO.say, {});
  await until(() => server.figures().callsInFlight === 0);
  const values = await scrape(registry);
  const say = 'method="demo.Echo/Say",status="OK"';
  assert.equal(values.get(`reactor_net_rpc_server_calls_total{server="rpc",${say}}`), 1);
  assert.equal(values.get(`reactor_net_rpc_server_calls_total{server="grpc",${say}}`), 1);
  assert.equal(values.get(`reactor_net_rpc_client_calls_total{client="ours",${say}}`), 1);
  assert.equal(values.get(`reactor_net_rpc_client_calls_total{client="theirs",${say}}`), 1);
  assert.equal(
    values.get('reactor_net_rpc_server_connections{server="grpc"}'),
    undefined,
    'not known, not 0',
  );
  forget();
  const later = await scrape(registry);
  assert.equal(later.get(`reactor_net_rpc_client_calls_total{client="theirs",${say}}`), undefined);
});

test('threads are summed, buckets are cumulative, and who cannot answer does not spoil the scrape', async () => {
  const registry = new Registry();
  const thread = (scale: number): { calls: CallFigures[]; connections: number } => ({
    connections: scale,
    calls: [
      {
        path: '/demo.Echo/Say',
        started: 10 * scale,
        handlerFailures: scale,
        ended: [6 * scale, 0, scale],
        buckets: LATENCY_BUCKETS_S.map(() => scale).concat(2 * scale),
        latencySumS: scale / 2,
      },
    ],
  });
  registerServerMetrics(registry, { figures: () => Promise.resolve([thread(1), thread(2)]) });
  registerServerMetrics(registry, { figures: () => Promise.reject(new Error('closed')) }, 'gone');
  const values = await scrape(registry);
  const labels = 'server="rpc",method="demo.Echo/Say"';
  const name = 'reactor_net_rpc_server';
  assert.equal(values.get(`${name}_calls_started_total{${labels}}`), 30);
  assert.equal(values.get(`${name}_calls_total{${labels},status="UNKNOWN"}`), 3);
  assert.equal(values.get(`${name}_calls_in_flight{${labels}}`), 9);
  assert.equal(values.get(`${name}_handler_failures_total{${labels}}`), 3);
  assert.equal(values.get(`${name}_connections{server="rpc"}`), 3);
  assert.equal(values.get(`${name}_call_duration_seconds_bucket{le="0.0001",${labels}}`), 3);
  assert.equal(values.get(`${name}_call_duration_seconds_bucket{le="0.00025",${labels}}`), 6);
  assert.equal(
    values.get(`${name}_call_duration_seconds_bucket{le="+Inf",${labels}}`),
    3 * LATENCY_BUCKETS_S.length + 6,
  );
  assert.equal(values.get(`${name}_call_duration_seconds_sum{${labels}}`), 1.5);
  const json = await registry.getMetricsAsJSON();
  assert(json.some((metric) => metric.name === `${name}_call_duration_seconds` && metric.values.length > 0));
});
