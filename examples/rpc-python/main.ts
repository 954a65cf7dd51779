// A service in Node, called from Python by a client that was written from docs/rpc-wire.md alone.
//   node dist/examples/rpc-python/main.js ada grace
// The server answers on a free port; the client gets it and the names, and both end.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { implement, loadProto, RpcError, RpcServer } from 'reactor-net/rpc';

const fileOf = (name: string): string =>
  fileURLToPath(new URL(`../../../examples/rpc-python/${name}`, import.meta.url));

const greeter = implement(loadProto(fileOf('greeter.proto')).service('demo.Greeter'), {
  greet: ({ name }: { name: string }) => {
    if (name === '') throw new RpcError('RPC_INVALID_ARGUMENT', 'a greeting needs a name');
    return { text: `hello ${name}` };
  },
});

const server = new RpcServer({ host: '127.0.0.1', port: 0, threads: 0, services: [greeter] });
const { port } = await server.listen();

const names = process.argv.slice(2);
const client = spawn('python3', ['-B', fileOf('client.py'), '127.0.0.1', String(port), ...names], {
  stdio: 'inherit',
});
const [code] = await once(client, 'exit');
process.exitCode = Number(code ?? 1);
await server.close();
