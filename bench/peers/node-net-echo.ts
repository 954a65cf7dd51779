// The baseline our TCP numbers are held against: TLV echo on plain `node:net`, one thread.
// It does the same framing as our server and writes the complete frames of a chunk back at once.
// Frames are echoed unchanged, so they go back from where they were read. At most 40 lines, on purpose.

import { type AddressInfo, createServer } from 'node:net';
import { serveUntilSignalled } from './ready.js';

const HEADER_BYTES = 8;
const BODY_BYTES_MAX = 1024 * 1024;

const server = createServer({ noDelay: true }, (socket) => {
  let kept: Buffer | null = null;
  socket.on('data', (chunk) => {
    const bytes: Buffer = kept === null ? chunk : Buffer.concat([kept, chunk]);
    let end = 0;
    while (bytes.length - end >= HEADER_BYTES) {
      const bodyBytes = bytes.readUInt32LE(end + 4);
      if (bodyBytes > BODY_BYTES_MAX) {
        socket.destroy();
        return;
      }
      if (bytes.length - end < HEADER_BYTES + bodyBytes) break;
      end += HEADER_BYTES + bodyBytes;
    }
    kept = end === bytes.length ? null : bytes.subarray(end);
    if (end > 0 && !socket.write(bytes.subarray(0, end))) socket.pause();
  });
  socket.on('drain', () => socket.resume());
  socket.on('error', () => socket.destroy());
});

server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  serveUntilSignalled(server, 'tcp', (server.address() as AddressInfo).port);
});
