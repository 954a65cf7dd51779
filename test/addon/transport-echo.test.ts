// The native transport end to end: frames in one batch, answers after it, through real sockets.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';

import { EVENT_ACCEPTED, EVENT_END, EVENT_FRAME, requireAddon } from '../../addon/index.js';
import { openDescriptorCount } from './support/loopback.js';
import { TinyTransport } from './support/tiny-transport.js';

const addon = requireAddon();

function tlv(msgId: number, body: Uint8Array): Buffer {
  const frame = Buffer.alloc(8 + body.length);
  frame.writeUInt32LE(msgId, 0);
  frame.writeUInt32LE(body.length, 4);
  frame.set(body, 8);
  return frame;
}

/** Echoes frames until the client ends, then closes. */
function startEcho(): { tiny: TinyTransport; port: number } {
  const { fd, port } = addon.listenTcp({ host: '127.0.0.1', port: 0, backlog: 16 });
  const tiny = new TinyTransport({}, (event) => {
    if (event.type === EVENT_ACCEPTED) tiny.transport.resume(event.a);
    else if (event.type === EVENT_FRAME) tiny.send(event.slot, tlv(event.a, tiny.bytesOf(event)));
    else if (event.type === EVENT_END) tiny.transport.shutdown(event.slot);
  });
  tiny.transport.listen(fd, 0, tiny.transport.defineFraming({ frameBytesMax: 1024 * 1024 }));
  return { tiny, port };
}

test('frames cut anywhere come back whole and in order', async () => {
  const descriptors = openDescriptorCount();
  const { tiny, port } = startEcho();
  const wire = Buffer.concat(
    Array.from({ length: 500 }, (_, index) => tlv(index, Buffer.alloc((index * 37) % 1500, index))),
  );
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  const received: Buffer[] = [];
  socket.on('data', (chunk) => received.push(chunk));
  await once(socket, 'connect');
  for (let at = 0, step = 1; at < wire.length; at += step, step = ((step * 7) % 4093) + 1) {
    if (!socket.write(wire.subarray(at, at + step))) await once(socket, 'drain');
  }
  socket.end();
  await once(socket, 'close');
  assert(Buffer.concat(received).equals(wire));
  assert.equal(tiny.transport.stats().frames, 500);
  tiny.transport.close();
  assert.equal(openDescriptorCount(), descriptors);
});
