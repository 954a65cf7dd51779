// An HTTP server of the small handler API on the calling thread, its handlers in the test's hands; and its clients.

import type { TestContext } from 'node:test';
import {
  type Http1Handlers,
  type Http1RequestHandler,
  HttpServer,
  type HttpServerOptions,
  type ReactorError,
  type TransportName,
} from '../../reactor/index.js';
import { RawClient } from './raw-client.js';

export interface Http1Front {
  readonly server: HttpServer;
  readonly port: number;
  readonly url: string;
  /** What onError was told. */
  readonly errors: ReactorError[];
}

/** Listens on a free port until the test ends. */
export async function serveHttp1(
  t: TestContext,
  transport: TransportName,
  request: Http1RequestHandler,
  options: Partial<HttpServerOptions> & Pick<Http1Handlers, 'onClose'> = {},
): Promise<Http1Front> {
  const errors: ReactorError[] = [];
  const { onClose, ...serverOptions } = options;
  const handlers: Http1Handlers = {
    request,
    onError: (error) => errors.push(error),
    ...(onClose === undefined ? {} : { onClose }),
  };
  const server = new HttpServer({
    transport,
    threads: 0,
    host: '127.0.0.1',
    ...serverOptions,
    handlers: () => handlers,
  });
  t.after(() => server.close({ drainTimeoutMs: 0 }));
  const { port } = await server.listen();
  return { server, port: port!, url: `http://127.0.0.1:${port}`, errors };
}

/** Sends `wire` on a new connection and gives everything up to the server's end. */
export async function rawExchange(t: TestContext, port: number, wire: string | Buffer): Promise<string> {
  const client = await RawClient.connect(t, port);
  client.write(wire);
  const answer = (await client.receiveUntilEnd()).toString('latin1');
  client.end();
  return answer;
}

/** A GET, the last one of its connection. */
export const LAST_GET = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';

/** A GET of `target` that keeps the connection. */
export function keptGet(target: string = '/'): string {
  return `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`;
}

/** Bodies of answers that came one after the other, by their content-length. */
export function bodiesOf(answers: string): string[] {
  const bodies: string[] = [];
  let rest = answers;
  while (rest.length > 0) {
    const headEnd = rest.indexOf('\r\n\r\n');
    const length = Number(/content-length: (\d+)/i.exec(rest.slice(0, headEnd))?.[1]);
    bodies.push(rest.slice(headEnd + 4, headEnd + 4 + length));
    rest = rest.slice(headEnd + 4 + length);
  }
  return bodies;
}
