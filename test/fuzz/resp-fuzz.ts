// One round of fuzzing what clients of Redis send: a random wire of commands, inline text, damage and noise.
// Cut at random it must give the same commands, and the same complaint after them, as in one piece, and give all memory back.
// Then a whole client on a connection without a socket takes it: what it answers must be replies to their last byte.

import assert from 'node:assert/strict';
import { InputBudget } from '../../kv/resp/input-buffer.js';
import { RequestParser } from '../../kv/resp/request-parser.js';
import { RespServer } from '../../kv/resp/resp-server.js';
import { LocalBackend } from '../kv/support/local-backend.js';
import type { SeededRandom } from '../support/seeded-random.js';
import net from 'node:net';
import { once } from 'node:events';

const LIMITS = { bulkBytesMax: 3000, requestBytesMax: 5000 };
const COMMANDS =
  'GET SET DEL PING ECHO MULTI EXEC DISCARD WATCH UNWATCH HELLO RESET SELECT INCR LPUSH LRANGE HSET HGETALL ZADD ZRANGE ' +
  'SADD SMEMBERS XADD SCAN EXPIRE SUBSCRIBE UNSUBSCRIBE PUBLISH CLIENT CONFIG COMMAND INFO SLOWLOG ACL MEMORY NOPE';
const ARGUMENTS = 'a b 0 1 -1 3 GETNAME LIST GET count docs * withscores';
const WORDS = ['', '\r\n', '\xff\0"', ...COMMANDS.split(' '), ...ARGUMENTS.split(' ')] as [
  string,
  ...string[],
];
const MARKS = ['*', '$', ':', '\r', '\n', '0', '9', '1', ' ', '-', '"', 'x'] as const;

/** @throws AssertionError, or whatever else should not have been thrown. */
export async function fuzzResp(random: SeededRandom): Promise<void> {
  const wire = randomWire(random);
  const expected = parse([wire]);
  assert.deepEqual(parse(pieces(random, wire)), expected);
  assert.deepEqual(parse(Array.from(wire, (byte) => Buffer.of(byte))), expected);
  await converse(pieces(random, wire), random.pick(['net', 'epoll']));
}

function parse(chunks: readonly Uint8Array[]): string[] {
  const budget = new InputBudget(1e6);
  const parser = new RequestParser(LIMITS, budget);
  const found: string[] = [];
  for (const chunk of chunks) {
    const lent = Buffer.from(chunk);
    parser.add(lent);
    parser.beginGroup();
    for (;;) {
      const what = parser.next();
      if (what === 'error') {
        parser.release();
        assert.equal(budget.bytes, 0);
        return [...found, parser.error];
      }
      if (what === 'incomplete') break;
      const { bytes, offsets, firstArg, argCount } = parser;
      assert(argCount > 0);
      const args = Array.from({ length: argCount }, (_, index) =>
        bytes.toString('latin1', offsets[(firstArg + index) * 2], offsets[(firstArg + index) * 2 + 1]),
      );
      found.push(JSON.stringify(args));
    }
    parser.keep();
    lent.fill(0x2a); // the read buffer is used for the next read
  }
  parser.release();
  assert.equal(budget.bytes, 0);
  return found;
}

/** Says it all to a server and hears it out; another client must still be answered. */
async function converse(chunks: readonly Uint8Array[], transport: 'net' | 'epoll'): Promise<void> {
  const backend = new LocalBackend();
  const options = { host: '127.0.0.1', transport, requestBytesMax: 65_536, inputBytesMax: 2 ** 20 };
  const server = new RespServer(backend, null, options);
  const { port } = await server.listen();
  try {
    const socket = net.connect({ port: port!, host: '127.0.0.1' });
    const heard: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => heard.push(chunk));
    socket.on('error', () => {}); // a reset is an answer too
    await once(socket, 'connect');
    for (const chunk of chunks) socket.write(chunk);
    socket.end();
    if (!socket.closed) await once(socket, 'close');
    checkReplies(Buffer.concat(heard).toString('latin1'));
    assert.equal(server.figures().defects, 0);
    const other = net.connect({ port: port!, host: '127.0.0.1' });
    other.write('PING\r\n');
    const [answer] = (await once(other, 'data')) as [Buffer];
    assert.equal(answer.toString(), '+PONG\r\n');
    other.destroy();
  } finally {
    await server.close(0);
    backend.close();
  }
  assert.equal(server.figures().inputBytes, 0);
}

/** Walks replies of either protocol; fails where one is none, or cut. */
function checkReplies(text: string): void {
  let at = 0;
  const line = (): string => {
    const end = text.indexOf('\r\n', at);
    assert(end !== -1, 'a reply is cut');
    const found = text.slice(at, end);
    at = end + 2;
    return found;
  };
  const value = (): void => {
    const head = line();
    const count = Number(head.slice(1));
    if ('$='.includes(head[0]!)) {
      if (count >= 0) {
        at += count;
        assert.equal(text.slice(at, at + 2), '\r\n');
        at += 2;
      }
    } else if ('*~>%'.includes(head[0]!)) {
      for (let left = head[0] === '%' ? count * 2 : count; left > 0; left -= 1) value();
    } else {
      assert('+-:_,#'.includes(head[0]!), `no reply begins with ${JSON.stringify(head.slice(0, 20))}`);
    }
  };
  while (at < text.length) value();
}

function randomWire(random: SeededRandom): Buffer {
  const parts: string[] = [];
  for (let left = random.integer(1, 25); left > 0; left -= 1) {
    const words = Array.from({ length: random.integer(1, 5) }, () => random.pick(WORDS));
    if (random.chance(0.1)) words.push('x'.repeat(random.integer(0, 3100)));
    if (random.chance(0.15)) parts.push(`${words.join(' ')}\r\n`);
    else parts.push(`*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`);
    if (random.chance(0.05))
      parts.push(random.pick(['\r\n', '*0\r\n', '*-1\r\n', "set 'a\\'b' \"\\x41\\n\"\r\n", '"', '\0']));
  }
  const wire = Buffer.from(parts.join(''), 'latin1');
  if (random.chance(0.4)) {
    for (let left = random.integer(1, 4); left > 0; left -= 1)
      wire[random.integer(0, wire.length - 1)] = random.pick(MARKS).charCodeAt(0);
  }
  return random.chance(0.2) ? wire.subarray(0, random.integer(0, wire.length)) : wire;
}

function pieces(random: SeededRandom, wire: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < wire.length; ) {
    const end = Math.min(wire.length, at + random.integer(1, random.pick([3, 50, 2000])));
    found.push(wire.subarray(at, end));
    at = end;
  }
  return found;
}
