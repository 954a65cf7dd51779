import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { RegistryMetrics } from '../../../rpc/registry/metrics.js';
import type { MemoryStore } from '../../../rpc/registry/memory-store.js';
import { RegistryWeb } from '../../../rpc/registry/web.js';
import { facts, openStore, registration } from './support.js';

async function openWeb(
  t: TestContext,
  isReady: () => boolean = () => true,
): Promise<{ store: MemoryStore; url: string }> {
  const { store, clock } = openStore(t);
  const metrics = new RegistryMetrics(() => ({ ...store.figures(), snapshots: 3, snapshotFailures: 0 }));
  metrics.refused('RPC_PERMISSION_DENIED');
  const web = new RegistryWeb({
    store,
    wallMs: () => clock.wallMs(),
    metrics: () => metrics.render(),
    isReady,
  });
  const { port } = await web.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => web.close());
  return { store, url: `http://127.0.0.1:${port}` };
}

const ask = (url: string, options: RequestInit = {}): Promise<Response> =>
  fetch(url, { ...options, headers: { connection: 'close' } });

test('pages show what is registered, and nothing that was registered is markup', async (t) => {
  const { store, url } = await openWeb(t);
  const nasty = '<script>alert("1")</script>\'&';
  const instance = facts(1, {
    version: nasty,
    group: nasty,
    tags: { [nasty]: nasty },
    path: `/tmp/${nasty}`,
    host: '',
    port: 0,
  });
  await store.register(
    registration(1, { instances: [instance, facts(2, { service: 'demo.Other', resources: { gpus: 2 } })] }),
  );
  const index = await (await ask(url)).text();
  assert.match(index, /<a href="\/services\/demo\.Greeter">demo\.Greeter<\/a>/);
  assert.match(index, /2 services, 2 instances, 1 leases/);
  const response = await ask(`${url}/services/demo.Greeter`);
  const page = await response.text();
  assert(!page.includes('<script'), page);
  assert.match(page, /&lt;script&gt;alert\(&quot;1&quot;\)&lt;\/script&gt;&#39;&amp;/);
  assert.match(response.headers.get('content-security-policy')!, /default-src 'none'/);
  const named = await (await ask(`${url}/services/${encodeURIComponent('<b>')}`)).text();
  assert(!named.includes('<b>'));
  assert.match(await (await ask(`${url}/services/demo.Other`)).text(), /gpus=2/);
});

test('the same as JSON, all of it or one service', async (t) => {
  const { store, url } = await openWeb(t);
  await store.register(registration(1, { instances: [facts(1, { tags: { zone: 'north' } })] }));
  const all = (await (await ask(`${url}/api/services`)).json()) as { revision: number; services: object[] };
  const one = await (await ask(`${url}/api/services/demo.Greeter`)).json();
  assert.deepEqual(all.services, [one]);
  assert.equal(all.revision, 1);
  assert.deepEqual(one, {
    name: 'demo.Greeter',
    instances: [
      {
        id: '10.0.0.1:1@1',
        address: '10.0.0.1:1',
        host: '10.0.0.1',
        port: 1,
        weight: 1,
        version: '',
        group: '',
        tags: { zone: 'north' },
        resources: {},
        lastHeartbeat: '2026-01-01T00:00:00.000Z',
        held: false,
      },
    ],
  });
});

test('health, readiness and metrics are where they are everywhere', async (t) => {
  let ready = false;
  const { store, url } = await openWeb(t, () => ready);
  await store.register(registration(1));
  assert.equal((await ask(`${url}/healthz`)).status, 200);
  assert.equal((await ask(`${url}/readyz`)).status, 503);
  ready = true;
  assert.equal((await ask(`${url}/readyz`)).status, 200);
  const metrics = await (await ask(`${url}/metrics`)).text();
  for (const line of [
    'reactor_net_registry_instances 1',
    'reactor_net_registry_registrations_total 1',
    'reactor_net_registry_snapshots_total 3',
    'reactor_net_registry_refusals_total{code="RPC_PERMISSION_DENIED"} 1',
  ]) {
    assert(metrics.includes(`\n${line}\n`), `${line} in ${metrics}`);
  }
});

test('nothing can be changed, and what is not there is said', async (t) => {
  const { url } = await openWeb(t);
  assert.equal((await ask(`${url}/api/services`, { method: 'POST', body: '{}' })).status, 405);
  assert.equal((await ask(`${url}/elsewhere`)).status, 404);
  assert.equal((await ask(`${url}/services/%E0%A4%A`)).status, 404);
});
