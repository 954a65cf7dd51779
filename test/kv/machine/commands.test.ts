import assert from 'node:assert/strict';
import { test } from 'node:test';
import { globMatches } from '../../../kv/machine/commands/glob.js';
import {
  addDecimals,
  addIntegers,
  formatDouble,
  parseDecimal,
  parseDouble,
  parseInteger,
} from '../../../kv/machine/commands/numbers.js';
import { commandTable, keysOf } from '../../../kv/machine/commands/table.js';
import { Machine } from '../../../kv/machine/machine.js';
import { DoubleReply, MapReply, PairsReply, SetReply } from '../../../kv/machine/reply.js';
import { MachineRunner } from '../support/machine-runner.js';
import type { Plain } from '../support/redis-process.js';

const INTEGER_ERROR = { token: '-ERR value is not an integer or out of range' };

test('integers are 64-bit: exact beyond 2^53, refused beyond 2^63', () => {
  const runner = new MachineRunner();
  runner.line('SET n 9007199254740991');
  assert.deepEqual(runner.line('INCR n'), { token: ':9007199254740992' });
  assert.deepEqual(runner.line('INCR n'), { token: ':9007199254740993' });
  assert.deepEqual(runner.line('DECRBY n 9007199254740993'), { token: ':0' });
  runner.line('SET n 9223372036854775806');
  assert.deepEqual(runner.line('INCR n'), { token: ':9223372036854775807' });
  assert.deepEqual(runner.line('INCR n'), { token: '-ERR increment or decrement would overflow' });
  assert.equal(runner.line('GET n'), '9223372036854775807');
  assert.deepEqual(runner.line('DECRBY n -9223372036854775808'), { token: '-ERR decrement would overflow' });
  for (const text of ['+1', '01', '-0', '1.0', ' 1', '', '-', '9223372036854775808', '0x1', '1e3']) {
    runner.run('SET', 'n', text);
    assert.deepEqual(runner.line('INCR n'), INTEGER_ERROR, text);
    assert.equal(parseInteger(text), null, text);
  }
  assert.equal(parseInteger('-9223372036854775808'), -(2n ** 63n));
  assert.equal(addIntegers(2 ** 53 - 1, 10), 2n ** 53n + 9n);
});

