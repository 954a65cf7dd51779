// grpc.health.v1 over our own wire and over gRPC, and what becomes of it when the server drains.

import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  type Caller,
  type CallOptions,
  healthContract,
  healthService,
  HealthStatus,
  type MethodContract,
  type ResponseStream,
  RpcError,
} from '../../rpc/index.js';
import { startGrpcCaller, startGrpcServer } from './support/grpc-pair.js';
import { startPair } from './support/rpc-pair.js';

interface Check {
  service?: string;
}
interface Status {
  status: number;
}
const { check, watch, list } = healthContract().methods as unknown as {
  check: MethodContract<Check, Status>;
  watch: MethodContract<Check, Status>;
  list: MethodContract<object, { statuses: Record<string, Status> }>;
};
const SERVING = 1;
const NOT_SERVING = 2;
const SERVICE_UNKNOWN = 3;

interface Bench {
  readonly health: HealthStatus;
  readonly caller: Caller;
  readonly close: () => Promise<{ readonly cut: number }>;
}
type Start = (t: Parameters<typeof startPair>[0], health: HealthStatus) => Promise<Bench>;

const WIRES: Readonly<Record<string, Start>> = {
  'our wire': async (t, health) => {
    const application = { services: [healthService(health)], onDraining: () => health.startDraining() };
    const { server, client } = await startPair(t, { services: application });
    return { health, caller: client, close: () => server.close({ graceMs: 10_000 }) };
  },
  gRPC: async (t, health) => {
    const application = { services: [healthService(health)], onDraining: () => health.startDraining() };
    const { server, target } = await startGrpcServer(t, { services: application });
    return { health, caller: startGrpcCaller(t, { target }), close: () => server.close({ graceMs: 10_000 }) };
  },
};

async function next(answers: AsyncIterator<Status>): Promise<number> {
  const { value, done } = await answers.next();
  assert(done !== true);
  return value.status;
}

function watching(caller: Caller, service: string, options?: CallOptions): AsyncIterator<Status> {
  const stream: ResponseStream<Status> = caller.serverStream(watch, { service }, options);
  return stream[Symbol.asyncIterator]();
}

for (const [name, start] of Object.entries(WIRES)) {
  test(`a check answers what was set, NOT_FOUND for a stranger (${name})`, async (t) => {
    const { health, caller } = await start(t, new HealthStatus(['demo.Echo']));
    assert.equal((await caller.unary(check, {})).status, SERVING, 'the server as a whole');
    assert.equal((await caller.unary(check, { service: 'demo.Echo' })).status, SERVING);
    health.set('demo.Echo', 'not-serving');
    assert.equal((await caller.unary(check, { service: 'demo.Echo' })).status, NOT_SERVING);
    await assert.rejects(caller.unary(check, { service: 'demo.Nobody' }), (error) => {
      assert(error instanceof RpcError);
      return error.code === 'RPC_NOT_FOUND';
    });
    const { statuses } = await caller.unary(list, {});
    assert.deepEqual(
      Object.entries(statuses).map(([service, { status }]) => [service, status]),
      [
        ['', SERVING],
        ['demo.Echo', NOT_SERVING],
      ],
    );
  });

  test(`a watcher is told at once and of every change (${name})`, async (t) => {
    const { health, caller } = await start(t, new HealthStatus());
    const answers = watching(caller, 'demo.Late', { timeoutMs: 60_000 });
    assert.equal(await next(answers), SERVICE_UNKNOWN);
    health.set('demo.Late', 'serving');
    assert.equal(await next(answers), SERVING);
    health.set('demo.Late', 'not-serving');
    assert.equal(await next(answers), NOT_SERVING);
    health.clear('demo.Late');
    assert.equal(await next(answers), SERVICE_UNKNOWN);
    await answers.return?.();
  });

  test(`a drain says NOT_SERVING to watchers, lets them go and waits for none (${name})`, async (t) => {
    const { caller, close } = await start(t, new HealthStatus(['demo.Echo']));
    const answers = watching(caller, 'demo.Echo', { timeoutMs: 60_000 });
    assert.equal(await next(answers), SERVING);
    const closed = close();
    assert.equal(await next(answers), NOT_SERVING);
    await assert.rejects(answers.next(), (error) => (error as RpcError).code === 'RPC_SHUTTING_DOWN');
    assert.equal((await closed).cut, 0);
  });
}

test('an ordinary gRPC probe understands the answer', async (t) => {
  const { target } = await startGrpcServer(t, { services: [healthService(new HealthStatus())] });
  const file = new URL('../../../rpc/proto/grpc/health/v1/health.proto', import.meta.url);
  const definition = loadSync(file.pathname, { enums: String })['grpc.health.v1.Health'];
  const Client = grpc.makeGenericClientConstructor(definition as grpc.ServiceDefinition, 'Health');
  const client = new Client(target, grpc.credentials.createInsecure());
  t.after(() => client.close());
  const answer = await new Promise<{ status: string }>((resolve, reject) => {
    const probe = client['check'] as (
      request: object,
      done: grpc.requestCallback<{ status: string }>,
    ) => void;
    probe.call(client, {}, (error, value) => (error === null ? resolve(value!) : reject(error)));
  });
  assert.equal(answer.status, 'SERVING');
});
