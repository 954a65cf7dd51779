// Our server that answers every frame with one file: node reactor-file.js TRANSPORT PATH.
// reactor-file-handlers.ts is what runs on its one thread.

import { setEnvironmentData } from 'node:worker_threads';
import { TcpServer, type TransportName } from '../../reactor/index.js';
import { serveUntilSignalled } from './ready.js';
import { FILE_PATH } from './reactor-file-handlers.js';

const [transport, path] = process.argv.slice(2);
setEnvironmentData(FILE_PATH, path);
const server = new TcpServer({
  port: 0,
  host: '127.0.0.1',
  threads: 1,
  transport: transport as TransportName, // the server checks it
  handlers: new URL('./reactor-file-handlers.js', import.meta.url),
});
await server.listen();
serveUntilSignalled(server, 'tcp', server.address.port!);
