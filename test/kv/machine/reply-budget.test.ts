import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replyBytes } from '../../../kv/machine/reply-budget.js';
import { ErrorReply, MapReply, OK, type Reply, SetReply } from '../../../kv/machine/reply.js';
import { batchOf, Harness, itemsOf, ORIGIN } from './machine-harness.js';

const LONG = 'v'.repeat(600);

function isRefused(reply: Reply | undefined, ending: RegExp): void {
  assert(reply instanceof ErrorReply, JSON.stringify(reply)?.slice(0, 100));
  assert.match(reply.text, /^ERR the answer is too large/);
  assert.match(reply.text, ending);
}

test('one answer above the limit is refused in words, one at the limit is given', () => {
  const harness = new Harness({ replyBytesMax: 1300 });
  harness.run('RPUSH', 'two', LONG, LONG);
  harness.run('RPUSH', 'three', LONG, LONG, LONG);
  assert.deepEqual(harness.query('LRANGE', 'two', '0', '-1'), [LONG, LONG]);
  isRefused(harness.query('LRANGE', 'three', '0', '-1'), /ask for it in parts$/);
  assert.equal(harness.query('LINDEX', 'three', '2'), LONG);
});

test('the answers of one submission are bounded together, those of another one are not touched', () => {
  const harness = new Harness({ replyBytesMax: 1300 });
  harness.run('SET', 'k', LONG);
  const items = itemsOf((writer) => {
    for (let at = 0; at < 6; at += 1) writer.redis(['GET', 'k'], true);
    writer.redis(['SET', 'n', '1'], false);
  });
  const data = batchOf(items, { ...ORIGIN, sequence: 100 }, harness.nowMs);
  const replies = harness.machine.apply(9, 1, data, true, [4, 3])!;
  assert.deepEqual([replies[0], replies[1], replies[4], replies[5]], [LONG, LONG, LONG, LONG]);
  isRefused(replies[2], /ask for it in parts$/);
  isRefused(replies[3], /ask for it in parts$/);
  assert.equal(replies[6], OK);
});

test('a write whose answer is too large is executed and says so, on this member as on those that answer nobody', () => {
  const [harness, silent] = [new Harness({ replyBytesMax: 1000 }), new Harness()];
  for (const { machine } of [harness, silent]) machine.keyspace.set('l', 'x');
  harness.run('DEL', 'l');
  harness.run('RPUSH', 'l', LONG, LONG, LONG);
  isRefused(harness.run('LPOP', 'l', '2'), /the command was executed$/);
  assert.equal(harness.query('LLEN', 'l'), 1);
  for (const data of harness.log) silent.apply(data, false);
  assert.equal(silent.machine.hash(), harness.machine.hash());
});

test('the commands of one EXEC share the limit', () => {
  const harness = new Harness({ replyBytesMax: 1000 });
  harness.run('SET', 'k', LONG);
  const [first, second, third] = harness.exec([
    ['GET', 'k'],
    ['GET', 'k'],
    ['SET', 'k', '1'],
  ]) as Reply[];
  assert.equal(first, LONG);
  isRefused(second, /ask for it in parts$/);
  assert.equal(third, OK);
});

test('a long value named again and again is not gathered without end', () => {
  const harness = new Harness();
  harness.run('SETRANGE', 'long', '1000000', 'x');
  const often = Array.from({ length: 200 }, () => 'long');
  const isMore = (reply: Reply): void => {
    assert(reply instanceof ErrorReply, JSON.stringify(reply).slice(0, 100));
    assert.match(reply.text, /would gather more than/);
  };
  isMore(harness.query('MGET', ...often));
  harness.run('RPUSH', 'l', ...often.map(() => 'ng'));
  isMore(harness.run('SORT', 'l', 'BY', 'nosort', 'GET', 'lo*', 'STORE', 'd'));
  isMore(harness.run('SORT', 'l', 'BY', 'lo*', 'ALPHA'));
  assert.equal(harness.machine.keyspace.has('d'), false);
});

test('what is counted of a reply is no less than what goes over the wire', () => {
  assert(replyBytes('abc') >= '$3\r\nabc\r\n'.length);
  assert(replyBytes([1, null, ['a', OK]]) >= '*3\r\n:1\r\n$-1\r\n*2\r\n$1\r\na\r\n+OK\r\n'.length);
  assert(replyBytes(new MapReply(['a', new SetReply(['b'])])) >= '%1\r\n$1\r\na\r\n~1\r\n$1\r\nb\r\n'.length);
});
