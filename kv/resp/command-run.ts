// The commands of one client that are on their way together: a run of reads, or of reads and writes.
// resp-client.ts fills one from its input and answers it as a whole. One run of a connection is under way at a time, so
// its order is kept whatever happens to the log.

import type { Command } from './command-set.js';

export class CommandRun {
  /** Commands and where their arguments are; entries from `count` on are old. */
  readonly commands: Command[] = [];
  readonly #firstArgs: number[] = [];
  readonly #argCounts: number[] = [];
  count = 0;
  bytes = 0;
  hasWrites = false;
  /** About as many bytes will be answered; kept once it has writes. */
  replyBytes = 0;
  /** A write of it may have made a long value of a short command. */
  amplifies = false;
  /** Of a run that only reads: arguments, and how many have been answered. */
  args: string[][] = [];
  answered = 0;

  add(command: Command, firstArg: number, argCount: number, bytes: number): void {
    this.commands[this.count] = command;
    this.#firstArgs[this.count] = firstArg;
    this.#argCounts[this.count] = argCount;
    this.count += 1;
    this.bytes += bytes;
    if (!command.isRead) this.hasWrites = true;
    if (command.amplifies) this.amplifies = true;
  }

  firstArg(index: number): number {
    return this.#firstArgs[index]!;
  }

  argCount(index: number): number {
    return this.#argCounts[index]!;
  }

  clear(): void {
    this.count = 0;
    this.bytes = 0;
    this.hasWrites = false;
    this.replyBytes = 0;
    this.amplifies = false;
    this.answered = 0;
    if (this.args.length > 0) this.args = [];
  }
}
