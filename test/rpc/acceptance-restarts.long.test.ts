// Servers that are killed, drained and restarted under load, as processes of their own.

import assert from 'node:assert/strict';
import test from 'node:test';
import { RpcClient, RpcError } from '../../rpc/index.js';
import { TRANSPORTS } from '../support/transports.js';
import { until } from '../support/until.js';
import { ECHO } from './support/echo.js';
import { startServerProcess } from './support/server-process.js';

const WORKERS = 32;

for (const transport of TRANSPORTS) {
  test(`a server killed under load fails no idempotent call, and others only if they were on it (${transport})`, async (t) => {
    const servers = await Promise.all([0, 1, 2].map(() => startServerProcess(t, { transport })));
    const target = servers.map(({ address }) => address).join(',');
    const client = new RpcClient({ target, transport, timeoutMs: 20_000 });
    t.after(() => client.close(0));
    const errors: { error: RpcError; idempotent: boolean }[] = [];
    let done = 0;
    const over = new AbortController();
    const worker = async (index: number): Promise<void> => {
      const idempotent = index % 2 === 0;
      while (!over.signal.aborted) {
        try {
          await client.unary(idempotent ? ECHO.say : ECHO.count, { text: 'x', delayMs: 1 });
          done += 1;
        } catch (error) {
          assert(error instanceof RpcError);
          errors.push({ error, idempotent });
        }
      }
    };
    const load = Promise.all(Array.from({ length: WORKERS }, (_, index) => worker(index)));
    await until(() => done > 500);
    await servers[1]!.kill();
    const atKill = done;
    await until(() => done > atKill + 1500);
    over.abort();
    await load; // nothing hangs
    assert.deepEqual(
      errors.filter(({ idempotent }) => idempotent),
      [],
    );
    assert(
      errors.length <= WORKERS / 2,
      `${errors.length} calls failed, of ${WORKERS / 2} that were under way`,
    );
    for (const { error } of errors) assert.equal(error.code, 'RPC_CONNECTION_LOST');
  });

  test(`three instances are restarted one by one at 1,000 calls a second without a failed call (${transport})`, async (t) => {
    let servers = await Promise.all([0, 1, 2].map(() => startServerProcess(t, { transport })));
    const target = servers.map(({ address }) => address).join(',');
    const pool = { backoffFirstMs: 50, backoffMaxMs: 200 };
    const client = new RpcClient({
      target,
      transport,
      timeoutMs: 20_000,
      pool,
      selector: { drainingMs: 200 },
    });
    t.after(() => client.close(0));
    const failures: string[] = [];
    let started = 0;
    let settled = 0;
    const call = (): void => {
      const method = started % 2 === 0 ? ECHO.say : ECHO.count;
      started += 1;
      client
        .unary(method, { text: 'x', delayMs: 5 })
        .catch((error: RpcError) =>
          failures.push(`${method.name}: ${error.code} ${error.executed} ${error.message}`),
        )
        .finally(() => (settled += 1));
    };
    const beganMs = performance.now();
    const pace = setInterval(() => {
      const due = performance.now() - beganMs; // one call a millisecond
      const late = Math.min(50, Math.floor(due) - started);
      for (let burst = 0; burst < late; burst += 1) call();
    }, 5);
    t.after(() => clearInterval(pace));
    await until(() => settled > 300);
    for (const [index, old] of servers.entries()) {
      const cut = await old.drain();
      assert.equal(cut, 0, 'a drain cuts nothing that ends in time');
      const renewed = await startServerProcess(t, { port: old.port, transport });
      servers = servers.with(index, renewed);
      const settledBefore = settled;
      await until(() => settled > settledBefore + 500);
    }
    clearInterval(pace);
    await until(() => settled === started);
    assert.deepEqual(failures, []);
    assert(started > 1800, `${started} calls were made`);
  });
}
