// A process of its own, started with few descriptors: its listener runs out of them, pauses, and goes on when resumed.
// Prints { errno, acceptedBefore, acceptedAfter }.
import { closeSync, openSync } from 'node:fs';

import { EVENT_ACCEPT_FAILED, EVENT_ACCEPTED, requireAddon } from '../../../addon/index.js';
import { TinyTransport } from './tiny-transport.js';

const addon = requireAddon();
const held: number[] = [];
let accepted = 0;
let before = -1;
let errno = 0;

const { fd, port } = addon.listenTcp({ host: '127.0.0.1', port: 0, backlog: 8 });
const tiny = new TinyTransport({}, ({ type, slot, a }) => {
  if (type === EVENT_ACCEPT_FAILED) {
    errno = a;
    before = accepted;
    for (const descriptor of held.splice(0)) closeSync(descriptor);
    tiny.transport.resume(slot);
  } else if (type === EVENT_ACCEPTED) {
    accepted++;
    if (before >= 0) finish();
  }
});
tiny.transport.listen(fd, 0, 0);
tiny.transport.connectTcp('127.0.0.1', port, 0); // has its descriptor now; the rest goes to files
takeAll();

function takeAll(): void {
  try {
    for (;;) held.push(openSync('/dev/null', 'r'));
  } catch {
    // EMFILE is what we wanted.
  }
}

function finish(): void {
  process.stdout.write(`${JSON.stringify({ errno, acceptedBefore: before, acceptedAfter: accepted })}\n`);
  tiny.transport.close();
}
