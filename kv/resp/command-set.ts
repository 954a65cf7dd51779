// Every command a client may send: those of the machine, and those that the connection answers itself.
// resp-client.ts looks them up and judges them; COMMAND, ACL and INFO show them.

import { commandTable, type KeyPositions, keysOf, type RedisCommand } from '../machine/commands/table.js';
import type { Reply } from '../machine/reply.js';
import { categoriesOf, type CommandGroup, groupOf } from './command-groups.js';
import { CommandIndex } from './command-index.js';
import { AMPLIFIERS, BRIEF_READS, TELLING_WRITES } from './reply-estimate.js';
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
  /** It answers with no more than some bytes, whatever a value holds. */
  readonly isBrief: boolean;
  /** It may make a long value, though it is short itself. */
  readonly amplifies: boolean;
  readonly inTransaction: InTransaction;
  readonly isForStrangers: boolean;
  readonly isForSubscribers: boolean;
  readonly stats: CommandStats = new CommandStats();
  /** null: the connection's own. */
  readonly #source: RedisCommand | null;

  constructor(source: RedisCommand | LocalCommand) {
    const local = isLocal(source) ? source : null;
    this.name = source.name;
    this.arity = source.arity;
    this.flags = source.flags ?? (local === null ? [] : ['fast', 'loading', 'stale']);
    this.keys = isLocal(source) ? NO_KEYS : source.keys;
    this.group = groupOf(source.name);
    this.categories = categoriesOf(source.name, this.flags);
    this.#source = isLocal(source) ? null : source;
    this.summary = source.summary ?? '';
    this.local = local?.run ?? null;
    this.isRead = local === null && this.flags.includes('readonly');
    this.isBrief = this.isRead ? BRIEF_READS.has(this.name) : !TELLING_WRITES.has(this.name);
    this.amplifies = AMPLIFIERS.has(this.name);
    this.inTransaction = local?.inTransaction ?? 'queue';
    this.isForStrangers = local?.isForStrangers ?? false;
    this.isForSubscribers = local?.isForSubscribers ?? false;
  }

  /** Whether a command of so many words, its name included, can be right. */
  takes(words: number): boolean {
    return this.arity >= 0 ? words === this.arity : words >= -this.arity;
  }

  /** The keys among the arguments, the name being argument 0. */
  keysOf(args: readonly string[]): readonly string[] {
    if (this.#source === null) return [];
    if (STREAM_READERS.has(this.name)) return streamKeys(args);
    const keys = keysOf(this.#source, args);
    return SORTERS.has(this.name) ? [...keys, ...storeKeys(args)] : keys;
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

/** XREAD … STREAMS key [key …] id [id …] */
function streamKeys(args: readonly string[]): readonly string[] {
  const at = args.findIndex((arg) => arg.toLowerCase() === 'streams');
  return at === -1 ? [] : args.slice(at + 1, at + 1 + Math.floor((args.length - at - 1) / 2));
}

/** SORT key … STORE key */
function storeKeys(args: readonly string[]): readonly string[] {
  return args.filter((_, index) => index > 2 && args[index - 1]!.toLowerCase() === 'store');
}

const STREAM_READERS: ReadonlySet<string> = new Set(['xread', 'xreadgroup']);
const SORTERS: ReadonlySet<string> = new Set(['sort', 'sort_ro']);
