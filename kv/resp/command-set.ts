// Every command a client may send: those of the machine, and those that the connection answers itself.
// resp-client.ts looks them up and judges them; COMMAND, ACL and INFO show them.

import { commandTable, type KeyPositions, type RedisCommand } from '../machine/commands/table.js';
import type { Reply } from '../machine/reply.js';
import { categoriesOf, type CommandGroup, groupOf } from './command-groups.js';
import { CommandIndex } from './command-index.js';
import { CommandStats } from './command-stats.js';
import type { RespClient } from './resp-client.js';

/**
 * Answers a command on the connection. A promise makes what the client sends next wait; NO_REPLY says that the handler
 * has written its own answers, or that there are none.
 */
export type LocalHandler = (
  client: RespClient,
  args: readonly string[],
) => Reply | Promise<Reply> | typeof NO_REPLY;

export const NO_REPLY: unique symbol = Symbol('no reply');

/** What becomes of a command between MULTI and EXEC. */
type InTransaction = 'queue' | 'now' | 'refuse';

export interface LocalCommand {
  readonly name: string;
  readonly arity: number;
  readonly run: LocalHandler;
  /** Default 'queue'. */
  readonly inTransaction?: InTransaction;
  /** May be sent before AUTH. Default false. */
  readonly isForStrangers?: boolean;
  /** May be sent on a RESP2 connection that is subscribed. Default false. */
  readonly isForSubscribers?: boolean;
  readonly flags?: readonly string[];
  /** What DOCS says of it. */
  readonly summary?: string;
}

export class Command {
  readonly name: string;
  readonly arity: number;
  readonly flags: readonly string[];
  readonly keys: KeyPositions;
  readonly group: CommandGroup;
  readonly categories: readonly string[];
  readonly summary: string;
  /** null: the machine's. */
  readonly local: LocalHandler | null;
  /** Of the machine, and only to be read. */
  readonly isRead: boolean;
  readonly inTransaction: InTransaction;
  readonly isForStrangers: boolean;
  readonly isForSubscribers: boolean;
  readonly stats: CommandStats = new CommandStats();

  constructor(source: RedisCommand | LocalCommand) {
    const local = isLocal(source) ? source : null;
    this.name = source.name;
    this.arity = source.arity;
    this.flags = source.flags ?? (local === null ? [] : ['fast', 'loading', 'stale']);
    this.keys = isLocal(source) ? NO_KEYS : source.keys;
    this.group = groupOf(source.name);
    this.categories = categoriesOf(source.name, this.flags);
    this.summary = local?.summary ?? '';
    this.local = local?.run ?? null;
    this.isRead = local === null && this.flags.includes('readonly');
    this.inTransaction = local?.inTransaction ?? 'queue';
    this.isForStrangers = local?.isForStrangers ?? false;
    this.isForSubscribers = local?.isForSubscribers ?? false;
  }

  /** Whether a command of so many words, its name included, can be right. */
  takes(words: number): boolean {
    return this.arity >= 0 ? words === this.arity : words >= -this.arity;
  }

  /** Positions of keys among `count` arguments, the name being argument 0. */
  *keyPositions(count: number, args: (index: number) => string): Generator<number> {
    const { first, last, step } = this.keys;
    if (this.flags.includes('movablekeys')) {
      yield* movableKeys(this.name, count, args);
      return;
    }
    if (first === 0) return;
    const end = last < 0 ? count + last : Math.min(last, count - 1);
    for (let index = first; index <= end; index += step) yield index;
  }
}

export class CommandSet {
  readonly all: ReadonlyMap<string, Command>;
  readonly index: CommandIndex<Command>;

  constructor(locals: readonly LocalCommand[]) {
    const all = new Map<string, Command>();
    for (const source of [...commandTable.values(), ...locals]) all.set(source.name, new Command(source));
    this.all = all;
    this.index = new CommandIndex([...all.values()]);
  }

  resetStats(): void {
    for (const command of this.all.values()) command.stats.reset();
  }
}

const NO_KEYS: KeyPositions = { first: 0, last: 0, step: 0 };

function isLocal(source: RedisCommand | LocalCommand): source is LocalCommand {
  return !('keys' in source);
}

/** Of commands that say themselves how many keys they have. */
function* movableKeys(name: string, count: number, args: (index: number) => string): Generator<number> {
  const isStore = name.endsWith('store');
  if (isStore) yield 1;
  if (name === 'xread' || name === 'xreadgroup') {
    let at = 1;
    while (at < count && args(at).toLowerCase() !== 'streams') at += 1;
    const keys = Math.floor((count - at - 1) / 2);
    for (let index = 0; index < keys; index += 1) yield at + 1 + index;
    return;
  }
  if (name === 'sort' || name === 'sort_ro') {
    yield 1;
    for (let at = 2; at + 1 < count; at += 1) if (args(at).toLowerCase() === 'store') yield at + 1;
    return;
  }
  const countAt = isStore ? 2 : 1;
  const keys = countAt < count ? Number(args(countAt)) : 0;
  for (let index = 0; index < keys && countAt + 1 + index < count; index += 1) yield countAt + 1 + index;
}
