// A process of its own: every second event of a batch throws, and two leave rejected promises.
// Prints { handled, uncaught, unhandled } once 20 events were seen.
import net from 'node:net';

import { EVENT_ACCEPTED, EVENT_FRAME, requireAddon } from '../../../addon/index.js';
import { TinyTransport } from './tiny-transport.js';

const EVENTS = 20;

const addon = requireAddon();
let handled = 0;
let uncaught = 0;
let unhandled = 0;
process.on('uncaughtException', (error) => {
  if (error.message === 'thrown by a handler') uncaught++;
});
process.on('unhandledRejection', () => {
  unhandled++;
});

const { fd, port } = addon.listenTcp({ host: '127.0.0.1', port: 0, backlog: 1 });
const tiny = new TinyTransport({}, (event) => {
  if (event.type === EVENT_ACCEPTED) tiny.transport.resume(event.a);
  if (event.type !== EVENT_FRAME) return;
  handled++;
  if (handled <= 2) void Promise.reject(new Error('nobody catches this'));
  if (handled === EVENTS) setImmediate(finish);
  if (handled % 2 === 0) throw new Error('thrown by a handler');
});
tiny.transport.listen(fd, 0, tiny.transport.defineFraming({ frameBytesMax: 10 }));
const client = net.connect(port, '127.0.0.1', () => client.write(Buffer.alloc(8 * EVENTS)));

function finish(): void {
  process.stdout.write(`${JSON.stringify({ handled, uncaught, unhandled })}\n`);
  tiny.transport.close();
  client.destroy();
}
