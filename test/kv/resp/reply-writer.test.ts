import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BooleanReply,
  DoubleReply,
  ErrorReply,
  MapReply,
  NIL_ARRAY,
  OK,
  type Reply,
  SetReply,
  VerbatimReply,
} from '../../../kv/machine/reply.js';
import { ReplyWriter } from '../../../kv/resp/reply-writer.js';

function written(reply: Reply, protocol: 2 | 3): string {
  let wire = '';
  const writer = new ReplyWriter({
    writeText: (text, bytes) => {
      assert.equal(text.length, bytes);
      wire += text;
    },
    write: (bytes) => (wire += Buffer.from(bytes).toString('latin1')),
  });
  writer.protocol = protocol;
  writer.add(reply);
  writer.flush();
  return wire;
}

const REPLIES: readonly (readonly [Reply, string, string])[] = [
  [null, '$-1\r\n', '_\r\n'],
  [-7, ':-7\r\n', ':-7\r\n'],
  [2n ** 63n - 1n, ':9223372036854775807\r\n', ':9223372036854775807\r\n'],
  ['', '$0\r\n\r\n', '$0\r\n\r\n'],
  ['a\xff\r\n', '$4\r\na\xff\r\n\r\n', '$4\r\na\xff\r\n\r\n'],
  [Buffer.from([0, 255]), '$2\r\n\0\xff\r\n', '$2\r\n\0\xff\r\n'],
  [OK, '+OK\r\n', '+OK\r\n'],
  [new ErrorReply('ERR a\r\nb'), '-ERR a  b\r\n', '-ERR a  b\r\n'],
  [[1, [null, 'x']], '*2\r\n:1\r\n*2\r\n$-1\r\n$1\r\nx\r\n', '*2\r\n:1\r\n*2\r\n_\r\n$1\r\nx\r\n'],
  [NIL_ARRAY, '*-1\r\n', '_\r\n'],
  [new DoubleReply(1.5), '$3\r\n1.5\r\n', ',1.5\r\n'],
  [new DoubleReply(-Infinity), '$4\r\n-inf\r\n', ',-inf\r\n'],
  [new DoubleReply(1e-7), '$5\r\n1e-07\r\n', ',1e-07\r\n'],
  [new DoubleReply(1e21), '$5\r\n1e+21\r\n', ',1e+21\r\n'],
  [new MapReply(['a', 1]), '*2\r\n$1\r\na\r\n:1\r\n', '%1\r\n$1\r\na\r\n:1\r\n'],
  [new SetReply(['a']), '*1\r\n$1\r\na\r\n', '~1\r\n$1\r\na\r\n'],
  [new BooleanReply(true), ':1\r\n', '#t\r\n'],
  [new VerbatimReply('txt', 'hi'), '$2\r\nhi\r\n', '=6\r\ntxt:hi\r\n'],
];

test('every kind of reply has its form in either protocol', () => {
  for (const [reply, two, three] of REPLIES) {
    assert.equal(written(reply, 2), two);
    assert.equal(written(reply, 3), three);
  }
});

test('long values and long arrays are the same in pieces', () => {
  const long = 'x'.repeat(100_000);
  const bytes = Buffer.alloc(70_000, 0x79);
  const reply = [long, ...Array.from({ length: 30_000 }, (_, index) => index), bytes, 'end'];
  const numbers = reply.slice(1, -2).map((each) => `:${String(each)}\r\n`);
  const ends = `$70000\r\n${bytes.toString()}\r\n$3\r\nend\r\n`;
  assert.equal(written(reply, 2), `*30003\r\n$100000\r\n${long}\r\n${numbers.join('')}${ends}`);
});

test('a muted writer says nothing but what nobody asked for', () => {
  let wire = '';
  const writer = new ReplyWriter({ writeText: (text) => (wire += text), write: () => assert.fail() });
  writer.isMuted = true;
  writer.add(OK);
  writer.addPush(['message', 'c', 'm']);
  writer.flush();
  assert.equal(wire, '*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n');
});
