// The baseline our HTTP numbers are held against: `hello world` on plain `node:http`, keep-alive.
// node-cluster-http.ts runs it in several processes.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serveUntilSignalled } from './ready.js';

const server = createServer((request, response) => {
  if (request.method === 'GET' && request.url === '/') {
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': '11' });
    response.end('hello world');
    return;
  }
  response.writeHead(404, { 'content-length': '0' });
  response.end();
});

server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  serveUntilSignalled(server, 'http', (server.address() as AddressInfo).port);
});
