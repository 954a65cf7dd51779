// An unmodified Fastify app on all cores.
//   node dist/examples/fastify/main.js
// PORT chooses the port (default 8080; 0 takes a free one). Ctrl-C lets requests finish and stops.

import { formatAddress, HttpServer } from 'reactor-net/reactor';

const { PORT = '8080' } = process.env;

const server = new HttpServer({
  host: '127.0.0.1',
  port: Number(PORT),
  handlers: new URL('./handlers.js', import.meta.url),
});
const address = await server.listen();

console.log(`fastify listens on ${formatAddress(address)} with ${server.reactor.threads} threads`);
console.log(`  curl http://127.0.0.1:${address.port}/greet/Ann`);

process.once('SIGINT', () => void server.close());
