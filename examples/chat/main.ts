// A chat room on all cores: what one says reaches everybody, on whichever thread they are.
//   node dist/examples/chat/main.js
// PORT chooses the port (default 9002; 0 takes a free one), THREADS the threads. Ctrl-C drains and stops.

import { availableParallelism } from 'node:os';
import { formatAddress, TcpServer } from 'reactor-net/reactor';

const { PORT = '9002', THREADS = availableParallelism() } = process.env;

const server = new TcpServer({
  host: '127.0.0.1',
  port: Number(PORT),
  threads: Number(THREADS),
  codec: { kind: 'line', frameBytesMax: 1024 },
  // Who reads so slowly that this much waits for them is cut off: nobody else has to wait.
  hardCapBytes: 256 * 1024,
  overflow: 'close',
  firstByteTimeoutMs: 0, // listening in silence is fine
  handlers: new URL('./handlers.js', import.meta.url),
});
const address = await server.listen();

console.log(`chat listens on ${formatAddress(address)} with ${server.reactor.threads} threads`);
console.log(`Twice or more:  nc 127.0.0.1 ${address.port}  then your name, then what you want to say.`);

process.once('SIGINT', () => void server.close());
