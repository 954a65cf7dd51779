// CONFIG: shows and changes parameters; resp-config.ts has them.

import { ErrorReply, MapReply, OK, type Reply } from '../../machine/reply.js';
import type { LocalCommand } from '../command-set.js';
import { unknownSubcommand, wrongArity } from '../error-replies.js';
import type { RespClient } from '../resp-client.js';
import { submitAll } from './through-log.js';

export const configCommand: LocalCommand = {
  name: 'config',
  arity: -2,
  inTransaction: 'refuse',
  summary: 'Shows and changes parameters',
  run(client, args) {
    const { shared } = client;
    const name = args[1]!.toLowerCase();
    switch (name) {
      case 'get':
        if (args.length < 3) return wrongArity('config|get');
        return new MapReply(shared.config.matching(args.slice(2), shared));
      case 'set':
        if (args.length < 4 || args.length % 2 === 1) return wrongArity('config|set');
        return set(client, args);
      case 'resetstat':
        shared.figures.reset();
        shared.commands.resetStats();
        return OK;
      case 'rewrite':
        return new ErrorReply('ERR The server is running without a config file');
      case 'help':
        return ['CONFIG <subcommand>: GET <pattern>…, SET <name> <value>…, RESETSTAT'];
      default:
        return unknownSubcommand('config', args[1]!);
    }
  },
};

function set({ shared }: RespClient, args: readonly string[]): Reply | Promise<Reply> {
  const pairs: [string, string][] = [];
  for (let at = 2; at < args.length; at += 2) pairs.push([args[at]!, args[at + 1]!]);
  const replicated = shared.config.change(pairs, shared);
  if (typeof replicated === 'string') return new ErrorReply(`ERR ${replicated}`);
  if (replicated.length === 0) return OK;
  for (const { setting, value } of replicated) shared.items.setting(setting, value);
  return submitAll(shared).then((replies) => replies.find((reply) => reply instanceof ErrorReply) ?? OK);
}
