// The same `hello world` under `node:cluster`: argv[2] processes, each with the server of node-http-hello.
// Round robin is cluster's own default on Linux. One ready line, once every process listens.

import cluster from 'node:cluster';
import { serveUntilSignalled } from './ready.js';

const processes = Number(process.argv[2] ?? 2);
cluster.setupPrimary({ exec: new URL('./node-http-hello.js', import.meta.url).pathname, silent: true });

let listening = 0;
for (let index = 0; index < processes; index += 1) {
  cluster.fork().once('listening', (address) => {
    listening += 1;
    if (listening === processes) serveUntilSignalled({ close: stopWorkers }, 'http', address.port);
  });
}

function stopWorkers(): void {
  for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGTERM');
}
