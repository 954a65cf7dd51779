// Our RPC server with the bench service on one sub-reactor. Argument: the transport.

import type { TransportName } from '../../reactor/index.js';
import { RpcServer } from '../../rpc/index.js';
import { serveUntilSignalled } from './ready.js';

const transport = (process.argv[2] ?? 'net') as TransportName; // the suite's own words
const services = new URL('./rpc-echo-services.js', import.meta.url);
const server = new RpcServer({
  host: '127.0.0.1',
  port: 0,
  threads: 1,
  transport,
  services,
  streamsMax: 20_000,
});
const { port } = await server.listen();
serveUntilSignalled({ close: () => void server.close({ graceMs: 0 }) }, 'tcp', port ?? 0);
