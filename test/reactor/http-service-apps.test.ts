import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { createRequire } from 'node:module';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import Fastify from 'fastify';
import { exchange, serveHttp } from '../support/http-front.js';
import { until } from '../support/until.js';

// Neither package brings types; these are the few members the tests use.
interface ExpressApp {
  get(
    path: string,
    handler: (request: { params: { name: string } }, response: { send(body: string): void }) => void,
  ): void;
}
interface WebSocketLike {
  on(event: 'message', listener: (data: Buffer) => void): this;
  once(event: string, listener: (...values: unknown[]) => void): this;
  send(data: Buffer | string): void;
  close(): void;
}
interface WebSocketServerLike {
  handleUpgrade(
    request: http.IncomingMessage,
    socket: Duplex,
    head: Buffer,
    done: (peer: WebSocketLike) => void,
  ): void;
}
const load = createRequire(import.meta.url);
const express = load('express') as () => ExpressApp;
const { WebSocket, WebSocketServer } = load('ws') as {
  WebSocket: new (url: string) => WebSocketLike;
  WebSocketServer: new (options: { noServer: true }) => WebSocketServerLike;
};

const LAST = 'GET /greet/ann HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';

test('an unmodified Express 5 app is served', async (t) => {
  const app = express();
  app.get('/greet/:name', (request, response) => response.send(`hello ${request.params.name}`));
  const { port } = await serveHttp(t, app);
  assert.match(await exchange(port, LAST), /200 OK[^]*X-Powered-By: Express[^]*hello ann$/);
});

test('an unmodified Fastify 5 instance is made ready and served', async (t) => {
  const { port } = await serveHttp(t, greetingFastify());
  assert.match(await exchange(port, LAST), /200 OK[^]*application\/json[^]*\{"hello":"ann"\}$/);
});

test('Fastify runs its onClose hooks only when no request is left', async (t) => {
  const fastify = Fastify();
  const order: string[] = [];
  const replies: { send(text: string): unknown }[] = [];
  fastify.get('/greet/:name', (_, reply) => void replies.push(reply));
  fastify.addHook('onClose', () => void order.push('onClose'));
  const { service, port } = await serveHttp(t, fastify);
  const answer = exchange(port, LAST.replace('Connection: close\r\n', ''));
  await until(() => replies.length === 1);
  const closed = service.close({ deadlineMs: 60_000 });
  await new Promise((resolve) => setImmediate(resolve));
  order.push('answered');
  replies[0]?.send('late');
  assert.match(await answer, /200 OK[^]*late$/);
  assert.equal(await closed, 0);
  assert.deepEqual(order, ['answered', 'onClose']);
});

test('an http.Server of the application keeps its own listeners and settings', async (t) => {
  const server = http.createServer({ maxHeaderSize: 1024 }, (_, response) => response.end('own'));
  const { port } = await serveHttp(t, server);
  assert.match(await exchange(port, LAST), /own$/);
  assert.match(
    await exchange(port, LAST.replace('Host', `X: ${'x'.repeat(2000)}\r\nHost`)),
    /^HTTP\/1\.1 431 /,
  );
});

test('WebSocket echo works through onUpgrade', async (t) => {
  const { port } = await serveHttp(t, echoingWebSockets());
  const client = new WebSocket(`ws://127.0.0.1:${port}/`);
  await new Promise((resolve) => client.once('open', resolve));
  const echoed = new Promise<string>((resolve) => client.on('message', (data) => resolve(String(data))));
  client.send('over the upgraded socket');
  assert.equal(await echoed, 'over the upgraded socket');
  const closed = new Promise((resolve) => client.once('close', resolve));
  client.close();
  await closed;
});

test('a replaced application answers the next request on a connection that stays open', async (t) => {
  const pending: http.ServerResponse[] = [];
  const old = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    if (request.url === '/slow') pending.push(response);
    else response.end('old');
  };
  const { service, port } = await serveHttp(t, old, { keepAliveTimeoutMs: 0 });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  assert.equal(await get(port, '/', agent), 'old');
  const slow = get(port, '/slow', new http.Agent({ keepAlive: false }));
  await until(() => pending.length === 1);
  for (const text of ['new', 'newer']) {
    await service.replaceApplication((_: unknown, response: http.ServerResponse) => response.end(text));
    assert.equal(await get(port, '/', agent), text);
  }
  pending[0]?.end('answered by the old code');
  assert.equal(await slow, 'answered by the old code');
  assert.equal(service.stats.connectionsAdopted, 2, 'no connection was cut by a replacement');
});

test('a replaced Fastify instance is closed once its own last answer is out, its connection stays', async (t) => {
  const fastify = greetingFastify();
  const closed = new Promise<void>((resolve) => {
    fastify.addHook('onClose', async () => resolve());
  });
  const { service, port } = await serveHttp(t, fastify, { keepAliveTimeoutMs: 0 });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  assert.equal(await get(port, '/greet/ann', agent), '{"hello":"ann"}');
  await service.replaceApplication(echoingWebSockets());
  await closed;
  assert.equal(await get(port, '/greet/ann', agent), 'plain');
  const client = new WebSocket(`ws://127.0.0.1:${port}/`);
  await new Promise((resolve) => client.once('open', resolve));
  client.close();
  assert.equal(service.stats.connectionsAdopted, 2);
});

test('an application that cannot be loaded leaves the old one in place', async (t) => {
  const { service, port } = await serveHttp(t, (_: unknown, response: http.ServerResponse) =>
    response.end('old'),
  );
  await assert.rejects(service.replaceApplication(42), { code: 'REACTOR_HANDLERS_INVALID' });
  assert.match(await exchange(port, LAST), /old$/);
});

function greetingFastify(): ReturnType<typeof Fastify> {
  const fastify = Fastify();
  fastify.get('/greet/:name', (request, reply) => {
    reply.send({ hello: (request.params as { name: string }).name });
  });
  return fastify;
}

function echoingWebSockets(): object {
  const sockets = new WebSocketServer({ noServer: true });
  return {
    onRequest: (_: unknown, response: http.ServerResponse) => response.end('plain'),
    onUpgrade(request: http.IncomingMessage, socket: Duplex, head: Buffer) {
      sockets.handleUpgrade(request, socket, head, (peer) => peer.on('message', (data) => peer.send(data)));
    },
  };
}

async function get(port: number, path: string, agent: http.Agent): Promise<string> {
  const [response] = (await once(http.get({ port, path, agent }), 'response')) as [http.IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return text;
}