test('doubles are read and written as Redis does, with the fewest digits that bring them back', () => {
  const written: [number, string][] = [
    [0.1, '0.1'],
    [1, '1'],
    [-0, '0'],
    [1e16, '10000000000000000'],
    [1e17, '1e+17'],
    [1e21, '1e+21'],
    [1.5e300, '1.5e+300'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [1.25e-7, '1.25e-07'],
    [-2.5, '-2.5'],
    [Number.NEGATIVE_INFINITY, '-inf'],
    [123456.789, '123456.789'],
    [0.001234, '0.001234'],
  ];
  for (const [value, text] of written) {
    assert.equal(formatDouble(value), text);
    assert.equal(parseDouble(text), value + 0);
  }
  for (const text of ['', 'nan', '1e400', '1 ', ' 1', '.', 'e5', '1e', '--1', '1e-400'])
    assert.equal(parseDouble(text), null, text);
});

test('INCRBYFLOAT adds decimals exactly, to 17 digits behind the point', () => {
  const sum = (a: string, b: string): string => {
    const [x, y] = [parseDecimal(a), parseDecimal(b)];
    assert(x !== null && y !== null && x !== 'infinite' && y !== 'infinite');
    return addDecimals(x, y);
  };
  assert.equal(sum('0.1', '0.2'), '0.3');
  assert.equal(sum('5.0e3', '200'), '5200');
  assert.equal(sum('-1', '1'), '0');
  assert.equal(sum('-0.5', '0.25'), '-0.25');
  assert.equal(sum('1e-18', '0'), '0');
  assert.equal(sum('6e-18', '0'), '0.00000000000000001');
  assert.equal(parseDecimal('1e309'), null);
  assert.equal(parseDecimal('.'), null);
});

test('patterns match as in Redis', () => {
  const cases: [string, string, boolean][] = [
    ['*', '', true],
    ['a*b*c', 'aXbYbZc', true],
    ['a*b', 'ac', false],
    ['a?c', 'abc', true],
    ['[a-c]x', 'bx', true],
    ['[c-a]x', 'bx', true],
    ['[^a]x', 'ax', false],
    ['\\*', '*', true],
    ['\\*', 'a', false],
    ['[\\]]', ']', true],
    ['a[', 'a[', false],
    ['[ab', 'a', true],
    ['**', 'x', true],
    ['', '', true],
    ['', 'x', false],
    ['a\\', 'a\\', true],
  ];
  for (const [pattern, text, matches] of cases)
    assert.equal(globMatches(pattern, text), matches, `${pattern} ${text}`);
  // Backtracking goes to the last star alone: this would take for ever otherwise.
  assert.equal(globMatches('a*'.repeat(40) + 'b', 'a'.repeat(5_000)), false);
});

test('members that draw at random pop the same ones, whether or not somebody waits for the answers', () => {
  const [asked, silent] = [new MachineRunner(), new MachineRunner()];
  const fill = ['SADD', 's', ...Array.from({ length: 50 }, (_, index) => `m${index}`)];
  for (const runner of [asked, silent]) runner.runAll([fill]);
  // What only reads is skipped where nobody waits, so it may not use up random numbers of the log.
  const entry = [['SRANDMEMBER', 's', '5'], ['SPOP', 's', '3'], ['RANDOMKEY'], ['SPOP', 's']];
  for (let round = 0; round < 10; round += 1) {
    asked.runAll(entry);
    silent.runAll(entry, false);
  }
  assert.equal(silent.machine.hash(), asked.machine.hash());
  assert.deepEqual(asked.line('SCARD s'), { token: ':10' });
});

test('random members are members, all different with a positive count, and as many as asked for with a negative one', () => {
  const runner = new MachineRunner();
  runner.line('SADD s a b c d e');
  runner.line('HSET h a 1 b 2 c 3');
  runner.line('ZADD z 1 a 2 b 3 c');
  const drawn = (text: string): string[] => runner.line(text) as string[];
  assert.equal(new Set(drawn('SRANDMEMBER s 3')).size, 3);
  assert.equal(drawn('SRANDMEMBER s -20').length, 20);
  assert.deepEqual(drawn('SRANDMEMBER s 10').toSorted(), ['a', 'b', 'c', 'd', 'e']);
  assert.equal(drawn('HRANDFIELD h -7').length, 7);
  assert.deepEqual(drawn('HRANDFIELD h 5 WITHVALUES').toSorted(), ['1', '2', '3', 'a', 'b', 'c']);
  assert.equal(drawn('ZRANDMEMBER z -4 WITHSCORES').length, 8);
  assert(['h', 's', 'z'].includes(runner.line('RANDOMKEY') as string));
  const seen = new Set(Array.from({ length: 200 }, () => runner.line('SRANDMEMBER s')));
  assert.equal(seen.size, 5);
  assert.deepEqual(runner.line('SRANDMEMBER s -10000000'), { token: '-ERR value is out of range' });
  assert.equal(runner.line('SPOP none'), null);
});

test('DUMP and RESTORE carry every type; a changed byte, another version and an existing key are refused', () => {
  const runner = new MachineRunner();
  runner.line('SET string hello');
  runner.line('SETBIT bits 7 1');
  runner.line('RPUSH list a b c');
  runner.line('SADD set a b');
  runner.line('HSET hash a 1 b 2');
  runner.line('ZADD zset 1 a 2.5 b');
  runner.line('XADD stream 1-1 a 1');
  for (const key of ['string', 'bits', 'list', 'set', 'hash', 'zset', 'stream']) {
    const payload = runner.run('DUMP', key) as string;
    assert.deepEqual(runner.run('RESTORE', `${key}2`, '0', payload), { token: '+OK' });
    assert.equal(runner.run('DUMP', `${key}2`), payload);
    assert.deepEqual(runner.run('TYPE', `${key}2`), runner.run('TYPE', key));
    for (let at = 0; at < payload.length; at += 1) {
      const damaged =
        payload.slice(0, at) + String.fromCharCode(payload.charCodeAt(at) ^ 1) + payload.slice(at + 1);
      const { token } = runner.run('RESTORE', 'x', '0', damaged) as { token: string };
      assert.equal(token, '-ERR DUMP payload version or checksum are wrong');
    }
  }
  const payload = runner.line('DUMP string') as string;
  assert.deepEqual(runner.run('RESTORE', 'list', '0', payload), {
    token: '-BUSYKEY Target key name already exists.',
  });
  assert.deepEqual(runner.run('RESTORE', 'list', '5000', payload, 'REPLACE'), { token: '+OK' });
  assert.deepEqual(runner.line('PTTL list'), { token: ':5000' });
  assert.equal(runner.line('DUMP none'), null);
});

test('deadlines pass by log time, at the start of an entry and to the millisecond', () => {
  const runner = new MachineRunner();
  runner.line('SET a x PX 100');
  runner.line('SET b x EX 1');
  assert.deepEqual(runner.line('PTTL a'), { token: ':100' });
  runner.nowMs += 99;
  assert.equal(runner.line('GET a'), 'x');
  runner.nowMs += 1;
  assert.equal(runner.line('GET a'), null);
  assert.deepEqual(runner.line('TTL b'), { token: ':1' });
  assert.deepEqual(runner.line('EXPIRE b 0'), { token: ':1' });
  assert.deepEqual(runner.line('DBSIZE'), { token: ':0' });
  runner.line('SET c 1 EX 100');
  runner.line('INCR c');
  runner.line('APPEND c 0');
  runner.line('SETRANGE c 0 9');
  assert.deepEqual(runner.line('TTL c'), { token: ':100' }, 'what changes a string keeps its deadline');
  runner.line('SET c 1');
  assert.deepEqual(runner.line('TTL c'), { token: ':-1' }, 'SET does not');
});

test('a bit set in place does not show in a reply given before, nor in an open snapshot', () => {
  const runner = new MachineRunner();
  runner.line('SETBIT b 0 1');
  const before = runner.machine.hash();
  const snapshot = runner.machine.snapshot();
  const replies = runner.runAll([
    ['GET', 'b'],
    ['SETBIT', 'b', '1', '1'],
    ['GET', 'b'],
  ])!;
  assert.deepEqual(replies, ['\x80', 0, '\xc0']);
  assert.notEqual(runner.machine.hash(), before);
  const restored = Machine.restore(snapshot.chunks());
  snapshot.close();
  assert.equal(restored.hash(), before);
  assert.equal(restored.query(['GET', 'b']), '\x80');
});

test('RESP3 clients get maps, sets, doubles and pairs', () => {
  const runner = new MachineRunner();
  for (const text of ['HSET h a 1', 'SADD s a', 'ZADD z 1 a', 'XADD x 1-1 a 1']) runner.line(text);
  const reply = (text: string): unknown => runner.runAll([text.split(' ')])![0];
  assert.deepEqual(reply('HGETALL h'), new MapReply(['a', '1']));
  assert.deepEqual(reply('SMEMBERS s'), new SetReply(['a']));
  assert.deepEqual(reply('ZSCORE z a'), new DoubleReply(1));
  assert.deepEqual(reply('ZRANGE z 0 -1 WITHSCORES'), new PairsReply(['a', new DoubleReply(1)]));
  assert.deepEqual(reply('XREAD STREAMS x 0'), new PairsReply(['x', [['1-1', ['a', '1']]]], 'map'));
});

test('streams give ids by log time, remember the last one, and stay when they are empty', () => {
  const runner = new MachineRunner(5_000);
  assert.equal(runner.line('XADD x * a 1'), '5000-0');
  assert.equal(runner.line('XADD x * a 2'), '5000-1');
  runner.line('XDEL x 5000-0 5000-1');
  assert.deepEqual(runner.line('EXISTS x'), { token: ':1' });
  assert.equal(runner.line('XADD x * a 3'), '5000-2');
  assert.deepEqual(runner.line('XREAD BLOCK 0 STREAMS x $'), {
    token: '-ERR XREAD does not wait here: BLOCK is not supported',
  });
});

test('what is not supported answers as Redis answers unknown commands', () => {
  const runner = new MachineRunner();
  for (const name of ['BLPOP', 'GEOADD', 'PFADD', 'EVAL', 'XREADGROUP', 'MOVE']) {
    assert.deepEqual(runner.run(name, 'a', 'b'), {
      token: `-ERR unknown command '${name}', with args beginning with: 'a' 'b' `,
    });
  }
});

test('the table is complete: every command has a summary and flags that say whether it writes', () => {
  for (const [name, command] of commandTable) {
    assert.equal(command.name, name);
    assert.equal(name, name.toLowerCase());
    assert(command.summary.endsWith('.') && command.summary.length > 10, name);
    assert(command.flags.includes('write') !== command.flags.includes('readonly'), name);
    assert(command.arity !== 0);
  }
  const keys = (text: string): string[] => keysOf(commandTable.get(text.split(' ')[0]!)!, text.split(' '));
  assert.deepEqual(keys('mset a 1 b 2'), ['a', 'b']);
  assert.deepEqual(keys('zunionstore d 2 a b WEIGHTS 1 2'), ['d', 'a', 'b']);
  assert.deepEqual(keys('lmpop 2 a b LEFT'), ['a', 'b']);
  assert.deepEqual(keys('bitop AND d a b'), ['d', 'a', 'b']);
  assert.deepEqual(keys('lmpop x a b LEFT'), []);
  assert.deepEqual(keys('dbsize'), []);
});

test('a command with wrong arguments changes nothing at all', () => {
  const runner = new MachineRunner();
  for (const text of ['SET s x', 'RPUSH l a', 'ZADD z 1 a', 'HSET h f x']) runner.line(text);
  const before = runner.machine.revision;
  const lines = [
    'MSET a 1 b',
    'ZADD z 2 b x c',
    'HSET h g 1 f',
    'LMOVE l s LEFT LEFT',
    'SMOVE s l a',
    'HINCRBY h f 1',
    'ZADD new XX NX 1 a',
    'BITFIELD new SET u8 0 1 GET x 0',
    'SINTERSTORE d s l',
    'RENAME none s',
    'SETRANGE new -1 x',
    'LSET l 5 x',
    'ZINCRBY z nan a',
    'XADD st 0-0 a 1',
  ];
  for (const text of lines) {
    const reply: Plain = runner.line(text);
    assert(
      reply !== null && typeof reply === 'object' && 'token' in reply && reply.token.startsWith('-'),
      text,
    );
  }
  assert.equal(runner.machine.revision, before);
});
