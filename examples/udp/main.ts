// TLV datagrams over UDP, each echoed to whoever sent it. One thread serves the port.
//   node dist/examples/udp/main.js
// PORT chooses the port (default 9003; 0 takes a free one). Ctrl-C drains and stops.

import { formatAddress, UdpServer } from 'reactor-net/reactor';

const { PORT = '9003' } = process.env;

const server = new UdpServer({
  host: '127.0.0.1',
  port: Number(PORT),
  handlers: new URL('./handlers.js', import.meta.url),
});
const address = await server.listen();

console.log(`udp listens on ${formatAddress(address)}`);
console.log(`  PORT=${address.port} node dist/examples/udp/client.js hello world`);

process.once('SIGINT', () => void server.close());
