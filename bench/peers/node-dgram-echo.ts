// The baseline our UDP numbers are held against: TLV echo on plain `node:dgram`, one thread.
// Frames are echoed unchanged, so they go back from where they were read. At most 40 lines, on purpose.

import dgram from 'node:dgram';
import { serveUntilSignalled } from './ready.js';

const HEADER_BYTES = 8;

const socket = dgram.createSocket('udp4');
socket.on('message', (datagram, from) => {
  if (datagram.length < HEADER_BYTES) return;
  if (datagram.readUInt32LE(4) !== datagram.length - HEADER_BYTES) return;
  socket.send(datagram, from.port, from.address);
});
socket.on('error', () => {}); // a client that is gone

socket.bind(0, '127.0.0.1', () => serveUntilSignalled(socket, 'udp', socket.address().port));
