// A worker whose transport is always busy: it echoes to itself over connections of its own, until it is terminated.
// It says 'ready' once frames have gone round.
//   storm: handlers return at once     spin: a handler never returns     throw: handlers throw
//   backlog: output waits in C++, large frames are half received
import { parentPort, workerData } from 'node:worker_threads';

import { EVENT_ACCEPTED, EVENT_CONNECTED, EVENT_FRAME, requireAddon } from '../../../addon/index.js';
import { TinyTransport, type TransportEvent } from './tiny-transport.js';

export type BusyTransportMode = 'storm' | 'spin' | 'throw' | 'backlog';

const CONNECTIONS = 4;
const READY_AFTER_FRAMES = 100;

const addon = requireAddon();
const { mode } = workerData as { mode: BusyTransportMode };
let frames = 0;

function onEvent({ type, slot, a }: TransportEvent): void {
  if (type === EVENT_ACCEPTED) tiny.transport.resume(a);
  else if (type === EVENT_CONNECTED) greet(slot);
  if (type !== EVENT_FRAME) return;
  tiny.send(slot, Buffer.alloc(8));
  frames++;
  if (frames === READY_AFTER_FRAMES) parentPort?.postMessage('ready');
  if (frames < READY_AFTER_FRAMES) return;
  if (mode === 'spin') for (;;);
  if (mode === 'throw') throw new Error('thrown while being terminated');
}

function greet(slot: number): void {
  tiny.transport.resume(slot);
  tiny.send(slot, Buffer.alloc(8));
  if (mode !== 'backlog') return;
  const { fd, port } = addon.listenTcp({ host: '127.0.0.1', port: 0, backlog: 1 });
  tiny.transport.listen(fd, 0, 0);
  const full = tiny.transport.connectTcp('127.0.0.1', port, 0); // accepted and never read
  tiny.transport.send(full, Buffer.alloc(8 * 1024 * 1024));
}

if (mode === 'throw') process.on('uncaughtException', () => {});
const tiny = new TinyTransport({}, onEvent);
const framing = tiny.transport.defineFraming({ frameBytesMax: 1024 * 1024 });
const { fd, port } = addon.listenTcp({ host: '127.0.0.1', port: 0, backlog: 16 });
tiny.transport.listen(fd, 0, framing);
for (let i = 0; i < CONNECTIONS; i++) tiny.transport.connectTcp('127.0.0.1', port, framing);
