import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { AdminServer, type AdminSources } from '../../reactor/admin-server.js';
import type { ReactorError } from '../../reactor/errors.js';

async function listening(t: TestContext, sources: Partial<AdminSources> = {}): Promise<string> {
  const server = new AdminServer(
    { metrics: () => Promise.resolve('a 1\n'), ready: () => true, ...sources },
    { port: 0 },
  );
  const { host, port } = await server.listen();
  t.after(() => server.close());
  return `http://${host}:${port}`;
}

/** A request that leaves no idle connection behind. */
function ask(url: string, method = 'GET'): Promise<Response> {
  return fetch(url, { method, headers: { connection: 'close' } });
}

test('readyz follows readiness while healthz only says that the process lives', async (t) => {
  let ready = false;
  const base = await listening(t, { ready: () => ready });
  assert.equal((await ask(`${base}/readyz`)).status, 503);
  assert.equal((await ask(`${base}/healthz`)).status, 200);
  ready = true;
  assert.equal((await ask(`${base}/readyz`)).status, 200);
});

test('metrics are served in the Prometheus text format, with or without a query', async (t) => {
  const base = await listening(t);
  for (const path of ['/metrics', '/metrics?x=1']) {
    const response = await ask(base + path);
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    assert.equal(await response.text(), 'a 1\n');
  }
});

test('the request sample is JSON, and absent where nobody samples', async (t) => {
  const sample = { seen: 7, requests: [] };
  const base = await listening(t, { requests: () => Promise.resolve(sample) });
  assert.deepEqual(await (await ask(`${base}/requests`)).json(), sample);
  assert.equal((await ask(`${await listening(t)}/requests`)).status, 404);
});

test('a scrape that fails answers 500 and the next one is served', async (t) => {
  let failures = 1;
  const base = await listening(t, {
    metrics: () =>
      failures-- > 0 ? Promise.reject(new Error('thread 1 is gone')) : Promise.resolve('a 1\n'),
  });
  const failed = await ask(`${base}/metrics`);
  assert.equal(failed.status, 500);
  assert.equal(await failed.text(), 'thread 1 is gone\n');
  assert.equal((await ask(`${base}/metrics`)).status, 200);
});

test('anything but reading is refused, and so is an unknown path', async (t) => {
  const base = await listening(t);
  assert.equal((await ask(`${base}/metrics`, 'POST')).status, 405);
  assert.equal((await ask(`${base}/metric`)).status, 404);
  assert.equal(await (await ask(`${base}/metrics`, 'HEAD')).text(), '');
});

test('a taken port is reported with its code and its address', async (t) => {
  const taken = new URL(await listening(t));
  const server = new AdminServer(
    { metrics: () => Promise.resolve(''), ready: () => true },
    { host: taken.hostname, port: Number(taken.port) },
  );
  await assert.rejects(server.listen(), (error: ReactorError) => {
    assert.equal(error.code, 'REACTOR_PORT_IN_USE');
    assert.match(error.message, new RegExp(taken.host));
    return true;
  });
});
