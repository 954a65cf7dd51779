// Our side of gRPC on real sockets: a GrpcServer or a GrpcCaller that is closed when the test ends.

import type { TestContext } from 'node:test';
import {
  GrpcCaller,
  type GrpcCallerOptions,
  GrpcServer,
  type GrpcServerOptions,
} from '../../../rpc/grpc/index.js';
import { echoService } from './echo.js';

export async function startGrpcServer(
  t: TestContext,
  options: Partial<GrpcServerOptions> = {},
): Promise<{ server: GrpcServer; target: string }> {
  const server = new GrpcServer({ host: '127.0.0.1', services: [echoService()], ...options });
  const { port, path } = await server.listen();
  t.after(() => server.close({ graceMs: 0 }));
  return { server, target: path === undefined ? `127.0.0.1:${port}` : `unix:${path}` };
}

export function startGrpcCaller(t: TestContext, options: GrpcCallerOptions): GrpcCaller {
  const caller = new GrpcCaller(options);
  t.after(() => caller.close(0));
  return caller;
}
