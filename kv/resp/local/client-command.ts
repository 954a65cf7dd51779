// CLIENT: who is connected, under which name, and who shall not be any more.

import { ErrorReply, OK, type Reply, SYNTAX_ERROR, VerbatimReply } from '../../machine/reply.js';
import type { LocalCommand, NO_REPLY } from '../command-set.js';
import { NO_REPLY as NOTHING } from '../command-set.js';
import { unknownSubcommand, wrongArity } from '../error-replies.js';
import type { RespClient } from '../resp-client.js';
import { isClientName } from './client-name.js';

type Answer = Reply | typeof NO_REPLY;
type Subcommand = readonly [
  min: number,
  max: number,
  run: (client: RespClient, args: readonly string[]) => Answer,
];

const NO_SUCH_CLIENT = new ErrorReply('ERR No such client');
const NOT_A_NAME = new ErrorReply('ERR Client names cannot contain spaces, newlines or special characters.');
const NOT_SUPPORTED = new ErrorReply('ERR CLIENT TRACKING is not supported by this server');

/** By name: how many words there may be, `client` and the subcommand included. */
const SUBCOMMANDS: Readonly<Record<string, Subcommand>> = {
  id: [2, 2, (client) => client.id],
  getname: [2, 2, (client) => (client.name === '' ? null : client.name)],
  setname: [3, 3, setName],
  info: [2, 2, (client) => new VerbatimReply('txt', `${describe(client)}\n`)],
  list: [2, Infinity, list],
  kill: [3, Infinity, kill],
  reply: [3, 3, setReply],
  setinfo: [4, 4, setInfo],
  'no-evict': [3, 3, onOrOff],
  'no-touch': [3, 3, onOrOff],
  unpause: [2, 2, () => OK],
  pause: [
    3,
    4,
    () => new ErrorReply('ERR CLIENT PAUSE is not supported: clients of other members would go on'),
  ],
  getredir: [2, 2, () => -1],
  tracking: [3, Infinity, (_client, args) => (args[2]!.toLowerCase() === 'off' ? OK : NOT_SUPPORTED)],
  unblock: [3, 4, () => 0],
  help: [
    2,
    2,
    () => ['CLIENT <subcommand>: GETNAME ID INFO KILL LIST NO-EVICT REPLY SETINFO SETNAME UNPAUSE'],
  ],
};

export const clientCommand: LocalCommand = {
  name: 'client',
  arity: -2,
  inTransaction: 'refuse',
  summary: 'Shows and changes connections',
  run(client, args) {
    const name = args[1]!.toLowerCase();
    if (!Object.hasOwn(SUBCOMMANDS, name)) return unknownSubcommand('client', args[1]!);
    const [min, max, run] = SUBCOMMANDS[name]!;
    return args.length < min || args.length > max ? wrongArity(`client|${name}`) : run(client, args);
  },
};

function setName(client: RespClient, args: readonly string[]): Reply {
  if (!isClientName(args[2]!)) return NOT_A_NAME;
  client.name = args[2]!;
  return OK;
}

function setInfo(client: RespClient, args: readonly string[]): Reply {
  const [name, value] = [args[2]!.toLowerCase(), args[3]!];
  if (!isClientName(value))
    return new ErrorReply(`ERR ${name} cannot contain spaces, newlines or special characters.`);
  if (name === 'lib-name') client.libraryName = value;
  else if (name === 'lib-ver') client.libraryVersion = value;
  else return new ErrorReply(`ERR Unrecognized option '${args[2]}'`);
  return OK;
}

function setReply(client: RespClient, args: readonly string[]): Answer {
  switch (args[2]!.toLowerCase()) {
    case 'on':
      client.isSilenced = false;
      return OK;
    case 'off':
      client.isSilenced = true;
      return NOTHING;
    case 'skip':
      client.skipsNext = !client.isSilenced;
      return NOTHING;
    default:
      return SYNTAX_ERROR;
  }
}

function onOrOff(_client: RespClient, args: readonly string[]): Reply {
  return ['on', 'off'].includes(args[2]!.toLowerCase()) ? OK : SYNTAX_ERROR;
}

