// Reads a PROXY header off a socket that something else will read after us: node:tls or node:http.
// Plain framed connections do it themselves, in net-connection.ts, without a stream in between.

import type net from 'node:net';

import { ReactorError } from './errors.js';
import type { EventLoop } from './event-loop.js';
import { type ProxyHeader, ProxyHeaderParser } from './proxy-protocol.js';

/**
 * Consumes the header and nothing more: what follows it is put back. The socket is paused before and after.
 * @throws ReactorError REACTOR_PROXY_HEADER_INVALID, REACTOR_TIMEOUT, REACTOR_CONNECTION_CLOSED; the socket
 *   is destroyed then.
 */
export function readProxyHeader(
  loop: EventLoop,
  socket: net.Socket,
  timeoutMs: number,
): Promise<ProxyHeader> {
  const parser = new ProxyHeaderParser();
  return new Promise((resolve, reject) => {
    const deadline = loop.runAfter(timeoutMs, () => {
      fail(new ReactorError('REACTOR_TIMEOUT', 'no whole PROXY header within the handshake timeout'));
    });
    const settle = (): void => {
      loop.cancel(deadline);
      socket.off('readable', onReadable).off('end', onGone).off('error', onGone).off('close', onGone);
    };
    const fail = (error: unknown): void => {
      settle();
      socket.on('error', () => {}); // it is being destroyed: what it still has to say changes nothing
      socket.destroy();
      reject(error);
    };
    const onGone = (): void => {
      fail(new ReactorError('REACTOR_CONNECTION_CLOSED', 'the peer left before its PROXY header was whole'));
    };
    const onReadable = (): void => {
      try {
        for (let chunk = read(socket); chunk !== null; chunk = read(socket)) {
          const headerBytes = parser.feed(chunk);
          if (parser.header === null) continue;
          settle();
          if (headerBytes < chunk.length) socket.unshift(chunk.subarray(headerBytes));
          resolve(parser.header);
          return;
        }
      } catch (error) {
        fail(error);
      }
    };
    socket.on('readable', onReadable).on('end', onGone).on('error', onGone).on('close', onGone);
  });
}

function read(socket: net.Socket): Buffer | null {
  return socket.read() as Buffer | null; // no encoding is set, so chunks are buffers
}
