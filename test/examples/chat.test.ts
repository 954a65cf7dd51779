import assert from 'node:assert/strict';
import type net from 'node:net';
import { test, type TestContext } from 'node:test';
import { loadAddon } from '../../addon/index.js';
import { connectTo, LineReader, startExample, stopExample } from '../support/example.js';

const needsAddon = loadAddon() === null ? { skip: 'without the addon there is one thread' } : {};

test(
  'chat: what one says reaches everybody on both threads, and so do joining and leaving',
  needsAddon,
  async (t) => {
    const chat = await startExample(t, 'chat', { THREADS: '2' });
    const [ann, bob, carl] = [
      await enter(t, chat.port),
      await enter(t, chat.port),
      await enter(t, chat.port),
    ];
    assert.deepEqual([ann.thread, bob.thread, carl.thread], [0, 1, 0]);
    for (const [member, name] of [
      [ann, 'Ann'],
      [bob, 'Bob'],
      [carl, 'Carl'],
    ] as const) {
      member.socket.write(`${name}\n`);
      assert.equal(await member.lines.next(), `* ${name} joins`);
    }
    assert.equal(await ann.lines.next(), '* Bob joins');
    assert.equal(await ann.lines.next(), '* Carl joins');
    assert.equal(await bob.lines.next(), '* Carl joins');
    for (const [speaker, line] of [
      [ann, 'Ann: hello'],
      [bob, 'Bob: good day'],
    ] as const) {
      speaker.socket.write(`${line.split(': ')[1]}\r\n`);
      for (const member of [ann, bob, carl]) assert.equal(await member.lines.next(), line);
    }
    carl.socket.end();
    for (const member of [ann, bob]) assert.equal(await member.lines.next(), '* Carl leaves (peer-ended)');
    ann.socket.destroy();
    bob.socket.destroy();
    await stopExample(chat);
  },
);

test('chat: who does not read is cut off, and the others miss nothing', async (t) => {
  const chat = await startExample(t, 'chat', { THREADS: '2' });
  const [ann, bob] = [await enter(t, chat.port), await enter(t, chat.port)];
  const slow = await connectTo(t, chat.port);
  slow.on('error', () => {}); // it is reset, which is what the others are told
  for (const [socket, name] of [
    [ann.socket, 'Ann'],
    [bob.socket, 'Bob'],
    [slow, 'Slow'],
  ] as const) {
    socket.write(`${name}\n`);
    while ((await ann.lines.next()) !== `* ${name} joins`);
  }
  let said = 0;
  let isSlowHere = true;
  while (isSlowHere) {
    assert(said < 40_000, 'the kernel buffers far less than 40 MB for one peer');
    ann.socket.write(`${'x'.repeat(1000)}\n`.repeat(BURST));
    said += BURST;
    for (const member of [ann, bob]) {
      for (let heard = 0; heard < BURST; ) {
        const line = await member.lines.next();
        if (line.startsWith('Ann: x')) heard += 1;
        else if (line === '* Slow leaves (output-overflow)') isSlowHere = false;
        else assert.match(line, /^\* (Bob|Slow) joins$/);
      }
    }
  }
  ann.socket.destroy();
  bob.socket.destroy();
  await stopExample(chat);
});

/** Lines on their way at a time: fewer than a thread's task queue holds. */
const BURST = 20;

interface Member {
  readonly socket: net.Socket;
  readonly lines: LineReader;
  readonly thread: number;
}

/** Connects and waits for the welcome, so that threads are given out in the order of the calls. */
async function enter(t: TestContext, port: number): Promise<Member> {
  const socket = await connectTo(t, port);
  const lines = new LineReader(socket);
  const welcome = await lines.next();
  return { socket, lines, thread: Number(/^Welcome to thread (\d+|main)\./.exec(welcome)?.[1]) };
}
