// `POST /echo` with JSON on plain node:http: what many write instead of RPC.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serveUntilSignalled } from './ready.js';

const server = createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
  request.on('end', () => {
    const { text, delayMs = 0 } = JSON.parse(body) as { text: string; delayMs?: number };
    const answer = (): void => {
      const json = JSON.stringify({ text });
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(json),
      });
      response.end(json);
    };
    if (delayMs === 0) answer();
    else setTimeout(answer, delayMs);
  });
});
server.listen(0, '127.0.0.1', () => {
  serveUntilSignalled(server, 'http', (server.address() as AddressInfo).port);
});
