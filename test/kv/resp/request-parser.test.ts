import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InputBudget } from '../../../kv/resp/input-buffer.js';
import { RequestParser } from '../../../kv/resp/request-parser.js';
import { requestOf } from '../support/resp-pair.js';

const LIMITS = { bulkBytesMax: 1000, requestBytesMax: 4000 };

/** Feeds chunks as a connection does; an error is the last element, as text. */
function parse(chunks: readonly Uint8Array[], isStranger = false): (string[] | string)[] {
  const budget = new InputBudget(1e6);
  const parser = new RequestParser(LIMITS, budget);
  parser.isStranger = isStranger;
  const found: (string[] | string)[] = [];
  for (const chunk of chunks) {
    const lent = Buffer.from(chunk);
    parser.add(lent);
    parser.beginGroup();
    for (;;) {
      const what = parser.next();
      if (what === 'error') return [...found, parser.error];
      if (what === 'incomplete') break;
      found.push(commandOf(parser));
    }
    parser.keep();
    lent.fill(0x21); // the read buffer is used for the next read
  }
  parser.release();
  assert.equal(budget.bytes, 0, 'all memory is given back');
  return found;
}

function commandOf({ bytes, offsets, firstArg, argCount }: RequestParser): string[] {
  return Array.from({ length: argCount }, (_, index) =>
    bytes.toString('latin1', offsets[(firstArg + index) * 2], offsets[(firstArg + index) * 2 + 1]),
  );
}

const COMMANDS = [
  ['SET', 'key', 'v\r\n$5\r\n\xff\0'],
  ['GET', ''],
  ['x'.repeat(900), 'y'.repeat(999)],
  ['PING'],
];
const WIRE = Buffer.concat([
  ...COMMANDS.slice(0, 2).map(requestOf),
  Buffer.from('*0\r\n*-1\r\n\r\n  \n'),
  Buffer.from("set \"a \\x41\\n\" 'b\\'c' d\r\nPING\n"),
  ...COMMANDS.slice(2).map(requestOf),
]);
const EXPECTED = [COMMANDS[0], COMMANDS[1], ['set', 'a A\n', "b'c", 'd'], ['PING'], COMMANDS[2], COMMANDS[3]];

test('commands come out the same wherever the input is cut', () => {
  assert.deepEqual(parse([WIRE]), EXPECTED);
  for (let cut = 0; cut <= WIRE.length; cut += 1)
    assert.deepEqual(parse([WIRE.subarray(0, cut), WIRE.subarray(cut)]), EXPECTED, `cut at ${cut}`);
  assert.deepEqual(parse(Array.from(WIRE, (byte) => Buffer.of(byte))), EXPECTED, 'cut at every byte');
});

test('a command that was put back comes again, also after the input has moved', () => {
  const budget = new InputBudget(1e6);
  const parser = new RequestParser(LIMITS, budget);
  const first = Buffer.concat([requestOf(['a', '1']), Buffer.from('"b\\x42" 2\r\n'), requestOf(['c'])]);
  parser.add(first);
  assert.equal(parser.next(), 'command');
  assert.equal(parser.next(), 'command');
  assert.deepEqual(commandOf(parser), ['bB', '2']);
  parser.putBack();
  parser.keep();
  first.fill(0);
  parser.add(requestOf(['d']));
  const found: string[][] = [];
  while (parser.next() === 'command') {
    found.push(commandOf(parser));
    if (found.length === 1) {
      parser.putBack();
      parser.beginGroup();
      assert.equal(parser.next(), 'command');
      assert.deepEqual(commandOf(parser), found[0]);
    }
  }
  assert.deepEqual(found, [['bB', '2'], ['c'], ['d']]);
});

const MALFORMED: readonly (readonly [string, string])[] = [
  ['*1\r\n:5\r\n', "expected '$', got ':'"],
  ['*2\r\n$3\r\nGET\r\n\r\n', "expected '$', got '?'"],
  ['*x\r\n', 'invalid multibulk length'],
  ['*\r\n', 'invalid multibulk length'],
  ['*1 \r\n', 'invalid multibulk length'],
  ['*01\r\n', 'invalid multibulk length'],
  ['*+1\r\n', 'invalid multibulk length'],
  ['*1048577\r\n', 'invalid multibulk length'],
  ['*99999999999999999999\r\n', 'invalid multibulk length'],
  ['*1\r\n$-1\r\n', 'invalid bulk length'],
  ['*1\r\n$\r\n', 'invalid bulk length'],
  ['*1\r\n$a\r\n', 'invalid bulk length'],
  ['*1\r\n$1001\r\n', 'invalid bulk length'],
  [`*9\r\n${`$900\r\n${'x'.repeat(900)}\r\n`.repeat(5)}`, 'too big request'],
  ['get "a\r\n', 'unbalanced quotes in request'],
  ["get 'a'b\r\n", 'unbalanced quotes in request'],
  ['x'.repeat(65_537), 'too big inline request'],
];

test('malformed input ends with the complaint that Redis has for it, and commands before it come first', () => {
  for (const [text, complaint] of MALFORMED) {
    const wire = Buffer.concat([requestOf(['PING']), Buffer.from(text)]);
    const expected = [['PING'], `ERR Protocol error: ${complaint}`];
    assert.deepEqual(parse([wire]), expected, text.slice(0, 40));
    assert.deepEqual(parse(Array.from(wire, (byte) => Buffer.of(byte))), expected, text.slice(0, 40));
  }
});

test('a stranger may send no more than a greeting', () => {
  assert.deepEqual(parse([Buffer.from('*11\r\n')], true), [
    'ERR Protocol error: unauthenticated multibulk length',
  ]);
  const budget = new InputBudget(1e6);
  const parser = new RequestParser({ bulkBytesMax: 1e6, requestBytesMax: 1e6 }, budget);
  parser.isStranger = true;
  parser.add(Buffer.from('*1\r\n$16385\r\n'));
  assert.equal(parser.next(), 'error');
  assert.equal(parser.error, 'ERR Protocol error: unauthenticated bulk length');
});

test('a large command that comes byte by byte costs time in proportion to its size', () => {
  const budget = new InputBudget(64 * 2 ** 20);
  const parser = new RequestParser({ bulkBytesMax: 2 ** 20, requestBytesMax: 4 * 2 ** 20 }, budget);
  const wire = requestOf(['mset', ...Array.from({ length: 40_000 }, (_, index) => `k${index}`)]);
  let found = 0;
  const startedMs = performance.now();
  for (const byte of wire) {
    parser.add(Buffer.of(byte));
    if (parser.next() === 'command') found += 1;
    parser.keep();
  }
  assert.equal(found, 1);
  assert(performance.now() - startedMs < 10_000, 'looked at once');
  assert.equal(budget.bytes, 0);
});
