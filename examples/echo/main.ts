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
console.log('A frame is a message id and a length, both u32 little-endian, then the body:');
console.log(`  printf '\\1\\0\\0\\0\\5\\0\\0\\0hello' | nc -N 127.0.0.1 ${address.port} | xxd`);

process.once('SIGINT', () => void server.close());
