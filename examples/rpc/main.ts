// A typed RPC server on all cores.
//   node dist/examples/rpc/main.js
// PORT chooses the port (default 9090; 0 takes a free one). Ctrl-C drains: no call is lost.

import { formatAddress } from 'reactor-net/reactor';
import { RpcServer } from 'reactor-net/rpc';

const { PORT = '9090' } = process.env;

const server = new RpcServer({
  host: '127.0.0.1',
  port: Number(PORT),
  services: new URL('./services.js', import.meta.url),
});
const address = await server.listen();

console.log(`greeter listens on ${formatAddress(address)} with ${server.reactor.threads} threads`);
console.log(`  PORT=${address.port} node dist/examples/rpc/client.js ada grace`);

process.once('SIGINT', () => void server.close());
