// Who may come in, and what a foreign page cannot make a browser do.

import assert from 'node:assert/strict';
import test from 'node:test';
import { FailedLogins } from '../../../render/web/failed-logins.js';
import { serveFarmWeb } from '../../../render/web/serve-farm-web.js';
import { ScriptedFarm } from './support/scripted-farm.js';
import { WebClient } from './support/web-client.js';

const TOKEN = 'only-friends-know-this';
const PAUSE = { action: 'pause', ids: [1] };

test('without a token nothing of the farm can be seen or done, and the page itself is there', async (t) => {
  const { client, farm } = await served(t, [TOKEN]);
  for (const path of ['/api/v1/farm', '/api/v1/jobs', '/api/v1/jobs/1/images/0.png', '/api/v1/events']) {
    const reply = await client.ask(path);
    assert.equal(reply.status, 401, path);
    assert.equal((reply.json() as { code: string }).code, 'RENDER_UNAUTHORIZED');
    assert.equal(reply.headers['www-authenticate'], 'Bearer');
  }
  assert.equal((await client.post('/api/v1/jobs/actions', PAUSE)).status, 401);
  assert.equal((await client.ask('/')).status, 200);
  assert.deepEqual(farm.asked, []);
});

test('a bearer token is enough for scripts, a wrong one is not, and both name no secret', async (t) => {
  const { client, farm } = await served(t, ['another', TOKEN]);
  const authorization = `Bearer ${TOKEN}`;
  assert.equal((await client.ask('/api/v1/farm', { headers: { authorization } })).status, 200);
  const changed = await client.ask('/api/v1/jobs/actions', {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify(PAUSE),
  });
  assert.equal(changed.status, 200);
  assert.deepEqual(farm.asked, ['pause 1']);
  const wrong = await client.ask('/api/v1/farm', { headers: { authorization: 'Bearer guess' } });
  assert.equal(wrong.status, 401);
  assert(!wrong.text.includes('guess'));
});

test('logging in keeps the token in a cookie that no script can read, logging out drops it', async (t) => {
  const { client } = await served(t, [TOKEN]);
  assert.equal((await client.post('/api/v1/session', { token: 'guess' })).status, 401);
  const reply = await client.post('/api/v1/session', { token: TOKEN });
  assert.equal(reply.status, 204);
  const [cookie] = reply.headers['set-cookie'] as string[];
  assert.match(cookie!, /; HttpOnly; SameSite=Strict$/);
  const [pair] = cookie!.split(';');
  assert.equal((await client.ask('/api/v1/farm', { headers: { cookie: `other=1; ${pair}` } })).status, 200);
  assert.equal((await client.ask('/api/v1/farm', { headers: { cookie: `${pair}x` } })).status, 401);
  const gone = await client.ask('/api/v1/session', { method: 'DELETE', headers: { 'x-reactor-net': '1' } });
  assert.match((gone.headers['set-cookie'] as string[])[0]!, /^[\w]+=; Path=\/; Max-Age=0;/);
});

test('a token that is taken from the list is refused at once, also in a cookie', async (t) => {
  const tokens = [TOKEN, 'second'];
  const { client } = await served(t, tokens);
  const headers = { authorization: `Bearer ${TOKEN}` };
  assert.equal((await client.ask('/api/v1/farm', { headers })).status, 200);
  tokens.shift();
  assert.equal((await client.ask('/api/v1/farm', { headers })).status, 401);
});

test('whoever guesses tokens has to wait, also with the right one, and others do not', async (t) => {
  const { client } = await served(t, [TOKEN]);
  const guess = { authorization: 'Bearer guess' };
  const seen = new Set<number>();
  for (let count = 0; count < 21; count += 1)
    seen.add((await client.ask('/api/v1/farm', { headers: guess })).status);
  assert.deepEqual([...seen], [401, 429]);
  const right = await client.ask('/api/v1/farm', { headers: { authorization: `Bearer ${TOKEN}` } });
  assert.equal(right.status, 429);
  assert(Number(right.headers['retry-after']) > 0);
  const others = new FailedLogins();
  for (let count = 0; count < 50; count += 1) others.note('10.0.0.1', 0);
  assert.equal(others.waitMs('10.0.0.2', 1), 0);
  assert(others.waitMs('10.0.0.1', 1) > 0);
  assert.equal(others.waitMs('10.0.0.1', 60_000), 0);
});

