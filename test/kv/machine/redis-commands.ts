// Random commands for redis-differential.test.ts, family by family, and the form in which two replies are compared.

import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { Plain } from '../support/redis-process.js';

export type Words = fc.Arbitrary<string[]>;

const word = (...words: string[]): Words => fc.constantFrom(...words).map((each) => [each]);
const KEY = word('k1', 'k2', 'k3', 'k4');
const MEMBER = word('a', 'b', 'c', 'd', 'e', 'A', '1', '22', 'a b', '\xff\0', '');
const VALUE = word(
  '',
  'a',
  'ab',
  'hello world',
  '0',
  '7',
  '-3',
  '10',
  '3.5',
  '1e3',
  'x\r\ny',
  '\xe9\0\xff',
  '9007199254740993',
);
const INTEGER = word(
  '0',
  '1',
  '2',
  '3',
  '-1',
  '-2',
  '5',
  '100',
  '-100',
  '9223372036854775807',
  '-9223372036854775808',
  '4611686018427387904',
  'x',
  '01',
  '1.0',
  '',
);
const SMALL = word('0', '1', '2', '3', '-1', '-2', '-3', '10', '-10', 'x');
const COUNT = word('1', '2', '3', '10', '0', '-1', 'x');
const SCORE = word('0', '1', '2', '3', '-1', '2.5', '0.1', '1e10', 'inf', '-inf', '+inf', 'nan', 'x');
const SCORE_BOUND = word('0', '1', '(1', '2', '(2', '3', '-inf', '+inf', '(2.5', '(', 'x', '-1');
const LEX_BOUND = word('-', '+', '[a', '(a', '[b', '(c', '[e', '[', 'a', '(');
const BIT_OFFSET = word('0', '1', '5', '7', '8', '15', '23', '100', '-1', 'x', '4294967296000');
const FAR = word('4102444800', '5102444800', '4102444801', '1', '0', '-5', 'x', '9223372036854775807');
const FAR_MS = word('4102444800000', '5102444800123', '1', 'x', '9223372036854775808');

const all = (...parts: Words[]): Words => fc.tuple(...parts).map((found) => found.flat());
const maybe = (part: Words): Words =>
  fc.oneof({ weight: 2, arbitrary: fc.constant<string[]>([]) }, { weight: 1, arbitrary: part });
const some = (part: Words, most = 3): Words =>
  fc.array(part, { minLength: 1, maxLength: most }).map((found) => found.flat());
const any = (part: Words, most = 2): Words =>
  fc.array(part, { maxLength: most }).map((found) => found.flat());
const either = (...parts: Words[]): Words => fc.oneof(...parts);
/** Words of a line; in capital letters the generators of that name. */
const NAMED: Record<string, Words> = {
  KEY,
  KEYS: some(KEY),
  MEMBER,
  MEMBERS: some(MEMBER),
  VALUE,
  VALUES: some(VALUE),
  INTEGER,
  SMALL,
  COUNT,
  SCORE,
  SCORED: some(all(SCORE, MEMBER)),
  PAIRS: some(all(MEMBER, VALUE)),
  KEYVALUES: some(all(KEY, VALUE)),
  BIT: word('0', '1', '1', '2'),
  BITOFFSET: BIT_OFFSET,
  SIDE: word('LEFT', 'RIGHT', 'left', 'x'),
};
const NUMKEYS = fc
  .array(KEY, { minLength: 1, maxLength: 3 })
  .chain((keys) =>
    fc.constantFrom(keys.length, keys.length, keys.length, 0, 5).map((n) => [String(n)].concat(keys.flat())),
  );

function line(text: string, ...tail: Words[]): Words {
  return all(...text.split(' ').map((each) => NAMED[each] ?? word(each)), ...tail);
}

/** Arguments numbered from 0. */
const many = (count: number, make: (number: number) => string[]): Words =>
  fc.constant(Array.from({ length: count }, (_, number) => make(number)).flat());
const PLACE = word('0', '1', '70', '127', '128', '129', '200', '290', '-1', '-2', '-100', '-130', '-257');
const WIDE_MEMBER = fc.nat({ max: 180 }).map((number) => [`m${number}`]);
const WIDE_SCORE = word('-inf', '+inf', '0', '(3', '7.5', '10', '(20', '33', '49');

const LIMIT = all(word('LIMIT'), SMALL, SMALL);

