// A redis-server as it is installed, every write made durable before its answer (appendfsync always): argument the folder
// for its data. Prints the ready line once it answers. The server ends with this process, however it ends.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { dyingWithUs, freePorts, lastWords } from './servers.js';

const START_MS = 30_000;

const folder = process.argv[2] ?? '.';
const [port = 0] = await freePorts(1);
const settings = { port, bind: '127.0.0.1', dir: folder, save: '', appendonly: 'yes', appendfsync: 'always' };
const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
const child = spawn(...dyingWithUs('redis-server', flags), { stdio: ['ignore', 'ignore', 'pipe'] });
const words = lastWords(child);
let isStopping = false;
child.once('exit', (code) => {
  if (isStopping) return;
  process.stderr.write(`Error: redis-server ended with ${code}: ${words()}\n`);
  process.exit(1);
});
const stop = async (): Promise<void> => {
  isStopping = true;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
  process.exit(0);
};
process.once('SIGTERM', () => void stop()).once('SIGINT', () => void stop());

const endMs = performance.now() + START_MS;
while (!(await answers())) {
  if (performance.now() > endMs) throw new Error(`no answer within ${START_MS} ms`);
  await delay(25);
}
const listen = { resp: `127.0.0.1:${port}` };
process.stdout.write(`${JSON.stringify({ event: 'ready', pid: process.pid, listen })}\n`);

function answers(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false)); // it does not listen yet
  });
}
