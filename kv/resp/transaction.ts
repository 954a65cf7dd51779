// What a client has queued since MULTI.
// local/transaction-commands.ts sends it as one item through the log; resp-client.ts fills it.

import type { Command } from './command-set.js';
import { EXEC_COMMANDS_MAX } from '../machine/limits.js';

interface Queued {
  readonly command: Command;
  readonly args: readonly string[];
}

export class Transaction {
  readonly queued: Queued[] = [];
  /** A command could not be queued: EXEC will refuse. */
  isBroken = false;
  #bytes = 0;
  readonly #bytesMax: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** False when it would be larger than one request may be. */
  queue(command: Command, args: readonly string[]): boolean {
    this.#bytes += args.reduce((sum, arg) => sum + arg.length + 4, 16);
    if (this.#bytes > this.#bytesMax || this.queued.length >= EXEC_COMMANDS_MAX) return false;
    this.queued.push({ command, args });
    return true;
  }
}
