// A thread that floods a server with small frames, so that the server's thread finds its buffers always full.

import net from 'node:net';
import tls from 'node:tls';
import { workerData } from 'node:worker_threads';
import { tlvFrame } from './tlv.js';

export interface FloodOrder {
  readonly port: number;
  readonly msgId: number;
  readonly bodyBytes: number;
  readonly frames: number;
  /** Over TLS, trusting this authority. */
  readonly authority: string | undefined;
}

const { port, msgId, bodyBytes, frames, authority } = workerData as FloodOrder;
const frame = tlvFrame(msgId, Buffer.alloc(bodyBytes));
const where = { port, host: '127.0.0.1' };
const socket = authority === undefined ? net.connect(where) : tls.connect({ ...where, ca: authority });
socket.end(Buffer.concat(Array.from({ length: frames }, () => frame)));
socket.resume();
