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
}

export interface CommandContext {
  readonly keyspace: Keyspace;
  /** Log time. The only clock there is. */
  readonly nowMs: number;
  /** [0, 1). In the log: from the entry's index, the same on every member. */
  random(): number;
  /** Delivers a message to those who listen on this member; how many they were. Other members deliver it to theirs. */
  publish(channel: string, message: string): number;
}

export interface RedisCommand {
  /** Lower case. */
  readonly name: string;
  /** As Redis counts it: the name included, negative for "at least". The machine checks it. */
  readonly arity: number;
  readonly flags: readonly CommandFlag[];
  readonly keys: KeyPositions;
  /** `args[0]` is the name. Throw CommandFailure, or give an ErrorReply, before the first change. */
  run(context: CommandContext, args: readonly string[]): Reply;
}
