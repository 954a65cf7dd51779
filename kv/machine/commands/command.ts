// What a Redis command is to the machine. table.ts lists them; machine.ts runs them.
// A command is a pure function of the keyspace, the log's time, its arguments and the context's random numbers.

import type { Keyspace } from '../keyspace.js';
import type { Reply } from '../reply.js';

export type CommandFlag =
  | 'write' // may change the keyspace: goes through the log
  | 'readonly' // never changes it: may be answered from any fresh enough state
  | 'denyoom' // may need memory: refused while the machine is above its quota
  | 'fast' // for COMMAND only, as are those below
  | 'random'
  | 'sort_for_script'
  | 'movablekeys'
  | 'noscript';

/** Positions of the keys among the arguments, as COMMAND shows them: `last` -1 is the last argument; first 0: no keys. */
export interface KeyPositions {
  readonly first: number;
  readonly last: number;
  readonly step: number;
  /** Where a count of keys stands that precedes them, besides the positions above. */
  readonly countAt?: number;
}

export interface CommandContext {
  readonly keyspace: Keyspace;
  /** Log time. The only clock there is. */
  readonly nowMs: number;
  /** Bytes that a string value may grow to. */
  readonly stringBytesMax: number;
  /** [0, 1). In the log: from the entry's index, the same on every member. */
  random(): number;
  /** Delivers a message to those who listen on this member; how many they were. Other members deliver it to theirs. */
  publish(channel: string, message: string): number;
}

export type CommandRun = (context: CommandContext, args: readonly string[]) => Reply;

export interface RedisCommand {
  /** Lower case. */
  readonly name: string;
  /** As Redis counts it: the name included, negative for "at least". The machine checks it. */
  readonly arity: number;
  readonly flags: readonly CommandFlag[];
  readonly keys: KeyPositions;
  /** One sentence for COMMAND DOCS. */
  readonly summary: string;
  /** `args[0]` is the name. Throw CommandFailure, or give an ErrorReply, before the first change. */
  readonly run: CommandRun;
}

export const READ: readonly CommandFlag[] = ['readonly'];
export const READ_FAST: readonly CommandFlag[] = ['readonly', 'fast'];
export const READ_MOVABLE: readonly CommandFlag[] = ['readonly', 'movablekeys'];
export const WRITE: readonly CommandFlag[] = ['write'];
export const WRITE_FAST: readonly CommandFlag[] = ['write', 'fast'];
export const WRITE_MOVABLE: readonly CommandFlag[] = ['write', 'movablekeys'];
export const WRITE_GROW: readonly CommandFlag[] = ['write', 'denyoom'];
export const WRITE_GROW_FAST: readonly CommandFlag[] = ['write', 'denyoom', 'fast'];
export const WRITE_GROW_MOVABLE: readonly CommandFlag[] = ['write', 'denyoom', 'movablekeys'];

export const NO_KEYS: KeyPositions = { first: 0, last: 0, step: 0 };
export const ONE_KEY: KeyPositions = { first: 1, last: 1, step: 1 };
export const TWO_KEYS: KeyPositions = { first: 1, last: 2, step: 1 };
export const ALL_KEYS: KeyPositions = { first: 1, last: -1, step: 1 };
/** `numkeys key [key …]` right behind the name. */
export const COUNTED_KEYS: KeyPositions = { first: 0, last: 0, step: 0, countAt: 1 };
/** A destination, then `numkeys key [key …]`. */
export const KEY_AND_COUNTED: KeyPositions = { first: 1, last: 1, step: 1, countAt: 2 };

export function define(
  name: string,
  arity: number,
  flags: readonly CommandFlag[],
  keys: KeyPositions,
  summary: string,
  run: CommandRun,
): RedisCommand {
  return { name, arity, flags, keys, summary, run };
}

/** The keys that a call of this command names. */
export function keysOf({ keys }: RedisCommand, args: readonly string[]): string[] {
  const found: string[] = [];
  if (keys.first > 0) {
    const last = keys.last < 0 ? args.length + keys.last : Math.min(keys.last, args.length - 1);
    for (let at = keys.first; at <= last; at += keys.step) found.push(args[at]!);
  }
  if (keys.countAt !== undefined) {
    const count = Number(args[keys.countAt] ?? 0);
    const end = Number.isInteger(count) ? Math.min(args.length, keys.countAt + 1 + count) : 0;
    for (let at = keys.countAt + 1; at < end; at += 1) found.push(args[at]!);
  }
  return found;
}
