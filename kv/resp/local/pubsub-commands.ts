// SUBSCRIBE and its kin. PUBLISH is a command of the machine: it comes back from the log to subscriptions.ts.

import { ErrorReply, MapReply, type Reply } from '../../machine/reply.js';
import { type LocalCommand, NO_REPLY } from '../command-set.js';
import { unknownSubcommand } from '../error-replies.js';
import type { RespClient } from '../resp-client.js';
import { SUBSCRIPTIONS_PER_CLIENT_MAX } from '../subscriptions.js';

const TOO_MANY = new ErrorReply('ERR too many subscriptions on one connection');
const ALWAYS = { inTransaction: 'refuse', isForSubscribers: true } as const;

export const pubsubCommands: readonly LocalCommand[] = [
  { name: 'subscribe', arity: -2, run: subscribe, ...ALWAYS, summary: 'Listens to channels' },
  { name: 'unsubscribe', arity: -1, run: unsubscribe, ...ALWAYS, summary: 'Listens to channels no more' },
  {
    name: 'psubscribe',
    arity: -2,
    run: subscribePatterns,
    ...ALWAYS,
    summary: 'Listens to channels by pattern',
  },
  { name: 'punsubscribe', arity: -1, run: unsubscribePatterns, ...ALWAYS, summary: 'Undoes PSUBSCRIBE' },
  { name: 'pubsub', arity: -2, run: pubsub, summary: 'Shows who listens on this member' },
];

function subscribe(client: RespClient, args: readonly string[]): Reply | typeof NO_REPLY {
  if (countOf(client) + args.length - 1 > SUBSCRIPTIONS_PER_CLIENT_MAX) return TOO_MANY;
  const added = [...new Set(args.slice(1))].filter((channel) => !client.channels.has(channel));
  if (!client.hold(added)) return TOO_MANY;
  for (const channel of args.slice(1)) {
    client.shared.subscriptions.subscribe(client, channel);
    client.writer.addPush(['subscribe', channel, countOf(client)]);
  }
  return NO_REPLY;
}

function subscribePatterns(client: RespClient, args: readonly string[]): Reply | typeof NO_REPLY {
  if (countOf(client) + args.length - 1 > SUBSCRIPTIONS_PER_CLIENT_MAX) return TOO_MANY;
  const added = [...new Set(args.slice(1))].filter((pattern) => !client.patterns.has(pattern));
  if (!client.hold(added)) return TOO_MANY;
  for (const pattern of args.slice(1)) {
    client.shared.subscriptions.subscribePattern(client, pattern);
    client.writer.addPush(['psubscribe', pattern, countOf(client)]);
  }
  return NO_REPLY;
}

function unsubscribe(client: RespClient, args: readonly string[]): typeof NO_REPLY {
  const channels = args.length > 1 ? args.slice(1) : [...client.channels];
  for (const channel of channels) {
    if (client.channels.has(channel)) client.letGo([channel]);
    client.shared.subscriptions.unsubscribe(client, channel);
    client.writer.addPush(['unsubscribe', channel, countOf(client)]);
  }
  if (channels.length === 0) client.writer.addPush(['unsubscribe', null, countOf(client)]);
  return NO_REPLY;
}

function unsubscribePatterns(client: RespClient, args: readonly string[]): typeof NO_REPLY {
  const patterns = args.length > 1 ? args.slice(1) : [...client.patterns];
  for (const pattern of patterns) {
    if (client.patterns.has(pattern)) client.letGo([pattern]);
    client.shared.subscriptions.unsubscribePattern(client, pattern);
    client.writer.addPush(['punsubscribe', pattern, countOf(client)]);
  }
  if (patterns.length === 0) client.writer.addPush(['punsubscribe', null, countOf(client)]);
  return NO_REPLY;
}

function countOf({ channels, patterns }: RespClient): number {
  return channels.size + patterns.size;
}

function pubsub(client: RespClient, args: readonly string[]): Reply {
  const { subscriptions } = client.shared;
  switch (args[1]!.toLowerCase()) {
    case 'channels':
      return subscriptions.channelsLike(args[2]);
    case 'numsub':
      return new MapReply(args.slice(2).flatMap((channel) => [channel, subscriptions.listenersOf(channel)]));
    case 'numpat':
      return subscriptions.patternCount;
    case 'shardchannels':
    case 'shardnumsub':
      return [];
    case 'help':
      return ['PUBSUB <subcommand>: CHANNELS [<pattern>], NUMPAT, NUMSUB [<channel>…]'];
    default:
      return unknownSubcommand('pubsub', args[1]!);
  }
}
