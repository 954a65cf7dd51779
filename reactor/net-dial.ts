// Starts a client's node:net or node:tls socket on its way to a server.
// tcp-client.ts makes a NetConnection of it; epoll-dialer.ts is the counterpart on the native transport.

import net from 'node:net';
import tls from 'node:tls';

import type { DialTarget } from './epoll-dialer.js';
import { createReadInto, type ReadInto } from './net-connection.js';

/** What all plain connections of this thread's clients read into; made by the first. */
let readInto: ReadInto | null = null;

/** The socket reads into the thread's buffer. 'connect' says when it is there. */
export function dialPlain(target: DialTarget): net.Socket {
  readInto ??= createReadInto();
  return net.connect({ allowHalfOpen: true, noDelay: true, onread: readInto, ...target });
}

/** 'secureConnect' says when it is there. */
export function dialTls(target: DialTarget, options: tls.ConnectionOptions): tls.TLSSocket {
  const host = 'host' in target ? target.host : 'localhost';
  const servername = options.servername ?? (net.isIP(host) === 0 ? host : '');
  const half = { allowHalfOpen: true }; // documented by Node, not in its typings
  return tls.connect({ ...options, ...target, ...half, servername }).setNoDelay(true);
}