function list(client: RespClient, args: readonly string[]): Reply {
  const filter = args[2]?.toLowerCase();
  let shown = [...client.shared.clients.values()];
  if (filter === 'type' && args.length === 4) {
    const type = args[3]!.toLowerCase();
    if (!['normal', 'pubsub', 'master', 'replica', 'slave'].includes(type))
      return new ErrorReply(`ERR Unknown client type '${args[3]}'`);
    shown = shown.filter((each) => typeOf(each) === type);
  } else if (filter === 'id' && args.length > 3) {
    const ids = new Set(args.slice(3).map(Number));
    shown = shown.filter(({ id }) => ids.has(id));
  } else if (filter !== undefined) {
    return SYNTAX_ERROR;
  }
  return new VerbatimReply('txt', shown.map((each) => `${describe(each)}\n`).join(''));
}

function kill(client: RespClient, args: readonly string[]): Reply {
  const others = [...client.shared.clients.values()];
  if (args.length === 3) {
    const found = others.find((each) => addressOf(each) === args[2]);
    if (found === undefined) return NO_SUCH_CLIENT;
    end(found, client);
    return OK;
  }
  if (args.length % 2 === 1) return SYNTAX_ERROR;
  let skipsMe = true;
  const tests: ((each: RespClient) => boolean)[] = [];
  for (let at = 2; at < args.length; at += 2) {
    const value = args[at + 1]!;
    switch (args[at]!.toLowerCase()) {
      case 'id':
        if (!/^\d{1,15}$/.test(value)) return new ErrorReply('ERR client-id should be greater than 0');
        tests.push(({ id }) => id === Number(value));
        break;
      case 'addr':
        tests.push((each) => addressOf(each) === value);
        break;
      case 'laddr':
        tests.push((each) => localAddressOf(each) === value);
        break;
      case 'type':
        tests.push((each) => typeOf(each) === value.toLowerCase());
        break;
      case 'user':
        if (!client.shared.access.users.has(value)) return new ErrorReply(`ERR No such user '${value}'`);
        tests.push(({ user }) => user?.name === value);
        break;
      case 'skipme':
        if (!['yes', 'no'].includes(value.toLowerCase())) return SYNTAX_ERROR;
        skipsMe = value.toLowerCase() === 'yes';
        break;
      default:
        return SYNTAX_ERROR;
    }
  }
  const killed = others.filter((each) => !(skipsMe && each === client) && tests.every((test) => test(each)));
  for (const each of killed) end(each, client);
  return killed.length;
}

/** Somebody else's connection breaks; one's own ends with its answer. */
function end(client: RespClient, by: RespClient): void {
  if (client === by) client.leave();
  else client.cut();
}

function typeOf(client: RespClient): string {
  return client.isSubscribed ? 'pubsub' : 'normal';
}

function addressOf({ connection }: RespClient): string {
  const { remoteAddress, remotePort } = connection;
  if (remoteAddress === undefined) return 'unix:0';
  return remoteAddress.includes(':') ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}

function localAddressOf({ shared }: RespClient): string {
  return `:${shared.port}`;
}

/** A line as CLIENT LIST has it. */
export function describe(client: RespClient): string {
  const { shared, connection, writer, transaction } = client;
  const flags = `${client.isSubscribed ? 'P' : ''}${transaction === null ? '' : 'x'}${client.isStale ? 'r' : ''}`;
  const fields: readonly (readonly [string, string | number])[] = [
    ['id', client.id],
    ['addr', addressOf(client)],
    ['laddr', localAddressOf(client)],
    ['fd', -1],
    ['name', client.name],
    ['age', Math.floor((Date.now() - client.connectedAtMs) / 1000)],
    ['idle', Math.floor((shared.loop.nowMs - client.lastInputMs) / 1000)],
    ['flags', flags === '' ? 'N' : flags],
    ['db', 0],
    ['sub', client.channels.size],
    ['psub', client.patterns.size],
    ['ssub', 0],
    ['multi', transaction === null ? -1 : transaction.queued.length],
    ['qbuf', client.waitingBytes],
    ['obl', 0],
    ['oll', 0],
    ['omem', connection.outputBytes],
    ['events', 'r'],
    ['cmd', client.lastCommand === '' ? 'NULL' : client.lastCommand],
    ['user', client.user?.name ?? '(none)'],
    ['redir', -1],
    ['resp', writer.protocol],
    ['lib-name', client.libraryName],
    ['lib-ver', client.libraryVersion],
  ];
  return fields.map(([name, value]) => `${name}=${value}`).join(' ');
}
