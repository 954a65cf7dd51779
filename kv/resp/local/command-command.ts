// COMMAND: shows the commands there are. redis-cli asks for DOCS when it starts, clients ask for keys and arity.

import { globMatches } from '../../machine/commands/glob.js';
import {
  ErrorReply,
  MapReply,
  NIL_ARRAY,
  type Reply,
  SetReply,
  StatusReply,
  SYNTAX_ERROR,
} from '../../machine/reply.js';
import type { Command, LocalCommand } from '../command-set.js';
import { unknownSubcommand, wrongArity } from '../error-replies.js';
import type { RespClient } from '../resp-client.js';

/** How a command shows flags that only this server has a use for. */
const SHOWN_FLAGS: Readonly<Record<string, readonly string[]>> = {
  publish: ['pubsub', 'loading', 'stale', 'fast'],
};

export const commandCommand: LocalCommand = {
  name: 'command',
  arity: -1,
  summary: 'Shows the commands of this server',
  run(client, args) {
    const { all } = client.shared.commands;
    switch (args[1]?.toLowerCase()) {
      case undefined:
        return [...all.values()].map(describe);
      case 'count':
        return all.size;
      case 'info':
        return args.length === 2
          ? [...all.values()].map(describe)
          : args.slice(2).map((name) => describe(all.get(name.toLowerCase())));
      case 'docs':
        return docs(client, args.slice(2));
      case 'list':
        return list(client, args.slice(2));
      case 'getkeys':
        return args.length < 3 ? wrongArity('command|getkeys') : keysOf(client, args.slice(2));
      case 'help':
        return [
          'COMMAND [<subcommand>]: COUNT, DOCS [<name>…], GETKEYS <command>…, INFO [<name>…], LIST [FILTERBY …]',
        ];
      default:
        return unknownSubcommand('command', args[1]!);
    }
  },
};

function describe(command: Command | undefined): Reply {
  if (command === undefined) return NIL_ARRAY;
  const { name, arity, flags, keys, categories } = command;
  const { first, last, step } = keys;
  const words = (texts: readonly string[]): Reply => new SetReply(texts.map((text) => new StatusReply(text)));
  const shown = SHOWN_FLAGS[name] ?? flags;
  return [
    name,
    arity,
    words(shown),
    first,
    last,
    step,
    words(categories.map((category) => `@${category}`)),
    [], // tips
    [], // key specifications
    [], // subcommands
  ];
}

function docs(client: RespClient, names: readonly string[]): Reply {
  const { all } = client.shared.commands;
  const asked =
    names.length === 0 ? [...all.values()] : names.flatMap((name) => all.get(name.toLowerCase()) ?? []);
  return new MapReply(
    asked.flatMap(({ name, group, summary }) => [
      name,
      new MapReply(['summary', summary, 'since', '1.0.0', 'group', group]),
    ]),
  );
}

function list(client: RespClient, filter: readonly string[]): Reply {
  const commands = [...client.shared.commands.all.values()];
  if (filter.length === 0) return commands.map(({ name }) => name);
  const [word, kind, value] = filter.map((text) => text.toLowerCase());
  if (word !== 'filterby' || value === undefined || filter.length > 3) return SYNTAX_ERROR;
  switch (kind) {
    case 'pattern':
      return commands.filter(({ name }) => globMatches(value, name)).map(({ name }) => name);
    case 'aclcat':
      return commands.filter(({ categories }) => categories.includes(value)).map(({ name }) => name);
    case 'module':
      return [];
    default:
      return SYNTAX_ERROR;
  }
}

function keysOf(client: RespClient, args: readonly string[]): Reply {
  const command = client.shared.commands.all.get(args[0]!.toLowerCase());
  if (command === undefined) return new ErrorReply('ERR Invalid command specified');
  if (!command.takes(args.length))
    return new ErrorReply('ERR Invalid number of arguments specified for command');
  const keys = command.keysOf(args);
  return keys.length === 0 ? new ErrorReply('ERR The command has no key arguments') : keys;
}