/** By name, the commands of a family with all kinds of right and wrong arguments. */
export const FAMILIES: Record<string, Words[]> = {
  strings: [
    line('SET KEY VALUE', any(word('NX', 'XX', 'GET', 'KEEPTTL', 'nx', 'EX', 'bad'))),
    line('SET KEY VALUE', maybe(word('KEEPTTL', 'XX')), word('EXAT'), FAR),
    line('SET KEY VALUE PXAT', FAR_MS, maybe(word('GET'))),
    line('GET KEY'),
    line('SETNX KEY VALUE'),
    line('SETEX KEY', word('100', '0', '-1', 'x', '9223372036854775807'), VALUE),
    line('PSETEX KEY', word('100000', '0', 'x', '9223372036854775807'), VALUE),
    line('GETSET KEY VALUE'),
    line('GETDEL KEY'),
    line(
      'GETEX KEY',
      maybe(either(word('PERSIST'), word('x'), all(word('EXAT'), FAR), all(word('PXAT'), FAR_MS))),
    ),
    line('MGET KEYS'),
    line('MSET KEYVALUES', any(KEY, 1)),
    line('MSETNX KEYVALUES', any(KEY, 1)),
    line('APPEND KEY VALUE'),
    line('STRLEN KEY'),
    line('GETRANGE KEY SMALL SMALL'),
    line('SUBSTR KEY SMALL SMALL'),
    line('SETRANGE KEY', word('0', '1', '3', '10', '-1', 'x', '600000000'), VALUE),
    line('INCR KEY'),
    line('DECR KEY'),
    line('INCRBY KEY INTEGER'),
    line('DECRBY KEY INTEGER'),
    line('INCRBYFLOAT KEY', word('inf', 'x')),
    // On a key of its own: beyond 15 digits Redis rounds as 80-bit floats do, and here sums are exact.
    line('INCRBYFLOAT f1', word('0.1', '-0.25', '3', '1e3', '5.0e-3', '0', '-7.30')),
    line('SET f1', word('0.2', '-3', '10', '1e2', '1.50')),
    line('GET f1'),
    line('LCS KEY KEY', any(word('LEN', 'IDX', 'WITHMATCHLEN', 'MINMATCHLEN', 'x'))),
    line('LCS KEY KEY IDX MINMATCHLEN', SMALL, maybe(word('WITHMATCHLEN'))),
    line('GET KEY KEY'),
  ],
  bits: [
    line('SET KEY VALUE'),
    line(
      'SETBIT KEY',
      word('0', '1', '5', '7', '8', '15', '23', '100', '-1', 'x', '4294967296'),
      word('0', '1', '2'),
    ),
    line('GETBIT KEY BITOFFSET'),
    line('BITCOUNT KEY', maybe(all(SMALL, SMALL, maybe(word('BIT', 'BYTE', 'x')))), maybe(word('1'))),
    line('BITPOS KEY BIT', maybe(all(SMALL, maybe(all(SMALL, maybe(word('BIT', 'BYTE', 'x'))))))),
    line('BITOP', word('AND', 'OR', 'XOR', 'NOT', 'x'), KEY, some(KEY)),
    line(
      'BITFIELD KEY',
      some(
        either(
          all(
            word('GET'),
            word('u8', 'i5', 'u63', 'i64', 'u64', 'x', 'i0'),
            word('0', '3', '#1', '100', '-1'),
          ),
          all(word('SET'), word('u8', 'i5', 'u63', 'i64'), word('0', '3', '#1'), INTEGER),
          all(word('INCRBY'), word('u8', 'i5', 'u63', 'i64', 'u1'), word('0', '3', '#1'), INTEGER),
          all(word('OVERFLOW'), word('WRAP', 'SAT', 'FAIL', 'x')),
        ),
        4,
      ),
    ),
    line('BITFIELD_RO KEY GET', word('u8', 'i7'), word('0', '4'), maybe(word('SET', 'GET'))),
  ],
  keys: [
    line('SET KEY VALUE'),
    line('RPUSH KEY VALUES'),
    line('SADD KEY MEMBERS'),
    line('HSET KEY PAIRS'),
    line('ZADD KEY SCORED'),
    line('DEL KEYS'),
    line('UNLINK KEYS'),
    line('EXISTS KEYS'),
    line('TOUCH KEYS'),
    line('TYPE KEY'),
    line('RENAME KEY KEY'),
    line('RENAMENX KEY KEY'),
    line('COPY KEY KEY', any(word('REPLACE', 'x', 'DB'))),
    line('COPY KEY KEY DB 0'),
    line('DBSIZE'),
    line('KEYS', word('*', 'k*', 'k?', 'k[12]', 'k[^12]', 'k[1-3]', 'k\\1', '[', '*1', 'x')),
    line('EXPIREAT KEY', FAR, any(word('NX', 'XX', 'GT', 'LT', 'x'))),
    line('PEXPIREAT KEY', FAR_MS, any(word('NX', 'XX', 'GT', 'LT'))),
    line(
      'EXPIRE KEY',
      word('100', '0', '-1', 'x', '9223372036854775807', '3000'),
      any(word('GT', 'LT', 'NX')),
    ),
    line('PEXPIRE KEY', word('100000', '-1', 'x', '9223372036854775807')),
    line('TTL KEY'),
    line('PTTL KEY'),
    line('EXPIRETIME KEY'),
    line('PEXPIRETIME KEY'),
    line('PERSIST KEY'),
    line('OBJECT', word('FREQ', 'nonsense'), KEY),
    line('SWAPDB 0', word('99')),
    line(
      'SORT KEY',
      any(
        either(
          word('ALPHA', 'DESC', 'ASC', 'x'),
          LIMIT,
          all(word('BY'), word('nosort', 'k*', '*')),
          all(word('GET'), word('#', 'k*', 'x')),
        ),
        3,
      ),
    ),
    line('SORT_RO KEY ALPHA', any(word('DESC', 'STORE'))),
    line('SORT KEY ALPHA STORE KEY'),
    line('FLUSHALL', maybe(word('ASYNC', 'x'))),
    line('nonsense KEY'),
  ],
  hashes: [
    line('HSET KEY PAIRS', any(MEMBER, 1)),
    line('HMSET KEY PAIRS'),
    line('HSETNX KEY MEMBER VALUE'),
    line('HGET KEY MEMBER'),
    line('HMGET KEY MEMBERS'),
    line('HGETALL KEY'),
    line('HDEL KEY MEMBERS'),
    line('HLEN KEY'),
    line('HEXISTS KEY MEMBER'),
    line('HKEYS KEY'),
    line('HVALS KEY'),
    line('HINCRBY KEY MEMBER INTEGER'),
    line('HSET h1 a', word('1', '0.2', '-3.5')),
    line('HGET h1 a'),
    line('HINCRBYFLOAT KEY MEMBER', word('x', 'inf')),
    line('HINCRBYFLOAT h1 a', word('0.1', '-2.5', '1e2', 'x', 'inf', '3')),
    line('HSTRLEN KEY MEMBER'),
    line('SET KEY VALUE'),
    line('HRANDFIELD KEY', word('0', 'x', '1.5')),
  ],
  lists: [
    line('LPUSH KEY VALUES'),
    line('RPUSH KEY VALUES'),
    line('RPUSH KEY VALUES'),
    line('LPUSHX KEY VALUES'),
    line('RPUSHX KEY VALUES'),
    line('LPOP KEY', maybe(COUNT)),
    line('RPOP KEY', maybe(COUNT)),
    line('LLEN KEY'),
    line('LRANGE KEY SMALL SMALL'),
    line('LINDEX KEY SMALL'),
    line('LSET KEY SMALL VALUE'),
    line('LREM KEY SMALL VALUE'),
    line('LTRIM KEY SMALL SMALL'),
    line('LINSERT KEY', word('BEFORE', 'AFTER', 'x'), VALUE, VALUE),
    line('LPOS KEY VALUE', any(either(all(word('RANK', 'COUNT', 'MAXLEN'), SMALL), word('x')))),
    line('LMOVE KEY KEY SIDE SIDE'),
    line('RPOPLPUSH KEY KEY'),
    line('LMPOP', NUMKEYS, word('LEFT', 'RIGHT'), maybe(all(word('COUNT'), COUNT))),
    line('SET KEY VALUE'),
  ],
  sets: [
    line('SADD KEY MEMBERS'),
    line('SADD KEY MEMBERS'),
    line('SREM KEY MEMBERS'),
    line('SMEMBERS KEY'),
    line('SISMEMBER KEY MEMBER'),
    line('SMISMEMBER KEY MEMBERS'),
    line('SCARD KEY'),
    line('SPOP KEY', word('100', '0', '-1', 'x')),
    line('SRANDMEMBER KEY', word('100', '0', 'x')),
    line('SMOVE KEY KEY MEMBER'),
    line('SINTER KEYS'),
    line('SINTERCARD', NUMKEYS, maybe(all(word('LIMIT'), SMALL))),
    line('SUNION KEYS'),
    line('SDIFF KEYS'),
    line('SINTERSTORE KEY KEYS'),
    line('SUNIONSTORE KEY KEYS'),
    line('SDIFFSTORE KEY KEYS'),
    line('SET KEY VALUE'),
  ],
  'sorted sets': [
    line('ZADD KEY', any(word('NX', 'XX', 'GT', 'LT', 'CH', 'INCR')), some(all(SCORE, MEMBER))),
    line('ZADD KEY SCORED'),
    line('ZADD KEY SCORED'),
    line('ZINCRBY KEY SCORE MEMBER'),
    line('ZREM KEY MEMBERS'),
    line('ZCARD KEY'),
    line('ZCOUNT KEY', SCORE_BOUND, SCORE_BOUND),
    line('ZSCORE KEY MEMBER'),
    line('ZMSCORE KEY MEMBERS'),
    line('ZRANK KEY MEMBER'),
    line('ZREVRANK KEY MEMBER'),
    line('ZRANGE KEY SMALL SMALL', any(either(word('REV', 'WITHSCORES', 'x'), LIMIT))),
    line(
      'ZRANGE KEY',
      SCORE_BOUND,
      SCORE_BOUND,
      word('BYSCORE'),
      any(either(word('REV', 'WITHSCORES'), LIMIT)),
    ),
    line('ZRANGESTORE KEY KEY SMALL SMALL', any(word('REV', 'WITHSCORES'))),
    line('ZRANGESTORE KEY KEY', SCORE_BOUND, SCORE_BOUND, word('BYSCORE'), any(either(word('REV'), LIMIT))),
    line('ZRANGEBYSCORE KEY', SCORE_BOUND, SCORE_BOUND, any(either(word('WITHSCORES'), LIMIT))),
    line('ZREVRANGEBYSCORE KEY', SCORE_BOUND, SCORE_BOUND, any(either(word('WITHSCORES'), LIMIT))),
    line('ZREVRANGE KEY SMALL SMALL', maybe(word('WITHSCORES'))),
    line('ZREMRANGEBYRANK KEY SMALL SMALL'),
    line('ZREMRANGEBYSCORE KEY', SCORE_BOUND, SCORE_BOUND),
    line('ZPOPMIN KEY', maybe(COUNT)),
    line('ZPOPMAX KEY', maybe(COUNT)),
    line('ZMPOP', NUMKEYS, word('MIN', 'MAX', 'x'), maybe(all(word('COUNT'), COUNT))),
    ...['ZUNION', 'ZINTER'].map((name) =>
      line(
        name,
        NUMKEYS,
        maybe(all(word('AGGREGATE'), word('SUM', 'MIN', 'MAX', 'x'))),
        maybe(word('WITHSCORES')),
      ),
    ),
    ...['ZUNIONSTORE KEY', 'ZINTERSTORE KEY'].map((name) =>
      line(
        name,
        NUMKEYS,
        maybe(all(word('WEIGHTS'), some(SCORE))),
        maybe(all(word('AGGREGATE'), word('SUM', 'MIN', 'MAX'))),
      ),
    ),
    line('ZDIFF', NUMKEYS, maybe(word('WITHSCORES'))),
    line('ZDIFFSTORE KEY', NUMKEYS),
    line('ZINTERCARD', NUMKEYS, maybe(all(word('LIMIT'), SMALL))),
    line('ZRANDMEMBER KEY', word('0', 'x')),
    line('SADD KEY MEMBERS'),
    line('SET KEY VALUE'),
  ],
  'sorted sets of one score': [
    line('ZADD KEY', some(all(word('0'), MEMBER), 6)),
    line('ZREM KEY MEMBER'),
    line('ZRANGE KEY', LEX_BOUND, LEX_BOUND, word('BYLEX'), any(either(word('REV', 'WITHSCORES'), LIMIT))),
    line('ZRANGEBYLEX KEY', LEX_BOUND, LEX_BOUND, maybe(LIMIT)),
    line('ZREVRANGEBYLEX KEY', LEX_BOUND, LEX_BOUND, maybe(LIMIT)),
    line('ZLEXCOUNT KEY', LEX_BOUND, LEX_BOUND),
    line('ZREMRANGEBYLEX KEY', LEX_BOUND, LEX_BOUND),
  ],
  'large lists': [
    line(
      'RPUSH k1',
      many(300, (number) => [`v${number % 40}`]),
    ),
    line(
      'LPUSH k1',
      many(150, (number) => [`w${number}`]),
    ),
    line('LRANGE k1', PLACE, PLACE),
    line('LTRIM k1', word('0', '5', '130', '-400'), word('-1', '-3', '380', '-140')),
    line('LINDEX k1', PLACE),
    line('LSET k1', PLACE, VALUE),
    line('LREM k1', word('0', '2', '-2', '7'), word('v1', 'v2', 'v39', 'w7')),
    line('LINSERT k1', word('BEFORE', 'AFTER'), word('v5', 'v17', 'w140', 'v39'), VALUE),
    line(
      'LPOS k1',
      word('v5', 'v39', 'w1'),
      any(all(word('RANK', 'COUNT', 'MAXLEN'), word('1', '-1', '3', '-3', '200'))),
    ),
    line('LPOP k1', word('1', '100', '200')),
    line('RPOP k1', word('1', '100', '200')),
    line('LMOVE k1 KEY', word('LEFT', 'RIGHT'), word('LEFT', 'RIGHT')),
  ],
  'large sorted sets': [
    line(
      'ZADD k1',
      many(90, (number) => [String((number * 37) % 50), `m${number}`]),
    ),
    line(
      'ZADD k1',
      many(90, (number) => [String(number / 8), `m${number * 2}`]),
    ),
    line('ZADD k1', any(word('GT', 'LT', 'CH', 'XX')), SCORE, WIDE_MEMBER),
    line('ZINCRBY k1 SCORE', WIDE_MEMBER),
    line('ZREM k1', some(WIDE_MEMBER)),
    line('ZRANK k1', WIDE_MEMBER),
    line('ZREVRANK k1', WIDE_MEMBER),
    line('ZSCORE k1', WIDE_MEMBER),
    line('ZRANGE k1', PLACE, PLACE, any(word('REV', 'WITHSCORES'))),
    line('ZRANGEBYSCORE k1', WIDE_SCORE, WIDE_SCORE, maybe(LIMIT)),
    line('ZREVRANGEBYSCORE k1', WIDE_SCORE, WIDE_SCORE, maybe(LIMIT)),
    line('ZCOUNT k1', WIDE_SCORE, WIDE_SCORE),
    line('ZREMRANGEBYRANK k1', word('0', '60', '-5'), word('3', '65', '-1')),
    line('ZREMRANGEBYSCORE k1', WIDE_SCORE, WIDE_SCORE),
    line('ZPOPMIN k1', word('1', '30')),
    line('ZPOPMAX k1', word('1', '30')),
    line('ZINTERSTORE k2 2 k1 k2', maybe(word('AGGREGATE')), any(word('MAX'), 1)),
    line('ZUNIONSTORE k2 2 k1 k2 WEIGHTS 2 0.5'),
    line('ZDIFF 2 k1 k2 WITHSCORES'),
    line(
      'SADD k2',
      many(70, (number) => [`m${number * 3}`]),
    ),
    line('COPY k1 k3 REPLACE'),
  ],
  'large hashes and sets': [
    line(
      'HSET k1',
      many(40, (number) => [`m${number}`, String(number)]),
    ),
    line('HDEL k1', some(WIDE_MEMBER, 20)),
    line('HINCRBY k1', WIDE_MEMBER, word('3')),
    line('HGET k1', WIDE_MEMBER),
    line('HGETALL k1'),
    line(
      'SADD k2',
      many(60, (number) => [`m${number}`]),
    ),
    line(
      'SADD k3',
      many(40, (number) => [`m${number * 2}`]),
    ),
    line('SREM', word('k2', 'k3'), some(WIDE_MEMBER, 20)),
    line('SMOVE k2 k3', WIDE_MEMBER),
    line('SDIFF k2 k3'),
    line('SINTERSTORE k4 k2 k3'),
    line('SUNIONSTORE k2 k3 k4'),
    line('SMEMBERS', word('k2', 'k3')),
    line('COPY k2 k3 REPLACE'),
  ],
  streams: [
    line(
      'XADD KEY',
      any(word('NOMKSTREAM'), 1),
      word('1-1', '1-*', '2-1', '2', '3-0', '5-5', '0-0', 'x', '7-*'),
      some(all(MEMBER, VALUE)),
    ),
    line(
      'XADD KEY',
      word('MAXLEN', 'MINID'),
      any(word('='), 1),
      word('0', '1', '2', 'x'),
      word('4-*', '9-1', '6-*', '8-*'),
      some(MEMBER),
    ),
    line('XADD KEY', word('10-*', '11-*', '12-*'), all(MEMBER, VALUE)),
    line('XLEN KEY'),
    line(
      'XRANGE KEY',
      word('-', '1', '2-1', '(2-1', '(3', 'x'),
      word('+', '2', '5-5', '(7', '(0-0'),
      maybe(all(word('COUNT', 'x'), SMALL)),
    ),
    line(
      'XREVRANGE KEY',
      word('+', '5-5', '(7', '2'),
      word('-', '1', '(2-1', 'x'),
      maybe(all(word('COUNT'), SMALL)),
    ),
    line('XDEL KEY', some(word('1-1', '2-1', '5-5', '7-0', 'x', '4-0', '10-0'))),
    line('XTRIM KEY', word('MAXLEN', 'MINID', 'x'), word('0', '1', '2', '5-5', 'x', '-1')),
    line(
      'XREAD',
      maybe(all(word('COUNT'), SMALL)),
      word('STREAMS'),
      KEY,
      word('0', '1-1', '2', '$', 'x', '100'),
      any(word('0'), 1),
    ),
    line('SET KEY VALUE'),
    line('DEL KEY'),
  ],
};

