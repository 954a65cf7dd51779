// Commands about the connection itself: who is there, in which protocol, and good-bye.

import { ErrorReply, MapReply, OK, type Reply, StatusReply } from '../../machine/reply.js';
import type { LocalCommand } from '../command-set.js';
import { WRONG_PASSWORD } from '../error-replies.js';
import type { RespClient } from '../resp-client.js';
import { REDIS_VERSION } from '../redis-version.js';
import { isClientName } from './client-name.js';

const PONG = new StatusReply('PONG');
const RESET = new StatusReply('RESET');
const NO_PASSWORD_SET = new ErrorReply(
  'ERR AUTH <password> called without any password configured for the default user. ' +
    'Are you sure your configuration is correct?',
);
const HELLO_NEEDS_AUTH = new ErrorReply(
  'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> ' +
    'option can be used to authenticate the client and select the RESP protocol version at the same time',
);

export const connectionCommands: readonly LocalCommand[] = [
  { name: 'ping', arity: -1, run: ping, isForSubscribers: true, summary: 'Answers PONG' },
  { name: 'echo', arity: 2, run: (_client, args) => args[1]!, summary: 'Answers its argument' },
  { name: 'quit', arity: -1, run: quit, ...anytime(), summary: 'Closes the connection' },
  {
    name: 'reset',
    arity: 1,
    run: reset,
    ...anytime(),
    summary: 'Makes the connection as it was when it was new',
  },
  { name: 'select', arity: 2, run: select, summary: 'Accepts database 0' },
  { name: 'auth', arity: -2, run: auth, isForStrangers: true, summary: 'Says who the client is' },
  { name: 'hello', arity: -1, run: hello, isForStrangers: true, summary: 'Chooses the protocol version' },
  {
    name: 'readonly',
    arity: 1,
    run: (client) => setStale(client, true),
    summary: 'Reads may be stale from here on',
  },
  {
    name: 'readwrite',
    arity: 1,
    run: (client) => setStale(client, false),
    summary: 'Reads are linearizable again',
  },
];

function anytime(): Partial<LocalCommand> {
  return { inTransaction: 'now', isForStrangers: true, isForSubscribers: true };
}

function ping(client: RespClient, args: readonly string[]): Reply {
  if (args.length > 2) return new ErrorReply("ERR wrong number of arguments for 'ping' command");
  if (client.isSubscribed && client.writer.protocol === 2) return ['pong', args[1] ?? ''];
  return args[1] ?? PONG;
}

function quit(client: RespClient): Reply {
  client.leave();
  return OK;
}

function reset(client: RespClient): Reply {
  client.forgetTransaction();
  client.letGo([...client.channels, ...client.patterns]);
  client.shared.subscriptions.forget(client);
  client.writer.protocol = 2;
  client.become(client.shared.access.stranger);
  client.name = '';
  client.isStale = false;
  client.isSilenced = false;
  return RESET;
}

function select(_client: RespClient, args: readonly string[]): Reply {
  if (!/^-?\d{1,10}$/.test(args[1]!)) return new ErrorReply('ERR value is not an integer or out of range');
  return Number(args[1]) === 0 ? OK : new ErrorReply('ERR DB index is out of range');
}

function auth(client: RespClient, args: readonly string[]): Reply {
  if (args.length > 3) return new ErrorReply('ERR syntax error');
  const { access } = client.shared;
  if (args.length === 2 && !access.isDefaultProtected) return NO_PASSWORD_SET;
  const [name, password] = args.length === 2 ? ['default', args[1]!] : [args[1]!, args[2]!];
  const user = access.authenticate(name, password);
  if (user === null) return WRONG_PASSWORD;
  client.become(user);
  return OK;
}

function hello(client: RespClient, args: readonly string[]): Reply {
  let protocol = client.writer.protocol;
  if (args.length > 1) {
    if (!/^\d{1,9}$/.test(args[1]!))
      return new ErrorReply('ERR Protocol version is not an integer or out of range');
    const asked = Number(args[1]);
    if (asked !== 2 && asked !== 3) return new ErrorReply('NOPROTO unsupported protocol version');
    protocol = asked;
  }
  let name: string | null = null;
  let { user } = client;
  for (let at = 2; at < args.length; ) {
    const option = args[at]!.toLowerCase();
    if (option === 'auth' && at + 2 < args.length) {
      user = client.shared.access.authenticate(args[at + 1]!, args[at + 2]!);
      if (user === null) return WRONG_PASSWORD;
      at += 3;
    } else if (option === 'setname' && at + 1 < args.length) {
      name = args[at + 1]!;
      if (!isClientName(name)) return NOT_A_NAME;
      at += 2;
    } else {
      return new ErrorReply(`ERR Syntax error in HELLO option '${args[at]}'`);
    }
  }
  if (user === null) return HELLO_NEEDS_AUTH;
  client.become(user);
  if (name !== null) client.name = name;
  client.writer.protocol = protocol;
  const { role } = client.shared.backend.status();
  return new MapReply([
    'server',
    'redis',
    'version',
    REDIS_VERSION,
    'proto',
    protocol,
    'id',
    client.id,
    'mode',
    'standalone',
    'role',
    role === 'leader' ? 'master' : 'replica',
    'modules',
    [],
  ]);
}

const NOT_A_NAME = new ErrorReply('ERR Client names cannot contain spaces, newlines or special characters.');

function setStale(client: RespClient, isStale: boolean): Reply {
  client.isStale = isStale;
  return OK;
}
