// A worker that accepts from a queue it shares with other threads, and closes what it accepts.
// Says its kernel thread id once it listens and has gone to sleep once; counts what it accepted in `counter`.
import { parentPort, workerData } from 'node:worker_threads';

import { EVENT_ACCEPTED, requireAddon } from '../../../addon/index.js';
import { TinyTransport } from './tiny-transport.js';

const addon = requireAddon();
const { fd, exclusive, counter } = workerData as { fd: number; exclusive: 0 | 1; counter: Int32Array };

const tiny = new TinyTransport({}, (event) => {
  if (event.type !== EVENT_ACCEPTED) return;
  tiny.transport.closeSlot(event.a);
  Atomics.add(counter, 0, 1);
});
tiny.transport.listen(addon.dupFd(fd), exclusive, 0);
// Turns of the loop: by the third the listener is watched as it will be from then on.
setImmediate(() => setImmediate(() => setImmediate(() => parentPort?.postMessage(addon.threadId()))));
