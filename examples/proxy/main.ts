// A TCP proxy that keeps little: who reads slowly makes the sender wait, both ways, and a side that has said
// all it has to say can still listen.
//   node dist/examples/proxy/main.js
// PORT chooses the port (default 9004; 0 takes a free one), UPSTREAM_HOST and UPSTREAM_PORT where it leads
// (default 127.0.0.1:9000, the echo example). Ctrl-C drains and stops.

import { formatAddress, TcpServer } from 'reactor-net/reactor';
import { RELAY, UPSTREAM } from './relay.js';

const { PORT = '9004' } = process.env;

const server = new TcpServer({
  host: '127.0.0.1',
  port: Number(PORT),
  ...RELAY,
  firstByteTimeoutMs: 0, // in some protocols the server speaks first
  handlers: new URL('./handlers.js', import.meta.url),
});
const address = await server.listen();

console.log(`proxy listens on ${formatAddress(address)} and leads to ${formatAddress(UPSTREAM)}`);

process.once('SIGINT', () => void server.close());
