// A welcome at connect and a greeting for every name: messages are a u16 big-endian length, then text.
//   node dist/examples/greeting/main.js
// PORT chooses the port (default 9001; 0 takes a free one). Ctrl-C drains and stops.

import { formatAddress, TcpServer } from 'reactor-net/reactor';
import { FRAMING } from './framing.js';

const { PORT = '9001' } = process.env;

const server = new TcpServer({
  host: '127.0.0.1',
  port: Number(PORT),
  codec: FRAMING,
  handlers: new URL('./handlers.js', import.meta.url),
});
const address = await server.listen();

console.log(`greeting listens on ${formatAddress(address)}`);
console.log(`  PORT=${address.port} node dist/examples/greeting/client.js Ann Bob`);

process.once('SIGINT', () => void server.close());
