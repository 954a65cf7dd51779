// What `reactor-net serve --transport epoll` does with HTTP: the same as http-handlers.ts, with the small handler API.
// serve-app.ts names it as handler module, unless --http-handlers names another.

import type { EventLoop, Http1Handlers, Http1Request, Http1Respond } from '../reactor/index.js';

const TEXT = { 'content-type': 'text/plain' };
/** Bodies up to this are looked at whole before the answer begins; longer ones are answered while they arrive. */
const WHOLE_BYTES_MAX = 64 * 1024;

export default function createHandlers(_loop: EventLoop): Http1Handlers {
  return {
    request(request, respond) {
      const { method, path } = request;
      if (path === '/' && (method === 'GET' || method === 'HEAD')) return respond(200, TEXT, 'hello world');
      if (path === '/echo' && method === 'POST') return echo(request, respond);
      if (path === '/healthz') return respond(200, TEXT, 'ok\n');
      // Whoever gets here was accepted: a server that drains does not accept any more.
      if (path === '/readyz') return respond(200, TEXT, 'ready\n');
      return respond(404, TEXT, 'not found\n');
    },
  };
}

/** Returns the body: a short one whole, a long one while it arrives, so that memory stays bounded. */
async function echo(request: Http1Request, respond: Http1Respond): Promise<void> {
  const announced = request.headers.get('content-length');
  const type = { 'content-type': request.headers.get('content-type') ?? 'application/octet-stream' };
  const pieces: Buffer[] = [];
  let bytes = 0;
  let writer = null;
  for await (const piece of request) {
    if (writer === null) {
      pieces.push(piece);
      bytes += piece.length;
      if (bytes <= WHOLE_BYTES_MAX) continue;
      writer = respond.stream(200, { ...type, 'content-length': announced });
      for (const waiting of pieces.splice(0)) writer.write(waiting);
    } else if (writer.write(piece) === 'full') {
      await writer.drained();
    }
  }
  if (writer === null) respond(200, type, Buffer.concat(pieces));
  else writer.end();
}
