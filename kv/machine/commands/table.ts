// Every command of the machine, by its name in lower case.

import { OK, type Reply, SYNTAX_ERROR } from '../reply.js';
import { publishCommand } from './publish.js';
import type { CommandContext, CommandFlag, RedisCommand } from './command.js';

export type { CommandContext, CommandFlag, KeyPositions, RedisCommand } from './command.js';

const ONE_KEY = { first: 1, last: 1, step: 1 };

const COMMANDS: readonly RedisCommand[] = [
  publishCommand,
  command('get', 2, ['readonly', 'fast'], ({ keyspace }, args) => keyspace.text(args[1]!)),
  command('set', -3, ['write', 'denyoom'], ({ keyspace }, args) => {
    if (args.length > 3) return SYNTAX_ERROR;
    keyspace.set(args[1]!, args[2]!);
    return OK;
  }),
  {
    name: 'del',
    arity: -2,
    flags: ['write'],
    keys: { first: 1, last: -1, step: 1 },
    run({ keyspace }, args) {
      let deleted = 0;
      for (let index = 1; index < args.length; index += 1) deleted += keyspace.delete(args[index]!) ? 1 : 0;
      return deleted;
    },
  },
];

export const commandTable: ReadonlyMap<string, RedisCommand> = new Map(
  COMMANDS.map((each) => [each.name, each]),
);

function command(
  name: string,
  arity: number,
  flags: readonly CommandFlag[],
  run: (context: CommandContext, args: readonly string[]) => Reply,
): RedisCommand {
  return { name, arity, flags, keys: ONE_KEY, run };
}
