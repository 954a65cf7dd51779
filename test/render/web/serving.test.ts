// The page over TLS, and what it cannot begin with.

import assert from 'node:assert/strict';
import { request } from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';
import test from 'node:test';
import { ReactorError } from '../../../reactor/index.js';
import { RenderError } from '../../../render/errors.js';
import { serveFarmWeb } from '../../../render/web/serve-farm-web.js';
import { AUTHORITY, SERVER_CERT, SERVER_KEY } from '../../support/certificates.js';
import { ScriptedFarm } from './support/scripted-farm.js';

test('with a certificate it speaks TLS, and its cookie goes over TLS alone', async (t) => {
  const web = await serveFarmWeb(new ScriptedFarm(), {
    port: 0,
    tls: { cert: SERVER_CERT, key: SERVER_KEY },
    tokens: () => ['open sesame'],
  });
  t.after(() => web.close());
  const headers = await new Promise<IncomingHttpHeaders>((resolve, reject) => {
    const asked = request(
      {
        host: 'localhost',
        port: web.port,
        path: '/api/v1/session',
        method: 'POST',
        ca: AUTHORITY,
        agent: false,
        headers: { 'x-reactor-net': '1', 'content-type': 'application/json' },
      },
      (response) => {
        response.resume();
        resolve(response.headers);
      },
    );
    asked.on('error', reject);
    asked.end('{"token":"open sesame"}');
  });
  assert.match(headers['set-cookie']![0]!, /; HttpOnly; SameSite=Strict; Secure$/);
});

test('a port that is taken, a certificate that is none and an impossible option are told by code, and nothing stays open', async (t) => {
  const farm = new ScriptedFarm();
  const web = await serveFarmWeb(farm, { port: 0 });
  t.after(() => web.close());
  const { listeners } = farm;
  const isCode = (code: string) => (error: unknown) =>
    (error instanceof ReactorError || error instanceof RenderError) && error.code === code;
  await assert.rejects(serveFarmWeb(farm, { port: web.port }), isCode('REACTOR_PORT_IN_USE'));
  await assert.rejects(
    serveFarmWeb(farm, { port: 0, tls: { cert: 'none', key: 'none' } }),
    isCode('REACTOR_OPTION_INVALID'),
  );
  await assert.rejects(serveFarmWeb(farm, { port: 70_000 }), isCode('RENDER_OPTION_INVALID'));
  await assert.rejects(serveFarmWeb(farm, { port: 0, loadStepMs: 0.5 }), isCode('RENDER_OPTION_INVALID'));
  assert.equal(farm.listeners, listeners);
});
