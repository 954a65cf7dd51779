// Deadlines of keys: EXPIRE and its kin, TTL and its kin. Time is log time throughout.

import type { Reply } from '../reply.js';
import { fail, integerOf, optionAt } from './arguments.js';
import { type CommandContext, define, ONE_KEY, READ_FAST, type RedisCommand, WRITE_FAST } from './command.js';
import { anyDeadlineOf } from './deadline.js';

export const EXPIRY_COMMANDS: readonly RedisCommand[] = [
  expireCommand('expire', 'EX', 'Sets the time to live of a key in seconds.'),
  expireCommand('pexpire', 'PX', 'Sets the time to live of a key in ms.'),
  expireCommand('expireat', 'EXAT', 'Sets when a key goes, in seconds since 1970.'),
  expireCommand('pexpireat', 'PXAT', 'Sets when a key goes, in ms since 1970.'),
  define('ttl', 2, READ_FAST, ONE_KEY, 'Returns the time to live of a key in seconds.', (context, args) =>
    deadlineAt(context, args[1]!, (atMs) => Math.round(Math.max(0, atMs - context.nowMs) / 1000)),
  ),
  define('pttl', 2, READ_FAST, ONE_KEY, 'Returns the time to live of a key in ms.', (context, args) =>
    deadlineAt(context, args[1]!, (atMs) => Math.max(0, atMs - context.nowMs)),
  ),
  define(
    'expiretime',
    2,
    READ_FAST,
    ONE_KEY,
    'Returns when a key goes, in seconds since 1970.',
    (context, args) => deadlineAt(context, args[1]!, (atMs) => Math.round(atMs / 1000)),
  ),
  define(
    'pexpiretime',
    2,
    READ_FAST,
    ONE_KEY,
    'Returns when a key goes, in ms since 1970.',
    (context, args) => deadlineAt(context, args[1]!, (atMs) => atMs),
  ),
  define('persist', 2, WRITE_FAST, ONE_KEY, 'Takes the time to live of a key away.', ({ keyspace }, args) =>
    keyspace.persist(args[1]!) ? 1 : 0,
  ),
];

function expireCommand(name: string, unit: string, summary: string): RedisCommand {
  return define(name, -3, WRITE_FAST, ONE_KEY, summary, ({ keyspace, nowMs }, args) => {
    const options = new Set<string>();
    for (let at = 3; at < args.length; at += 1) {
      const option = optionAt(args, at);
      if (!['NX', 'XX', 'GT', 'LT'].includes(option)) fail(`ERR Unsupported option ${args[at]!}`);
      options.add(option);
    }
    if (options.has('NX') && options.size > 1) {
      fail('ERR NX and XX, GT or LT options at the same time are not compatible');
    }
    if (options.has('GT') && options.has('LT')) {
      fail('ERR GT and LT options at the same time are not compatible');
    }
    const atMs = anyDeadlineOf(unit, integerOf(args[2]!), nowMs, name);
    const slot = keyspace.find(args[1]!);
    if (slot === undefined) return 0;
    const before = slot.expireAtMs === 0 ? Number.POSITIVE_INFINITY : slot.expireAtMs;
    if (options.has('NX') && slot.expireAtMs !== 0) return 0;
    if (options.has('XX') && slot.expireAtMs === 0) return 0;
    if (options.has('GT') && atMs <= before) return 0;
    if (options.has('LT') && atMs >= before) return 0;
    keyspace.expire(args[1]!, atMs);
    return 1;
  });
}

/** What `answer` makes of the key's deadline; -1 without one, -2 without the key. */
function deadlineAt({ keyspace }: CommandContext, key: string, answer: (atMs: number) => number): Reply {
  const slot = keyspace.find(key);
  if (slot === undefined) return -2;
  return slot.expireAtMs === 0 ? -1 : answer(slot.expireAtMs);
}
