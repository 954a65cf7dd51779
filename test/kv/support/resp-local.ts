// A RESP server on a backend without a log, as a program: for real clients, and for measuring the protocol by itself.
// Usage: node dist/test/kv/support/resp-local.js [port] [net|epoll]; it prints its port and ends with its standard input
// or by SIGTERM.

import type { TransportName } from '../../../reactor/index.js';
import { RespServer } from '../../../kv/resp/resp-server.js';
import { LocalBackend } from './local-backend.js';

const [port = '0', transport] = process.argv.slice(2);
const backend = new LocalBackend({ nowMs: Date.now() });
const server = new RespServer(backend, null, {
  host: '127.0.0.1',
  port: Number(port),
  ...(transport === undefined ? {} : { transport: transport as TransportName }),
});
await server.listen();
console.log(JSON.stringify({ event: 'ready', port: server.address.port, transport: server.transport }));
const timer = setInterval(() => backend.advance(Date.now() - backend.nowMs), 100);

let isClosing = false;
async function close(): Promise<void> {
  if (isClosing) return;
  isClosing = true;
  clearInterval(timer);
  await server.close(1000);
  backend.close();
  process.stdin.destroy();
}
process.once('SIGTERM', () => void close());
process.stdin.once('end', () => void close()).resume();
