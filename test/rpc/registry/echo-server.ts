// A server process of the tests: serves demo.Echo, answers with its name, and registers.
// Usage: echo-server.js NAME REGISTRIES. Prints the ready line of every command; SIGTERM drains.

import { connectRegistry, RpcServer } from '../../../rpc/index.js';
import { echoService } from '../support/echo.js';

const [name = '', registries = ''] = process.argv.slice(2);
const server = new RpcServer({
  host: '127.0.0.1',
  port: 0,
  threads: 0,
  services: [echoService({ say: () => ({ text: name }) })],
});
const { port: bound = 0 } = await server.listen();
const client = connectRegistry(registries, { retryCapMs: 500 });
const registration = client.register({
  host: '127.0.0.1',
  port: bound,
  services: [{ service: 'demo.Echo', tags: { name } }],
  onState: (state, reason) => process.stderr.write(`${state} ${reason?.message ?? ''}\n`),
});
server.beforeDrain(registration.leave);
process.once('SIGTERM', () => {
  void server
    .close({ propagateMs: 100, graceMs: 2000 })
    .then(() => client.close())
    .then(() => process.exit(0));
});
process.stdout.write(
  `${JSON.stringify({ event: 'ready', pid: process.pid, listen: { rpc: `127.0.0.1:${bound}` } })}\n`,
);
