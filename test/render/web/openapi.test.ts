// The OpenAPI document and what is really served are the same thing.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { type FarmWeb, serveFarmWeb } from '../../../render/web/serve-farm-web.js';
import { ScriptedFarm } from './support/scripted-farm.js';
import { type Ask, type Reply, WebClient } from './support/web-client.js';

interface Operation {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, Content>> }>>;
}
interface Content {
  readonly schema?: object;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: object };
}

interface Case extends Ask {
  readonly path: string;
  readonly status: number;
}

const CHANGE = { 'x-reactor-net': '1', 'content-type': 'application/json' };
const post = (path: string, value: unknown, status: number): Case => ({
  path,
  status,
  method: 'POST',
  headers: CHANGE,
  body: JSON.stringify(value),
});

/** At least one request for each operation. */
const CASES: Readonly<Record<string, readonly Case[]>> = {
  getFarm: [{ path: '/api/v1/farm', status: 200 }],
  listWorkers: [{ path: '/api/v1/workers', status: 200 }],
  drainWorker: [
    post('/api/v1/workers/1/drain', {}, 204),
    post('/api/v1/workers/99/drain', {}, 404),
    post('/api/v1/workers/first/drain', {}, 400),
  ],
  getLoad: [{ path: '/api/v1/load', status: 200 }],
  watch: [],
  listJobs: [
    { path: '/api/v1/jobs', status: 200 },
    { path: '/api/v1/jobs?offset=1&limit=1&state=queued,active', status: 200 },
    { path: '/api/v1/jobs?state=asleep', status: 400 },
    { path: '/api/v1/jobs?limit=5000', status: 400 },
  ],
  actOnJobs: [
    post('/api/v1/jobs/actions', { action: 'pause', ids: [1, 2, 77] }, 200),
    post('/api/v1/jobs/actions', { action: 'priority', ids: [1], priority: 3 }, 200),
    post('/api/v1/jobs/actions', { action: 'explode', ids: [1] }, 400),
    post('/api/v1/jobs/actions', { action: 'pause', ids: [] }, 400),
    post('/api/v1/jobs/actions', { action: 'pause', ids: [1], because: 'so' }, 400),
    post('/api/v1/jobs/actions', { action: 'priority', ids: [1] }, 400),
    { ...post('/api/v1/jobs/actions', {}, 413), body: `"${'x'.repeat(70_000)}"` },
    { ...post('/api/v1/jobs/actions', {}, 400), body: '{"action":' },
    { ...post('/api/v1/jobs/actions', {}, 403), headers: { 'content-type': 'application/json' } },
  ],
  getJob: [
    { path: '/api/v1/jobs/1', status: 200 },
    { path: '/api/v1/jobs/1?offset=2&limit=1', status: 200 },
    { path: '/api/v1/jobs/1?state=missing,running', status: 200 },
    { path: '/api/v1/jobs/1?state=broken', status: 400 },
    { path: '/api/v1/jobs/4711', status: 404 },
    { path: '/api/v1/jobs/-1', status: 400 },
    { path: '/api/v1/jobs/%ff', status: 400 },
  ],
  getImage: [
    { path: '/api/v1/jobs/1/images/0.png', status: 200 },
    { path: '/api/v1/jobs/1/images/0.png?width=16', status: 200 },
    { path: '/api/v1/jobs/1/images/3.png', status: 404 },
    { path: '/api/v1/jobs/1/images/400.png', status: 404 },
    { path: '/api/v1/jobs/1/images/0.png?width=99999', status: 400 },
  ],
  getLog: [
    { path: '/api/v1/jobs/1/images/0/log', status: 200 },
    { path: '/api/v1/jobs/1/images/3/log', status: 404 },
  ],
  logIn: [
    post('/api/v1/session', { token: 'anything: none is asked for' }, 204),
    post('/api/v1/session', {}, 400),
  ],
  logOut: [{ path: '/api/v1/session', method: 'DELETE', headers: CHANGE, status: 204 }],
  getOpenApi: [{ path: '/api/v1/openapi.json', status: 200 }],
};