/** Where the order of the answer means nothing: by single items or by pairs. */
const UNORDERED: ReadonlyMap<string, 1 | 2> = new Map([
  ...['keys', 'smembers', 'sinter', 'sunion', 'sdiff', 'hkeys', 'hvals', 'spop', 'srandmember'].map(
    (name): [string, 1] => [name, 1],
  ),
  ['hgetall', 2],
]);

/** The answers of these follow the clock, and the two clocks are not one. */
const TIMED: ReadonlySet<string> = new Set(['ttl', 'pttl', 'expiretime', 'pexpiretime']);
const TOLERANCE_MS = 60_000;

/** @throws AssertionError: the replies of ours and of Redis differ in something that matters. */
export function assertAgree(args: readonly string[], ours: Plain, theirs: Plain, message: string): void {
  const name = args[0]!.toLowerCase();
  const [a, b] = [integerIn(ours), integerIn(theirs)];
  const tolerance = TIMED.has(name) ? TOLERANCE_MS / (name.startsWith('p') ? 1 : 1000) : 0;
  if (tolerance > 0 && a > 0 && b > 0 && Math.abs(a - b) <= tolerance) return;
  assert.deepEqual(comparable(args, ours), comparable(args, theirs), message);
}

function integerIn(reply: Plain): number {
  const isToken = typeof reply === 'object' && reply !== null && 'token' in reply;
  return isToken ? Number(reply.token.slice(1)) : Number.NaN;
}

/** A reply in the form in which both must agree. */
function comparable(args: readonly string[], reply: Plain): Plain {
  const name = args[0]!.toLowerCase();
  const step = name === 'sort' && args.includes('nosort') ? 1 : UNORDERED.get(name);
  if (Array.isArray(reply) && step !== undefined) {
    const groups: string[] = [];
    for (let at = 0; at < reply.length; at += step) groups.push(JSON.stringify(reply.slice(at, at + step)));
    return groups.toSorted();
  }
  // Redis 7.0 writes doubles with 17 digits, later ones the shortest: the numbers must agree. Sums of decimals are
  // 80-bit floats there and exact here.
  if (name.startsWith('z') || args[1] === 'f1' || args[1] === 'h1') return withNumbers(reply);
  return reply;
}

function withNumbers(reply: Plain): Plain {
  if (Array.isArray(reply)) return reply.map(withNumbers);
  if (typeof reply === 'string' && /^-?\d+(\.\d+)?(e[+-]\d+)?$/.test(reply))
    return String(Number(Number(reply).toPrecision(14)));
  return reply;
}
