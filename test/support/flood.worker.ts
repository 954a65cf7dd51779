// A thread that floods a server with small frames, so that the server's thread finds its buffers always full.

import net from 'node:net';
import { workerData } from 'node:worker_threads';
import { tlvFrame } from './tlv.js';

export interface FloodOrder {
  readonly port: number;
  readonly msgId: number;
  readonly bodyBytes: number;
  readonly frames: number;
}

const { port, msgId, bodyBytes, frames } = workerData as FloodOrder;
const frame = tlvFrame(msgId, Buffer.alloc(bodyBytes));
const socket = net.connect(port, '127.0.0.1');
socket.end(Buffer.concat(Array.from({ length: frames }, () => frame)));
socket.resume();
