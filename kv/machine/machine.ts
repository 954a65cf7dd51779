// The replicated state: a pure function of the batches in the log. Every member applies the same ones and has the same state.
// kv/node applies committed entries and takes snapshots; kv/resp and kv/service query. No clock and no chance in here:
// time comes with the batches, random numbers from the entry's index. docs/kv-machine.md has the rules.

import { createHash } from 'node:crypto';
import assert from 'node:assert/strict';
import { KvError } from '../errors.js';
import { BatchReader, ITEM_EXEC, ITEM_EXEC_SINCE, ITEM_NATIVE, ITEM_REDIS, ITEM_SETTING } from './batch.js';
import { ChangeHistory, type ChangeHistoryOptions, type ChangeSet } from './changes.js';
import { commandTable, type CommandContext, type RedisCommand } from './commands/table.js';
import { Keyspace } from './keyspace.js';
import { EXPIRIES_PER_ENTRY_MAX } from './limits.js';
import { Origins } from './origins.js';
import { seededRandom } from './random.js';
import { REPLY_BYTES_MAX, ReplyBudget } from './reply-budget.js';
import { CommandFailure, ErrorReply, NIL_ARRAY, OK, OUT_OF_MEMORY, type Reply } from './reply.js';
import { nativePart } from './native/native-executor.js';
import { PROTOCOL_VERSION, VERSION_OF_VANISHED } from './protocol-version.js';
import type { MachineSection, NativePart, NativePartFactory } from './section.js';
import { SETTING_PROTOCOL, Settings } from './settings.js';
import { MachineSnapshot } from './snapshot.js';
import { MachineLoader, type RestoredParts } from './snapshot-loader.js';

export interface MachineOptions {
  /** See Machine.onChanges. */
  readonly onChanges?: ((changes: ChangeSet) => void) | null;
  /** PUBLISH: called within apply() on every member; how many here heard it. Must not throw. Default: nobody. */
  readonly onPublish?: (channel: string, message: string) => number;
  /** The newest version that this member knows. Default: all that the program knows. */
  readonly protocolVersion?: number;
  /** How much of the changes is remembered. */
  readonly history?: ChangeHistoryOptions;
  /** Answers of Redis commands that were submitted together, and of one query. Larger ones are refused. Default 128 MiB. */
  readonly replyBytesMax?: number;
  /** [0, 1), for queries such as RANDOMKEY; entries of the log do not use it. Default: seeded. */
  readonly random?: () => number;
  /** The native commands. Default: kv/machine/native. */
  readonly native?: NativePartFactory;
}

/** Why growing writes are refused; null: they are not. */
export type Alarm = 'quota' | 'disk' | null;

/** What the table says of a command, ready for the hot path. */
interface KnownCommand {
  readonly command: RedisCommand;
  readonly readsOnly: boolean;
  readonly grows: boolean;
}

export class Machine {
  readonly keyspace: Keyspace;
  readonly native: NativePart;
  /**
   * Called after each command that changed something, within apply(). Must not throw, nor write to the machine.
   * Null when nobody listens, which saves making the objects.
   */
  onChanges: ((changes: ChangeSet) => void) | null;
  readonly #origins: Origins;
  readonly #settings: Settings;
  readonly #reader = new BatchReader();
  readonly #context: LogContext;
  readonly #queryContext: CommandContext;
  readonly #protocolVersion: number;
  readonly #replies: ReplyBudget;
  #appliedIndex = 0;
  #appliedTerm = 0;

