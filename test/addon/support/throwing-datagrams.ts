// A process of its own: every second datagram of a batch makes the handler throw, and two leave rejected promises.
// Prints { handled, uncaught, unhandled, answered } once 20 datagrams were seen and all answers are back.
import { DATAGRAM_RECEIVED, requireAddon } from '../../../addon/index.js';
import { TinyDatagrams } from './tiny-datagrams.js';

const DATAGRAMS = 20;

const addon = requireAddon();
let handled = 0;
let uncaught = 0;
let unhandled = 0;
let answered = 0;
process.on('uncaughtException', (error) => {
  if (error.message === 'thrown by a handler') uncaught += 1;
});
process.on('unhandledRejection', () => {
  unhandled += 1;
});

const { fd, port } = addon.bindUdp({ host: '127.0.0.1', port: 0 });
const server: TinyDatagrams = new TinyDatagrams(fd, (news) => {
  if (news.event !== DATAGRAM_RECEIVED) return;
  server.stage(Buffer.from('answer'), news.address);
  handled += 1;
  if (handled <= 2) void Promise.reject(new Error('nobody catches this'));
  if (handled % 2 === 0) throw new Error('thrown by a handler');
});
const client: TinyDatagrams = new TinyDatagrams(addon.connectUdp('127.0.0.1', port), ({ event }) => {
  if (event === DATAGRAM_RECEIVED) answered += 1;
  if (answered === DATAGRAMS) setImmediate(finish);
});
for (let i = 0; i < DATAGRAMS; i += 1) client.stage(Buffer.alloc(8));
client.datagrams.flush();

function finish(): void {
  process.stdout.write(`${JSON.stringify({ handled, uncaught, unhandled, answered })}\n`);
  server.datagrams.close();
  client.datagrams.close();
}
