// ACL: shows who may do what. It changes nothing: users come from the file that the server was given.

import { ErrorReply, MapReply, type Reply } from '../../machine/reply.js';
import type { User } from '../access-list.js';
import { CATEGORIES } from '../command-groups.js';
import type { LocalCommand } from '../command-set.js';
import { unknownSubcommand, wrongArity } from '../error-replies.js';
import type { RespClient } from '../resp-client.js';

const READ_ONLY = new ErrorReply('ERR users are changed in the file that the server was started with');

export const aclCommand: LocalCommand = {
  name: 'acl',
  arity: -2,
  inTransaction: 'refuse',
  summary: 'Shows users and what they may do',
  run(client, args) {
    const { users } = client.shared.access;
    switch (args[1]!.toLowerCase()) {
      case 'whoami':
        return client.user?.name ?? null;
      case 'users':
        return [...users.keys()].toSorted();
      case 'list':
        return [...users.values()].map((user) => user.describe()).toSorted();
      case 'getuser':
        if (args.length !== 3) return wrongArity('acl|getuser');
        return describe(users.get(args[2]!));
      case 'cat':
        return args.length === 2 ? CATEGORIES : inCategory(client, args[2]!.toLowerCase());
      case 'setuser':
      case 'deluser':
      case 'load':
      case 'save':
        return READ_ONLY;
      case 'log':
        return [];
      case 'help':
        return ['ACL <subcommand>: CAT [<category>], GETUSER <name>, LIST, USERS, WHOAMI'];
      default:
        return unknownSubcommand('acl', args[1]!);
    }
  },
};

function describe(user: User | undefined): Reply {
  if (user === undefined) return null;
  const flags = [user.isEnabled ? 'on' : 'off', ...(user.hasNoPassword ? ['nopass'] : [])];
  const commands = user.commands[0] === '+@all' ? user.commands : ['-@all', ...user.commands];
  return new MapReply([
    'flags',
    flags,
    'passwords',
    user.passwords,
    'commands',
    commands.join(' '),
    'keys',
    user.keys.map((pattern) => `~${pattern}`).join(' '),
    'channels',
    user.channels.map((pattern) => `&${pattern}`).join(' '),
    'selectors',
    [],
  ]);
}

function inCategory(client: RespClient, category: string): Reply {
  if (!CATEGORIES.includes(category)) return new ErrorReply(`ERR Unknown category '${category}'`);
  return [...client.shared.commands.all.values()]
    .filter(({ categories }) => categories.includes(category))
    .map(({ name }) => name);
}