for (const tokens of [[], [TOKEN]]) {
  const who = tokens.length === 0 ? 'without tokens' : 'with the cookie of somebody who is logged in';
  test(`a foreign page cannot change anything, ${who}`, async (t) => {
    const { client, farm, port } = await served(t, tokens);
    const cookie = `reactor_net_render_${port}=${TOKEN}`;
    const body = JSON.stringify(PAUSE);
    const own = { cookie, 'content-type': 'application/json', 'x-reactor-net': '1' };
    const forged: Record<string, string>[] = [
      { cookie, 'content-type': 'application/json' },
      { cookie, 'content-type': 'text/plain' },
      { ...own, origin: 'https://evil.example' },
      { ...own, origin: 'null' },
      { ...own, 'sec-fetch-site': 'cross-site' },
      { ...own, 'sec-fetch-site': 'same-site' },
      { ...own, origin: `http://127.0.0.1:${port + 1}` },
    ];
    for (const headers of forged) {
      const reply = await client.ask('/api/v1/jobs/actions', { method: 'POST', headers, body });
      assert.equal(reply.status, 403, JSON.stringify(headers));
    }
    assert.deepEqual(farm.asked, []);
    const headers = { ...own, origin: `http://127.0.0.1:${port}`, 'sec-fetch-site': 'same-origin' };
    assert.equal((await client.ask('/api/v1/jobs/actions', { method: 'POST', headers, body })).status, 200);
    assert.deepEqual(farm.asked, ['pause 1']);
  });
}

test('without tokens a foreign name that points here gets nothing, a name that was told does', async (t) => {
  const farm = new ScriptedFarm();
  const web = await serveFarmWeb(farm, { port: 0, hosts: ['Farm.Example'] });
  t.after(() => web.close());
  const client = new WebClient(web.port);
  const statusFor = async (host: string): Promise<number> =>
    (await client.ask('/api/v1/jobs', { headers: { host } })).status;
  for (const host of ['evil.example', `evil.example:${web.port}`, 'localhost.evil.example', 'a@b', '[::1'])
    assert.equal(await statusFor(host), 403, host);
  for (const host of ['farm.example', 'localhost:80', '127.0.0.1', '[::1]:7680', 'my.localhost'])
    assert.equal(await statusFor(host), 200, host);
});

test('every answer forbids what a page does not need, and no script may stand in the page itself', async (t) => {
  const { client } = await served(t, []);
  for (const path of ['/', '/api/v1/farm', '/nothing', '/api/v1/jobs/1/images/9.png']) {
    const { headers } = await client.ask(path);
    assert.match(
      String(headers['content-security-policy']),
      /default-src 'none'; script-src 'self'; style-src 'self'/,
    );
    assert(!String(headers['content-security-policy']).includes('unsafe'));
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['access-control-allow-origin'], undefined);
  }
  const page = (await client.ask('/')).text;
  assert(!/<script(?![^>]* src=)/.test(page), 'no inline script');
  assert(
    !/ on[a-z]+=|style=|javascript:|https?:\/\//.test(page),
    'no inline handler, no inline style, nothing of others',
  );
});

async function served(
  t: { after(release: () => Promise<void>): void },
  tokens: readonly string[],
): Promise<{ client: WebClient; farm: ScriptedFarm; port: number }> {
  const farm = new ScriptedFarm();
  farm.addJob({ id: 1 });
  const web = await serveFarmWeb(farm, { port: 0, tokens: () => tokens });
  t.after(() => web.close());
  return { client: new WebClient(web.port), farm, port: web.port };
}
