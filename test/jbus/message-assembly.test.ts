import assert from 'node:assert/strict';
import test from 'node:test';

import { JbusError } from '../../addon/jbus/index.js';
import { FLAG_BEGIN, FLAG_END, FLAG_HEARTBEAT, FLAG_MID, FLAG_WHOLE } from '../../addon/jbus/layout.js';
import { fragmentAt, MessageAssembly } from '../../addon/jbus/message-assembly.js';

const BYTES_MAX = 1000;

function bytes(text: string): Uint8Array {
  return Buffer.from(text);
}

function isPoison(error: unknown): boolean {
  return error instanceof JbusError && error.code === 'JBUS_POISONED';
}

/** An assembly that has begun message 7 of six bytes with two of them. */
function begun(): MessageAssembly {
  const assembly = new MessageAssembly(BYTES_MAX);
  assert.equal(assembly.feed(FLAG_BEGIN, 1, 7, 6, bytes('ab')), undefined);
  return assembly;
}

test('a message cut at every byte into fragments of every size is put together again', () => {
  const message = Buffer.from('the quick brown fox');
  for (let size = 1; size < message.length; size += 1) {
    const assembly = new MessageAssembly(BYTES_MAX);
    let from = 0;
    let done;
    while (from < message.length) {
      assert.equal(done, undefined);
      const { length, flags } = fragmentAt(from, message.length, size);
      done = assembly.feed(flags, 3, 9, message.length, message.subarray(from, from + length));
      from += length;
    }
    assert.deepEqual(done, { type: 3, msgId: 9, bytes: message });
    assert.equal(assembly.isOpen, false);
  }
});

test('a whole message is handed on without a copy', () => {
  const message = bytes('whole');
  assert.equal(new MessageAssembly(BYTES_MAX).feed(FLAG_WHOLE, 0, 1, 5, message)?.bytes, message);
});

test('a heartbeat between fragments is counted and disturbs nothing', () => {
  const assembly = begun();
  assert.equal(assembly.feed(FLAG_HEARTBEAT, 0, 0, 0, bytes('')), undefined);
  assert.equal(assembly.feed(FLAG_MID, 1, 7, 6, bytes('cd')), undefined);
  assert.equal(assembly.feed(FLAG_HEARTBEAT, 0, 0, 0, bytes('')), undefined);
  assert.deepEqual(assembly.feed(FLAG_END, 1, 7, 6, bytes('ef'))?.bytes, Buffer.from('abcdef'));
  assert.equal(assembly.heartbeats, 2);
});

test('fragments without a begin are dropped and counted, and the next message is whole', () => {
  const assembly = new MessageAssembly(BYTES_MAX);
  assert.equal(assembly.feed(FLAG_MID, 1, 7, 6, bytes('cd')), undefined);
  assert.equal(assembly.feed(FLAG_END, 1, 7, 6, bytes('ef')), undefined);
  assert.equal(assembly.orphans, 2);
  assert.deepEqual(assembly.feed(FLAG_WHOLE, 1, 8, 2, bytes('ok'))?.bytes, bytes('ok'));
});

test('each way to break the format within a message is poison', () => {
  const wrong: readonly (readonly [string, number, number, number, string])[] = [
    ['another id', FLAG_MID, 8, 6, 'cd'],
    ['another total', FLAG_MID, 7, 7, 'cd'],
    ['too many bytes', FLAG_MID, 7, 6, 'cdefg'],
    ['an end that comes too early', FLAG_END, 7, 6, 'c'],
    ['a begin', FLAG_BEGIN, 7, 6, 'ab'],
    ['a whole message', FLAG_WHOLE, 9, 2, 'ab'],
    ['a heartbeat with bytes', FLAG_HEARTBEAT, 0, 1, 'x'],
    ['no flags', 0, 7, 6, 'cd'],
    ['two flags that exclude each other', FLAG_MID | FLAG_END, 7, 6, 'cdef'],
  ];
  for (const [what, flags, msgId, total, text] of wrong) {
    const assembly = begun();
    assert.throws(() => assembly.feed(flags, 1, msgId, total, bytes(text)), isPoison, what);
  }
});

test('a message beyond messageBytesMax is refused before memory is taken for it', () => {
  const assembly = new MessageAssembly(BYTES_MAX);
  const before = process.memoryUsage().arrayBuffers;
  assert.throws(() => assembly.feed(FLAG_BEGIN, 1, 7, 2 ** 32 - 1, bytes('ab')), isPoison);
  assert.throws(() => assembly.feed(FLAG_WHOLE, 1, 7, BYTES_MAX + 1, bytes('ab')), isPoison);
  assert(process.memoryUsage().arrayBuffers - before < 2 ** 20);
});

test('an abandoned message is forgotten, and its rest counts as without a begin', () => {
  const assembly = begun();
  assert.equal(assembly.abandon(), true);
  assert.equal(assembly.abandon(), false);
  assert.equal(assembly.feed(FLAG_END, 1, 7, 6, bytes('cdef')), undefined);
  assert.equal(assembly.orphans, 1);
});

test('memory that is given back serves the next message of its size, and no message that is still held', () => {
  const assembly = new MessageAssembly(BYTES_MAX);
  const assemble = (text: string): Uint8Array => {
    const { length } = text;
    assembly.feed(FLAG_BEGIN, 0, 1, length, bytes(text.slice(0, 1)));
    return assembly.feed(FLAG_END, 0, 1, length, bytes(text.slice(1)))!.bytes;
  };
  const first = assemble('first message');
  assembly.recycle(first);
  const second = assemble('second one');
  assert.equal(second.buffer, first.buffer);
  const third = assemble('the third');
  assert.notEqual(third.buffer, second.buffer);
  assert.equal(Buffer.from(second).toString(), 'second one');
  assembly.recycle(second);
  assert.notEqual(assemble('small').buffer, second.buffer, 'it would hold more than twice what it needs');
});
