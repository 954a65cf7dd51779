// Which family a command belongs to: what COMMAND DOCS calls its group, and what permissions call its category.
// command-set.ts reads it; a command that is missing here is 'generic'.

export type CommandGroup =
  | 'bitmap'
  | 'connection'
  | 'generic'
  | 'geo'
  | 'hash'
  | 'hyperloglog'
  | 'list'
  | 'pubsub'
  | 'scripting'
  | 'server'
  | 'set'
  | 'sorted-set'
  | 'stream'
  | 'string'
  | 'transactions';

const WORDS: Readonly<Record<Exclude<CommandGroup, 'generic'>, string>> = {
  bitmap: 'bitcount bitfield bitfield_ro bitop bitpos getbit setbit',
  connection: 'auth client echo hello ping quit reset select readonly readwrite',
  geo: 'geoadd geodist geohash geopos georadius georadiusbymember geosearch geosearchstore',
  hash: 'hdel hexists hget hgetall hincrby hincrbyfloat hkeys hlen hmget hmset hrandfield hscan hset hsetnx hstrlen hvals',
  hyperloglog: 'pfadd pfcount pfmerge',
  list: 'lindex linsert llen lmove lmpop lpop lpos lpush lpushx lrange lrem lset ltrim rpop rpoplpush rpush rpushx',
  pubsub: 'publish psubscribe punsubscribe pubsub subscribe unsubscribe',
  scripting: 'eval evalsha fcall script function',
  server:
    'acl bgsave bgrewriteaof command config dbsize debug flushall flushdb info lastsave latency memory monitor role save ' +
    'shutdown slowlog swapdb time cluster raft.status raft.transfer raft.members raft.snapshot',
  set:
    'sadd scard sdiff sdiffstore sinter sintercard sinterstore sismember smembers smismember smove spop srandmember srem ' +
    'sscan sunion sunionstore',
  'sorted-set':
    'zadd zcard zcount zdiff zdiffstore zincrby zinter zintercard zinterstore zlexcount zmpop zmscore zpopmax zpopmin ' +
    'zrandmember zrange zrangebylex zrangebyscore zrangestore zrank zrem zremrangebylex zremrangebyrank ' +
    'zremrangebyscore zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion zunionstore',
  stream:
    'xack xadd xautoclaim xclaim xdel xgroup xinfo xlen xpending xrange xread xreadgroup xrevrange xsetid xtrim',
  string:
    'append decr decrby get getdel getex getrange getset incr incrby incrbyfloat lcs mget mset msetnx psetex set setex ' +
    'setnx setrange strlen substr',
  transactions: 'discard exec multi unwatch watch',
};

const GROUP_OF: ReadonlyMap<string, CommandGroup> = new Map(
  Object.entries(WORDS).flatMap(([group, words]) =>
    words.split(' ').map((word) => [word, group as CommandGroup] as const),
  ),
);

/** As Redis classes them: commands that show or change more than the caller's own data, or take long. */
const DANGEROUS: ReadonlySet<string> = new Set(
  (
    'acl bgsave bgrewriteaof cluster config debug flushall flushdb info keys lastsave latency monitor raft.members ' +
    'raft.snapshot raft.transfer role save shutdown slowlog sort swapdb'
  ).split(' '),
);
const ADMIN: ReadonlySet<string> = new Set(
  (
    'acl bgsave bgrewriteaof cluster config debug latency monitor raft.members raft.snapshot raft.transfer save shutdown ' +
    'slowlog'
  ).split(' '),
);

/** Names of categories without their `@`, in the order in which ACL CAT tells them. */
export const CATEGORIES: readonly string[] = (
  'keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub admin fast slow blocking ' +
  'dangerous connection transaction scripting'
).split(' ');

export function groupOf(name: string): CommandGroup {
  return GROUP_OF.get(name) ?? 'generic';
}

export function categoriesOf(name: string, flags: readonly string[]): readonly string[] {
  const group = groupOf(name);
  const categories = new Set<string>();
  if (group === 'sorted-set') categories.add('sortedset');
  else if (group === 'transactions') categories.add('transaction');
  else if (group === 'generic') categories.add('keyspace');
  else if (group !== 'server') categories.add(group);
  if (['flushall', 'flushdb', 'dbsize', 'swapdb'].includes(name)) categories.add('keyspace');
  if (flags.includes('readonly')) categories.add('read');
  if (flags.includes('write') && group !== 'pubsub') categories.add('write');
  categories.add(flags.includes('fast') ? 'fast' : 'slow');
  if (DANGEROUS.has(name)) categories.add('dangerous');
  if (ADMIN.has(name)) categories.add('admin');
  return CATEGORIES.filter((category) => categories.has(category));
}
