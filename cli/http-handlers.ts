// What `reactor-net serve` does with HTTP; runs once on every sub-reactor.
// GET / says hello, POST /echo returns its body as it comes in, and health is here for servers without --metrics.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { EventLoop } from '../reactor/index.js';

const HELLO = 'hello world';
const HELLO_HEADERS = { 'content-type': 'text/plain', 'content-length': String(HELLO.length) };
export const ECHO_BYTES_MAX: number = 64 * 1024 * 1024;

export default function createApp(
  _loop: EventLoop,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const { url, method } = request;
    if (url === '/' && (method === 'GET' || method === 'HEAD')) {
      response.writeHead(200, HELLO_HEADERS);
      response.end(HELLO);
    } else if (url === '/echo' && method === 'POST') {
      echo(request, response);
    } else if (url === '/healthz') {
      say(response, 200, 'ok\n');
    } else if (url === '/readyz') {
      // Whoever gets here was accepted: a server that drains does not accept any more.
      say(response, 200, 'ready\n');
    } else {
      say(response, 404, 'not found\n');
    }
  };
}

/** Returns the body while it arrives: memory stays at one chunk, and a slow reader slows the sender down. */
function echo(request: IncomingMessage, response: ServerResponse): void {
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > ECHO_BYTES_MAX) {
    response.setHeader('connection', 'close');
    say(response, 413, `at most ${ECHO_BYTES_MAX} bytes\n`);
    return;
  }
  const type = request.headers['content-type'] ?? 'application/octet-stream';
  response.writeHead(200, {
    'content-type': type,
    ...(announced > 0 ? { 'content-length': announced } : {}),
  });
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    // A chunked body may not have said its size; the answer has begun, so it can only be cut off.
    if (bytes > ECHO_BYTES_MAX) request.destroy();
  });
  request.on('error', () => response.destroy());
  request.pipe(response);
}

function say(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
