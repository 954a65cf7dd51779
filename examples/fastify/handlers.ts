// Runs once on every thread: builds the app there, and leaves listening to the reactor.

import Fastify, { type FastifyInstance } from 'fastify';
import type { EventLoop } from 'reactor-net/reactor';

export default function app(loop: EventLoop): FastifyInstance {
  const fastify = Fastify();
  fastify.get<{ Params: { name: string } }>('/greet/:name', (request) => ({
    hello: request.params.name,
    thread: loop.threadIndex,
  }));
  fastify.post('/echo', (request) => request.body);
  return fastify;
}
