// A process that owns a channel with Python's echo at its other end, and does nothing more: it is there to be killed.
// Prints `joined` once Python has, and hands its own standard error on, where Python says how it ended.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { PYTHON_PEER, ShmRing } from '../../../addon/jbus/index.js';
import { until } from '../../support/until.js';

const toPython = ShmRing.create(0, { capacity: 4096 });
const toNode = ShmRing.create(0, { capacity: 4096, epoch: toPython.epoch });
const writer = toPython.writer();
const reader = toNode.reader();
const args = [
  '--send-id',
  toNode.id,
  '--receive-id',
  toPython.id,
  '--epoch',
  toPython.epoch,
  '--doorbell-fd',
  3,
];
const child = spawn('python3', ['-B', fileURLToPath(PYTHON_PEER), 'echo', ...args.map(String)], {
  stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
});
await until(() => toPython.state === 'ready' && toNode.state === 'ready');
toPython.remove();
toNode.remove();
writer.write(1, 1, Buffer.from('cut off'));
console.log(`joined ${child.pid} ${reader.capacity}`);
setInterval(() => {}, 1000); // until it is killed
