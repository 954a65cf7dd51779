// A worker whose UDP socket is always busy: datagrams go round between two sockets of its own, until it is terminated.
// It says 'ready' once some have.
//   storm: handlers return at once     spin: a handler never returns     throw: handlers throw
//   refused: the other side is gone, and every datagram comes back as an error
import { parentPort, workerData } from 'node:worker_threads';

import { requireAddon } from '../../../addon/index.js';
import { type DatagramNews, TinyDatagrams } from './tiny-datagrams.js';

export type BusyDatagramsMode = 'storm' | 'spin' | 'throw' | 'refused';

const IN_FLIGHT = 32;
const READY_AFTER = 100;

const addon = requireAddon();
const { mode } = workerData as { mode: BusyDatagramsMode };
let rounds = 0;

function echo(tiny: TinyDatagrams, { address }: DatagramNews): void {
  tiny.stage(Buffer.alloc(8), address);
  rounds += 1;
  if (rounds === READY_AFTER) parentPort?.postMessage('ready');
  if (rounds < READY_AFTER) return;
  if (mode === 'spin') for (;;);
  if (mode === 'throw') throw new Error('thrown while being terminated');
}

if (mode === 'throw') process.on('uncaughtException', () => {});
const { fd, port } = addon.bindUdp({ host: '127.0.0.1', port: 0 });
if (mode === 'refused') {
  addon.closeFd(fd);
} else {
  const server: TinyDatagrams = new TinyDatagrams(fd, (news) => echo(server, news));
}
const client: TinyDatagrams = new TinyDatagrams(addon.connectUdp('127.0.0.1', port), (news) =>
  echo(client, { ...news, address: new Int32Array(news.address.length) }),
);
for (let i = 0; i < IN_FLIGHT; i += 1) client.stage(Buffer.alloc(8));
client.datagrams.flush();