  constructor(options: MachineOptions = {}, restored: RestoredParts | null = null) {
    this.onChanges = options.onChanges ?? null;
    this.keyspace = restored?.keyspace ?? new Keyspace(new ChangeHistory(0, options.history));
    this.native = restored?.native ?? (options.native ?? nativePart)(this.keyspace);
    this.#origins = restored?.origins ?? new Origins();
    this.#settings = restored?.settings ?? new Settings();
    this.#protocolVersion = options.protocolVersion ?? PROTOCOL_VERSION;
    this.#checkProtocol(this.#settings.protocolVersion);
    this.#context = new LogContext(this.keyspace, this.#settings, options.onPublish ?? heardByNobody);
    this.#replies = new ReplyBudget(options.replyBytesMax ?? REPLY_BYTES_MAX);
    const random = options.random ?? seededRandom(1);
    const { keyspace, settings } = this;
    this.#queryContext = {
      keyspace,
      get nowMs() {
        return keyspace.nowMs;
      },
      get stringBytesMax() {
        return settings.stringBytesMax;
      },
      random,
      publish: heardByNobody, // a message goes through the log
    };
  }

  /** Begins a machine from the bytes of a snapshot. */
  static loader(options: MachineOptions = {}): MachineLoader<Machine> {
    const keyspace = new Keyspace(new ChangeHistory(0, options.history));
    const native = options.native ?? nativePart;
    return new MachineLoader(keyspace, native, (restored) => new Machine(options, restored));
  }

  /** A machine from all bytes of a snapshot. @throws KvError KV_SNAPSHOT_DAMAGED */
  static restore(chunks: Iterable<Uint8Array>, options: MachineOptions = {}): Machine {
    const loader = Machine.loader(options);
    for (const chunk of chunks) loader.write(chunk);
    return loader.finish();
  }

  /** What changed of late, for a watch that goes on from a revision. */
  get history(): ChangeHistory {
    return this.keyspace.history;
  }

  /** Log time. */
  get timeMs(): number {
    return this.keyspace.nowMs;
  }

  get revision(): number {
    return this.keyspace.revision;
  }

  /** Of the last entry applied by this object; not part of the state. */
  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  get appliedTerm(): number {
    return this.#appliedTerm;
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** An estimate from the content alone, for the quota: the same on every member. */
  get memoryBytes(): number {
    let bytes = this.keyspace.memoryBytes;
    for (const section of this.native.sections) bytes += section.memoryBytes;
    return bytes;
  }

  get alarm(): Alarm {
    if (this.#settings.diskAlarms > 0) return 'disk';
    return this.#settings.quotaBytes > 0 && this.memoryBytes > this.#settings.quotaBytes ? 'quota' : null;
  }

  /**
   * Applies the data of one `normal` entry. With `wantsReplies` one reply per item; otherwise, and for a batch that was
   * executed before, null.
   * @param counts how many items each client submitted, whose answers are bounded together; by default one has sent all
   * @throws KvError KV_BATCH_MALFORMED: nothing was changed; every member finds the same, so go on behind it.
   * @throws KvError KV_BATCH_FOREIGN: nothing was changed; the entry is a newer version's and this member must stop.
   * @throws KvError KV_MACHINE_FAILED: a bug; the state is not to be trusted.
   */
  apply(
    index: number,
    term: number,
    data: Uint8Array,
    wantsReplies: boolean,
    counts: readonly number[] = [],
  ): readonly Reply[] | null {
    const reader = this.#reader;
    reader.open(data);
    this.#appliedIndex = index;
    this.#appliedTerm = term;
    this.keyspace.advance(reader.timeMs);
    try {
      this.native.begin?.(index, term);
      this.#expireDue();
      if (reader.sequence !== 0 && !this.#origins.accept(reader.origin, reader.boot, reader.sequence))
        return null;
      this.#context.begin(index);
      const replies: Reply[] | null = wantsReplies ? [] : null;
      let submission = 0;
      let end = 0;
      while (reader.next()) {
        if (replies === null) {
          if (!reader.readOnly) this.#applyItem(false);
        } else {
          if (replies.length === end) {
            this.#replies.begin();
            end += counts[submission] ?? Infinity;
            submission += 1;
          }
          replies.push(this.#applyItem(true));
        }
        this.#commit();
      }
      return replies;
    } catch (error) {
      if (error instanceof KvError) throw error;
      throw new KvError('KV_MACHINE_FAILED', `entry ${index} failed half-way: ${String(error)}`, {
        cause: error,
      });
    } finally {
      reader.close();
    }
  }

  /** A Redis command that only reads, on the state as it is. */
  query(args: readonly string[]): Reply {
    const known = knownCommand(args[0]!);
    if (known === undefined) return unknownCommand(args);
    if (!known.readsOnly) return NOT_READ_ONLY;
    this.#replies.begin();
    return this.#replies.admit(run(known.command, this.#queryContext, args), true);
  }

  /** A native command that only reads: the types are kv/machine/native's. */
  queryNative(command: unknown): unknown {
    return this.native.query(this.#queryContext, command);
  }

  /** The earliest log time at which something ends: a batch of that time removes it. Null: nothing does. */
  nextDeadlineMs(): number | null {
    let next = this.keyspace.nextDeadlineMs();
    for (const section of this.native.sections) {
      const deadline = section.nextDeadlineMs?.() ?? null;
      if (deadline !== null && (next === null || deadline < next)) next = deadline;
    }
    return next;
  }

  /** The state as it is now, to be read while entries are applied. Close it. */
  snapshot(): MachineSnapshot {
    return new MachineSnapshot(this.keyspace, this.#origins, this.#settings, this.#sections);
  }

  /** SHA-256 over the snapshot's bytes, hexadecimal: equal on members that applied the same entries. */
  hash(): string {
    const hash = createHash('sha256');
    const snapshot = this.snapshot();
    try {
      for (const chunk of snapshot.chunks()) hash.update(chunk);
    } finally {
      snapshot.close();
    }
    return hash.digest('hex');
  }

  #expireDue(): void {
    for (const section of this.native.sections) {
      section.expireDue?.(this.keyspace.nowMs, EXPIRIES_PER_ENTRY_MAX);
    }
    this.keyspace.expireDue(EXPIRIES_PER_ENTRY_MAX);
    this.#commit();
  }

  #applyItem(wantsReply: boolean): Reply {
    const reader = this.#reader;
    switch (reader.kind) {
      case ITEM_REDIS:
        return this.#applyCommand(reader.args(), wantsReply, reader.readOnly);
      case ITEM_EXEC:
      case ITEM_EXEC_SINCE:
        return this.#applyExec(wantsReply, reader.readOnly, reader.kind === ITEM_EXEC_SINCE);
      case ITEM_NATIVE: {
        const [clientId, sequence, acknowledged] = [reader.u64(), reader.u64(), reader.u64()];
        const refusesGrowth = this.alarm !== null;
        const command = reader.rest();
        const item = { clientId, sequence, acknowledged, command, refusesGrowth, wantsReply };
        return this.native.execute(this.#context, item);
      }
      case ITEM_SETTING: {
        const [name, value] = [reader.text(), reader.text()];
        const refusal = this.#settings.refusalOf(name, value);
        if (refusal !== null) return new ErrorReply(`ERR ${refusal}`);
        if (name === SETTING_PROTOCOL) this.#checkProtocol(Number(value));
        this.#settings.set(name, value);
        this.#obeySettings();
        return OK;
      }
      default:
        return reader.kind satisfies never;
    }
  }

  /** @throws KvError KV_BATCH_FOREIGN: what comes now is understood by newer programs only. */
  #checkProtocol(version: number): void {
    if (version <= this.#protocolVersion) return;
    throw new KvError(
      'KV_BATCH_FOREIGN',
      `the cluster has gone on to protocol version ${version}, this program knows ${this.#protocolVersion}`,
    );
  }

  #obeySettings(): void {
    const { protocolVersion, scanKey } = this.#settings;
    if (protocolVersion >= VERSION_OF_VANISHED) this.keyspace.rememberVanished();
    this.keyspace.scanBy(scanKey);
  }

  /** All of the state besides keys, origins and settings. */
  get #sections(): readonly MachineSection[] {
    const { vanished } = this.keyspace;
    return vanished === null ? this.native.sections : [...this.native.sections, vanished];
  }

  #applyCommand(args: readonly string[], wantsReply: boolean, saysReadOnly: boolean): Reply {
    const known = knownCommand(args[0]!);
    if (known === undefined) return wantsReply ? unknownCommand(args) : null;
    if (known.readsOnly) {
      if (!wantsReply) return null;
      if (this.#replies.isSpent) return this.#replies.refusal;
    } else if (saysReadOnly) {
      // Other members have skipped it.
      return NOT_READ_ONLY;
    }
    if (known.grows && this.alarm !== null) return OUT_OF_MEMORY;
    // Only this member may be running what only reads: it must not draw from the entry's random numbers.
    const reply = run(known.command, known.readsOnly ? this.#queryContext : this.#context, args);
    return wantsReply ? this.#replies.admit(reply, known.readsOnly) : reply;
  }

  #applyExec(wantsReply: boolean, saysReadOnly: boolean, hasRevisions: boolean): Reply {
    const reader = this.#reader;
    let isFresh = true;
    for (let left = reader.u32(); left > 0; left -= 1) {
      const key = reader.text();
      const version = reader.u64();
      if ((this.keyspace.find(key)?.version ?? 0) !== version) isFresh = false;
      if (!hasRevisions) continue;
      const revision = reader.u64();
      // A key that was absent and is may have been there in between.
      if (version === 0 && this.keyspace.vanished?.mayHaveVanished(key, revision) !== false) isFresh = false;
    }
    if (!isFresh) return NIL_ARRAY;
    const replies: Reply[] = [];
    for (let left = reader.u32(); left > 0; left -= 1) {
      replies.push(this.#applyCommand(reader.args(), wantsReply, saysReadOnly));
    }
    return replies;
  }

  #commit(): void {
    if (!this.keyspace.commit()) return;
    const { history } = this;
    if (!history.isOn) return;
    if (this.onChanges !== null) this.onChanges(history.latest());
    history.trim();
  }
}

/** The context of commands in the log. */
class LogContext implements CommandContext {
  readonly keyspace: Keyspace;
  readonly publish: (channel: string, message: string) => number;
  readonly #settings: Settings;
  #index = 0;
  #random: (() => number) | null = null;

  constructor(keyspace: Keyspace, settings: Settings, publish: (channel: string, message: string) => number) {
    this.keyspace = keyspace;
    this.#settings = settings;
    this.publish = publish;
  }

  get nowMs(): number {
    return this.keyspace.nowMs;
  }

  get stringBytesMax(): number {
    return this.#settings.stringBytesMax;
  }

  begin(index: number): void {
    this.#index = index;
    this.#random = null;
  }

  random(): number {
    this.#random ??= seededRandom(this.#index);
    return this.#random();
  }
}

function heardByNobody(): number {
  return 0;
}

const UNANSWERABLE = new ErrorReply('ERR the answer cannot be made');
const NOT_READ_ONLY = new ErrorReply('ERR this command may write and has to go through the log');

/** By name as clients write it, which saves the lower case. */
const KNOWN = new Map<string, KnownCommand>();
/** Spellings beyond this many are looked up the long way. */
const SPELLINGS_MAX = 4096;

function knownCommand(name: string): KnownCommand | undefined {
  const known = KNOWN.get(name);
  if (known !== undefined) return known;
  const command = commandTable.get(name.toLowerCase());
  if (command === undefined) return undefined;
  const found = {
    command,
    readsOnly: command.flags.includes('readonly'),
    grows: command.flags.includes('denyoom'),
  };
  if (KNOWN.size < SPELLINGS_MAX) KNOWN.set(name, found);
  return found;
}

function run(command: RedisCommand, context: CommandContext, args: readonly string[]): Reply {
  const { arity } = command;
  if (arity >= 0 ? args.length !== arity : args.length < -arity) {
    return new ErrorReply(`ERR wrong number of arguments for '${command.name}' command`);
  }
  try {
    return command.run(context, args);
  } catch (error) {
    if (error instanceof CommandFailure) return error.reply;
    // An answer too large to be made, such as a text above what a string can hold: nothing was changed, nobody is harmed.
    if (error instanceof Error && command.flags.includes('readonly')) return UNANSWERABLE;
    throw error;
  }
}

/** Redis's words, with as much of the arguments as Redis shows. */
function unknownCommand(args: readonly string[]): ErrorReply {
  const shown = args.slice(1, 21).map((argument) => `'${argument.slice(0, 128)}' `);
  const text = `ERR unknown command '${args[0]!.slice(0, 128)}', with args beginning with: ${shown.join('')}`;
  return new ErrorReply(text.replaceAll(/[\r\n]/g, ' '));
}

assert(!commandTable.has('exec'), 'EXEC is an item of its own');
