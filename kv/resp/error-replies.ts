// What clients are told of failures, in Redis's words where Redis has any.
// resp-client.ts answers with them. There is never a -MOVED: every member takes every command.

import type { KvError } from '../errors.js';
import { ErrorReply, OUT_OF_MEMORY } from '../machine/reply.js';

export const NO_AUTH: ErrorReply = new ErrorReply('NOAUTH Authentication required.');
export const WRONG_PASSWORD: ErrorReply = new ErrorReply(
  'WRONGPASS invalid username-password pair or user is disabled.',
);
export const NO_KEY_PERMISSION: ErrorReply = new ErrorReply(
  'NOPERM this user has no permissions to access one of the keys used as arguments',
);
export const NO_CHANNEL_PERMISSION: ErrorReply = new ErrorReply(
  'NOPERM this user has no permissions to access one of the channels used as arguments',
);
export const TOO_MANY_CLIENTS: ErrorReply = new ErrorReply('ERR max number of clients reached');
export const SHUTTING_DOWN: ErrorReply = new ErrorReply('ERR the server is shutting down');

/** As much of the arguments as Redis quotes. */
const QUOTED_BYTES_MAX = 128;

export function unknownCommand(args: readonly string[]): ErrorReply {
  let quoted = '';
  for (const arg of args.slice(1)) {
    if (quoted.length >= QUOTED_BYTES_MAX) break;
    quoted += `'${arg.slice(0, QUOTED_BYTES_MAX - quoted.length)}' `;
  }
  const name = args[0]!.slice(0, QUOTED_BYTES_MAX);
  return new ErrorReply(`ERR unknown command '${name}', with args beginning with: ${quoted}`);
}

export function unknownSubcommand(command: string, word: string): ErrorReply {
  const shown = word.slice(0, QUOTED_BYTES_MAX);
  return new ErrorReply(`ERR unknown subcommand '${shown}'. Try ${command.toUpperCase()} HELP.`);
}

export function wrongArity(name: string): ErrorReply {
  return new ErrorReply(`ERR wrong number of arguments for '${name}' command`);
}

export function noPermission(name: string): ErrorReply {
  return new ErrorReply(`NOPERM this user has no permissions to run the '${name}' command`);
}

/** What became of commands that the log did not answer. */
export function errorReplyOf(error: KvError): ErrorReply {
  switch (error.code as string) {
    case 'KV_NO_LEADER':
      return new ErrorReply('CLUSTERDOWN No Raft leader');
    case 'KV_QUEUE_FULL':
      return new ErrorReply('TRYAGAIN Too many commands wait for the log; this one was not executed');
    case 'KV_OUTCOME_UNKNOWN':
    case 'KV_TIMEOUT':
      return new ErrorReply('TRYAGAIN No answer came in time; a write may or may not have been executed');
    case 'KV_QUOTA':
      return OUT_OF_MEMORY;
    case 'KV_CLOSED':
      return SHUTTING_DOWN;
    case 'KV_DISK_FULL':
    case 'KV_POISONED':
    case 'KV_STORAGE_FAILED':
    case 'KV_IO':
      return new ErrorReply(`MISCONF The log cannot be written: ${error.message}`);
    default:
      return new ErrorReply(`ERR ${error.message}`);
  }
}