test('the OpenAPI document and what is served are the same', async (t) => {
  const farm = new ScriptedFarm();
  farm.addWorker({ serial: 1, tags: ['gpu'] });
  farm.addJob({ id: 1 });
  farm.addJob({ id: 2, state: 'completed', finishedAtMs: 1, code: 11, expiresAtMs: 5, remainingMs: null });
  farm.render(1, 0);
  farm.render(1, 1, 'missing');
  const web = await serveFarmWeb(farm, { port: 0, version: '1.2.3' });
  t.after(() => web.close());
  const client = new WebClient(web.port);
  const document = (await client.ask('/api/v1/openapi.json')).json() as Document;

  await t.test('it is valid by the schema of OpenAPI 3.1', async () => {
    const { valid, errors } = await new Validator().validate({ ...structuredClone(document) });
    assert.equal(valid, true, JSON.stringify(errors));
  });

  await t.test('every operation was asked, answered as documented, in the documented shape', async () => {
    const ajv = new Ajv2020({ strict: false, allErrors: true });
    ajv.addSchema({ $id: 'document', components: document.components });
    const asked: string[] = [];
    for (const { operationId, responses } of operationsOf(document)) {
      asked.push(operationId);
      for (const { path, status, ...ask } of CASES[operationId] ?? []) {
        const reply = await client.ask(path, ask);
        assert.equal(reply.status, status, `${operationId} ${path}: ${reply.text.slice(0, 200)}`);
        const response = responses[status];
        assert(response !== undefined, `${operationId} documents its ${status}`);
        checkBody(ajv, `${operationId} ${path}`, reply, response.content);
      }
    }
    assert.deepEqual(asked.toSorted(), Object.keys(CASES).toSorted());
  });

  await t.test(
    'a path has the methods it documents and no others, and other paths are not there',
    async () => {
      for (const [path, operations] of Object.entries(document.paths)) {
        const real = path.replaceAll(/\{\w+\}/g, '1');
        for (const method of ['GET', 'POST', 'DELETE', 'PUT', 'PATCH']) {
          if (operations[method.toLowerCase()] !== undefined) continue;
          const reply = await client.ask(real, { method, headers: CHANGE });
          assert.equal(reply.status, 405, `${method} ${real}`);
          assert.equal((reply.json() as { code: string }).code, 'RENDER_REQUEST_INVALID');
          assert.notEqual(reply.headers['allow'], undefined);
        }
      }
      for (const path of [
        '/api',
        '/api/v1',
        '/api/v1/jobs/',
        '/api/v2/jobs',
        '/..%2fpackage.json',
        '/app.ts',
      ]) {
        const reply = await client.ask(path);
        assert.equal(reply.status, 404, path);
        assert.equal((reply.json() as { code: string }).code, 'RENDER_NOT_FOUND');
      }
    },
  );

  await t.test('HEAD has the headers of GET and no body', async () => {
    const whole = await client.ask('/api/v1/jobs/1');
    const head = await client.ask('/api/v1/jobs/1', { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(head.headers['content-length'], whole.headers['content-length']);
    assert.equal(head.bytes.length, 0);
    assert.equal((await client.ask('/api/v1/events', { method: 'HEAD' })).status, 200);
  });

  await t.test('the images of a job can be asked for by their state, page by page', async () => {
    farm.addJob({ id: 3, images: 2500 });
    for (const index of [7, 1200, 2499]) farm.render(3, index, 'missing');
    const indexesOf = async (query: string): Promise<number[]> => {
      const reply = await client.ask(`/api/v1/jobs/3?${query}`);
      return (reply.json() as { images: { index: number }[] }).images.map(({ index }) => index);
    };
    assert.deepEqual(await indexesOf('state=missing'), [7, 1200, 2499]);
    assert.deepEqual(await indexesOf('state=missing&offset=1&limit=1'), [1200]);
    assert.deepEqual(await indexesOf('state=running'), []);
  });
});

test('health and metrics are there for whoever monitors, by any name of the host', async (t) => {
  const farm = new ScriptedFarm();
  farm.addWorker({ serial: 1, imagesRendered: 12 });
  farm.addJob({ id: 1, state: 'paused' });
  let why: string | null = null;
  const web: FarmWeb = await serveFarmWeb(farm, {
    port: 0,
    notReady: () => why,
    metrics: async () => 'of_the_main_node 1\n',
    tokens: () => ['a secret'],
  });
  t.after(() => web.close());
  const client = new WebClient(web.port, { host: 'farm.example' });
  assert.equal((await client.ask('/healthz')).text, 'ok\n');
  assert.equal((await client.ask('/readyz')).status, 200);
  why = 'the journal is being read';
  const unready = await client.ask('/readyz');
  assert.equal(unready.status, 503);
  assert.match(unready.text, /the journal is being read/);
  const metrics = (await client.ask('/metrics')).text;
  assert.match(metrics, /^reactor_net_render_images_rendered_total 12$/m);
  assert.match(metrics, /^reactor_net_render_jobs\{state="paused"\} 1$/m);
  assert.match(metrics, /^of_the_main_node 1$/m);
  assert.equal((await client.ask('/healthz', { method: 'POST' })).status, 405);
});

function operationsOf(document: Document): readonly Operation[] {
  return Object.values(document.paths).flatMap((operations) => Object.values(operations));
}

function checkBody(
  ajv: Ajv2020,
  what: string,
  reply: Reply,
  content: Record<string, Content> | undefined,
): void {
  const type = String(reply.headers['content-type'] ?? '').split(';', 1)[0]!;
  if (content === undefined) {
    assert.equal(reply.bytes.length, 0, `${what} has no body`);
    return;
  }
  assert(content[type] !== undefined, `${what} documents ${type}`);
  const { schema } = content[type];
  if (schema === undefined) return;
  const rooted = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"document#/')) as object;
  assert.equal(ajv.validate(rooted, reply.json()), true, `${what}: ${ajv.errorsText()} in ${reply.text}`);
}
