// A server and a client of it on real sockets, in this process; both are closed when the test ends.

import type { TestContext } from 'node:test';
import { RpcClient, type RpcClientOptions, RpcServer, type RpcServerOptions } from '../../../rpc/index.js';
import { echoService } from './echo.js';

export interface RpcPair {
  readonly server: RpcServer;
  readonly client: RpcClient;
  readonly target: string;
}

export async function startServer(
  t: TestContext,
  options: Partial<RpcServerOptions> = {},
): Promise<{ server: RpcServer; target: string }> {
  const server = new RpcServer({
    host: '127.0.0.1',
    port: 0,
    threads: 0,
    services: [echoService()],
    ...options,
  });
  const { port } = await server.listen();
  t.after(() => server.close({ graceMs: 0 }));
  return { server, target: `127.0.0.1:${port}` };
}

export function startClient(t: TestContext, options: RpcClientOptions): RpcClient {
  const client = new RpcClient(options);
  t.after(() => client.close(0));
  return client;
}

export async function startPair(
  t: TestContext,
  serverOptions: Partial<RpcServerOptions> = {},
  clientOptions: Partial<RpcClientOptions> = {},
): Promise<RpcPair> {
  const { server, target } = await startServer(t, serverOptions);
  return { server, target, client: startClient(t, { target, ...clientOptions }) };
}
