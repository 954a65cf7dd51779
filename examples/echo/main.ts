// TLV echo on all cores: every frame goes back to its sender, whatever its message id.
//   node dist/examples/echo/main.js
// PORT chooses the port (default 9000; 0 takes a free one). Ctrl-C drains and stops.

import { formatAddress, TcpServer } from 'reactor-net/reactor';

const { PORT = '9000' } = process.env;

const server = new TcpServer({
  host: '127.0.0.1',
  port: Number(PORT),
  handlers: new URL('./handlers.js', import.meta.url),
});
const address = await server.listen();

console.log(`echo listens on ${formatAddress(address)} with ${server.reactor.threads} threads`);
console.log(`  PORT=${address.port} node dist/examples/echo/client.js hello world`);

process.once('SIGINT', () => void server.close());
