// A welcome at connect and a greeting for every name: messages are a u16 big-endian length, then text.
//   node dist/examples/greeting/main.js
// PORT chooses the port (default 9001; 0 takes a free one). Ctrl-C drains and stops.

import { formatAddress, TcpServer } from 'reactor-net/reactor';

const { PORT = '9001' } = process.env;

const server = new TcpServer({
  host: '127.0.0.1',
  port: Number(PORT),
  codec: { kind: 'length-field', lengthBytes: 2, byteOrder: 'big', frameBytesMax: 1024 },
  handlers: new URL('./handlers.js', import.meta.url),
});
const address = await server.listen();

console.log(`greeting listens on ${formatAddress(address)}`);
console.log(`  printf '\\0\\3Ann\\0\\3Bob' | nc -N 127.0.0.1 ${address.port} | xxd`);

process.once('SIGINT', () => void server.close());
