// Commands for properties: few keys and few members, so that they meet; every type of value; deadlines that pass.

import * as fc from 'fast-check';

const KEY = fc.constantFrom('a', 'b', 'c', 'd', 'e', '\0', '\xff');
const MEMBER = fc.constantFrom('x', 'y', 'z', 'w', '', '12', '\xfe\xff');
const NUMBER = fc.integer({ min: -20, max: 40 }).map(String);
const SCORE = fc.constantFrom('0', '-1.5', '3', '1e300', 'inf', '2.25');
const TTL = fc.integer({ min: -5, max: 400 }).map(String);
const VALUE = fc.oneof(
  MEMBER,
  NUMBER,
  fc.nat({ max: 5000 }).map((length) => 'v'.repeat(length)),
);

export const COMMAND: fc.Arbitrary<string[]> = fc.oneof(
  words('SET', KEY, VALUE),
  words('SET', KEY, VALUE, fc.constant('PX'), TTL),
  words('SET', KEY, VALUE, fc.constant('KEEPTTL')),
  words('APPEND', KEY, VALUE),
  words('SETRANGE', KEY, fc.nat({ max: 30 }).map(String), MEMBER),
  words('SETBIT', KEY, fc.nat({ max: 200 }).map(String), fc.constantFrom('0', '1')),
  words('INCRBY', KEY, NUMBER),
  words('GET', KEY),
  words('GETDEL', KEY),
  words('MSET', KEY, VALUE, KEY, VALUE),
  words('DEL', KEY, KEY),
  words('RENAME', KEY, KEY),
  words('COPY', KEY, KEY, fc.constant('REPLACE')),
  words('PEXPIRE', KEY, TTL),
  words('PERSIST', KEY),
  words('HSET', KEY, MEMBER, VALUE),
  words('HDEL', KEY, MEMBER),
  words('HINCRBY', KEY, MEMBER, NUMBER),
  words('RPUSH', KEY, MEMBER, VALUE),
  words('LPOP', KEY),
  words('LSET', KEY, NUMBER, VALUE),
  words('LMOVE', KEY, KEY, fc.constantFrom('LEFT', 'RIGHT'), fc.constantFrom('LEFT', 'RIGHT')),
  words('SADD', KEY, MEMBER, MEMBER),
  words('SREM', KEY, MEMBER),
  words('SPOP', KEY),
  words('SMOVE', KEY, KEY, MEMBER),
  words('SUNIONSTORE', KEY, KEY, KEY),
  words('ZADD', KEY, SCORE, MEMBER),
  words('ZINCRBY', KEY, SCORE, MEMBER),
  words('ZREM', KEY, MEMBER),
  words('ZPOPMIN', KEY),
  words('ZUNIONSTORE', KEY, fc.constant('2'), KEY, KEY),
  words('XADD', KEY, fc.constant('*'), MEMBER, VALUE),
  words('XTRIM', KEY, fc.constant('MAXLEN'), fc.constantFrom('0', '2')),
  words('SRANDMEMBER', KEY),
  words('NOTHING', KEY),
  fc.constant<string[]>(['FLUSHALL']),
);

export type Step =
  | { readonly do: 'commands'; readonly commands: readonly string[][] }
  | { readonly do: 'exec'; readonly commands: readonly string[][]; readonly watch: string }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'quota'; readonly bytes: number };

export const STEP: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('commands' as const),
      commands: fc.array(COMMAND, { maxLength: 8 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('exec' as const),
      commands: fc.array(COMMAND, { maxLength: 5 }),
      watch: KEY,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat({ max: 300 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('quota' as const), bytes: fc.constantFrom(0, 3000, 100_000) }),
  },
);

function words(name: string, ...rest: fc.Arbitrary<string>[]): fc.Arbitrary<string[]> {
  return fc.tuple(fc.constant(name), ...rest);
}
