// An HTTP service behind a plain acceptor, fed as a sub-reactor would feed it; and a client that sees raw bytes.

import { once } from 'node:events';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { createHttpService, type HttpService, type HttpServiceOptions } from '../../reactor/http-service.js';

export interface HttpFront {
  readonly service: HttpService;
  readonly port: number;
}

/** Accepts on a free port until the test ends. */
export async function serveHttp(
  t: TestContext,
  application: unknown,
  options: HttpServiceOptions = {},
): Promise<HttpFront> {
  const service = await createHttpService(application, options);
  const front = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
    service.adopt(socket);
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  t.after(async () => {
    front.close();
    await service.close({ deadlineMs: 0 });
  });
  return { service, port: (front.address() as net.AddressInfo).port };
}

/** Writes `wire` on a new connection and gives all that comes back until the server ends it. */
export async function exchange(port: number, wire: string): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  socket.write(wire);
  return await received(socket);
}

export async function received(socket: net.Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}
