// Executes native commands on the machine's state: one command, one outcome, nothing else.
// The machine calls begin() for every entry, execute() for its native items and query() for reads, and keeps the sections in
// its snapshots. Pure: no clock, no chance; all members do the same.
// Here are the sessions' rules, so that no command has to think of being executed twice.

import assert from 'node:assert/strict';
import { Command } from '../../proto/kv.js';
import { RpcError } from '../../../rpc/index.js';
import type { CommandContext } from '../commands/command.js';
import type { Keyspace } from '../keyspace.js';
import { NativeReply } from '../reply.js';
import type { MachineSection, NativeItem, NativePart } from '../section.js';
import type { ValueReader, ValueWriter } from '../value.js';
import { Counters } from './counters.js';
import {
  runAppend,
  runCompareAndSet,
  runDelete,
  runGet,
  runPut,
  runPutSequential,
  runTouch,
} from './key-commands.js';
import {
  endLease,
  runLeaseGrant,
  runLeaseKeepAlive,
  runLeaseList,
  runLeaseRevoke,
  runLeaseTimeToLive,
} from './lease-commands.js';
import { Leases } from './leases.js';
import { type NativeContext, ResultBudget } from './native-context.js';
import {
  LEASE_EXPIRIES_MAX,
  SESSION_TTL_MS_DEFAULT,
  SESSION_TTL_MS_MAX,
  SESSION_TTL_MS_MIN,
  SESSION_WINDOW,
} from './native-limits.js';
import { failure, NativeFailure, numberFrom, type OutcomeInit, type Result } from './outcomes.js';
import { runDeleteRange, runRange } from './range-commands.js';
import { Sessions } from './sessions.js';
import { runTreeChildren, runTreeCreate, runTreeDelete } from './tree-commands.js';
import { runTxn } from './txn-command.js';

export class NativeExecutor implements NativePart {
  readonly #keyspace: Keyspace;
  readonly #sessions = new Sessions();
  readonly #leases = new Leases();
  readonly #counters = new Counters();
  readonly sections: readonly MachineSection[];
  /** Of the entry that is applied. */
  #index = 0;
  #term = 0;
  /** Told of each mark as it is applied; the state is that of the mark's entry. */
  onHashMark: ((index: number) => void) | null = null;

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace;
    keyspace.onLeaseChange = (key, before, after) => {
      if (before !== 0) this.#leases.detach(key, before);
      if (after !== 0) this.#leases.attach(key, after);
    };
    this.sections = [
      sectionOf('native-counters', this.#counters),
      sectionOf('native-leases', this.#leases, (nowMs) => this.#expireLeases(nowMs)),
      sectionOf('native-sessions', this.#sessions, (nowMs) => this.#sessions.expire(nowMs)),
      {
        name: 'native-term',
        memoryBytes: 0,
        encode: (writer: ValueWriter) => writer.uint(this.#term),
        decode: (reader: ValueReader) => {
          this.#term = reader.uint();
        },
      },
    ];
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  get leaseCount(): number {
    return this.#leases.size;
  }

  begin(index: number, term: number): void {
    this.#index = index;
    if (term === this.#term) return;
    // A new leader's first entry: nothing that must be kept alive loses the time in which nobody could be told so.
    this.#term = term;
    this.#sessions.termStarted(this.#keyspace.nowMs);
    this.#leases.termStarted(this.#keyspace.nowMs);
  }

  execute(_context: CommandContext, item: NativeItem): NativeReply {
    return new NativeReply(this.#apply(item));
  }

  /** A command that only reads, on the state as it is. */
  query(_context: CommandContext, command: unknown): OutcomeInit {
    const wanted = command as Command; // kv/service decodes it
    if (!isRead(wanted)) return this.#refused('KV_REQUEST_INVALID', 'this is no command that only reads');
    return this.#run(wanted);
  }

  #expireLeases(nowMs: number): void {
    let deleted = 0;
    for (let lease = this.#leases.overdue(nowMs); lease !== undefined; ) {
      if (deleted > 0 && deleted + lease.keys.size > LEASE_EXPIRIES_MAX) return;
      deleted += endLease(this.#context(), lease, true);
      lease = this.#leases.overdue(nowMs);
    }
  }

  #apply(item: NativeItem): OutcomeInit {
    const { clientId, sequence, acknowledged } = item;
    const { nowMs } = this.#keyspace;
    if (clientId === 0) return this.#decodeAndRun(item);
    const session = this.#sessions.use(clientId, nowMs);
    if (session === undefined) {
      return this.#refused(
        'KV_SESSION_EXPIRED',
        `session ${clientId} is over or never was: nothing was executed`,
      );
    }
    if (sequence === 0) return this.#refused('KV_REQUEST_INVALID', 'sequences begin at 1');
    const seen = this.#sessions.look(session, sequence, acknowledged);
    switch (seen.kind) {
      case 'repeated':
        return seen.outcome;
      case 'new': {
        const outcome = this.#decodeAndRun(item);
        this.#sessions.keep(session, sequence, outcome);
        return outcome;
      }
      case 'old':
        return this.#refused(
          'KV_SEQUENCE_OLD',
          `sequence ${sequence} was acknowledged, with all below ${session.floor}`,
        );
      case 'above-window':
        return this.#refused(
          'KV_WINDOW_FULL',
          `sequence ${sequence} is ${SESSION_WINDOW} or more above ${session.floor}, the first that is not acknowledged`,
        );
      case 'reply-lost':
        return this.#refused('KV_REPLY_LOST', `sequence ${sequence} was executed, its answer is not kept`);
      default:
        return seen satisfies never;
    }
  }

  #decodeAndRun(item: NativeItem): OutcomeInit {
    let command: Command;
    try {
      command = Command.codec('protobuf').decode(item.command);
    } catch (error) {
      if (error instanceof RpcError) return this.#refused('KV_REQUEST_INVALID', error.message);
      throw error;
    }
    if (item.refusesGrowth && mayGrow(command)) {
      return this.#refused(
        'KV_QUOTA',
        'the store is above its quota or a disk is full: only reads and deletes',
      );
    }
    return this.#run(command);
  }

  #run(command: Command): OutcomeInit {
    const context = this.#context();
    const changesBefore = this.#keyspace.isChanged;
    try {
      const result = this.#dispatch(context, command);
      const { revision, isChanged } = this.#keyspace;
      return Object.assign(result, { revision: BigInt(isChanged ? revision + 1 : revision) });
    } catch (error) {
      if (!(error instanceof NativeFailure)) throw error;
      assert(this.#keyspace.isChanged === changesBefore, 'a command that fails has changed nothing');
      return this.#refused(error.code, error.message);
    }
  }

  #dispatch(context: NativeContext, command: Command): Result {
    if (command.put !== undefined) return runPut(context, command.put);
    if (command.get !== undefined) return runGet(context, command.get);
    if (command.range !== undefined) return runRange(context, command.range);
    if (command.delete !== undefined) return runDelete(context, command.delete);
    if (command.compareAndSet !== undefined) return runCompareAndSet(context, command.compareAndSet);
    if (command.txn !== undefined) return runTxn(context, command.txn);
    if (command.append !== undefined) return runAppend(context, command.append);
    if (command.deleteRange !== undefined) return runDeleteRange(context, command.deleteRange);
    if (command.touch !== undefined) return runTouch(context, command.touch);
    if (command.leaseKeepAlive !== undefined) return runLeaseKeepAlive(context, command.leaseKeepAlive);
    if (command.leaseGrant !== undefined) return runLeaseGrant(context, command.leaseGrant);
    if (command.leaseRevoke !== undefined) return runLeaseRevoke(context, command.leaseRevoke);
    if (command.leaseTimeToLive !== undefined) return runLeaseTimeToLive(context, command.leaseTimeToLive);
    if (command.leaseList !== undefined) return runLeaseList(context, command.leaseList);
    if (command.putSequential !== undefined) return runPutSequential(context, command.putSequential);
    if (command.treeCreate !== undefined) return runTreeCreate(context, command.treeCreate);
    if (command.treeChildren !== undefined) return runTreeChildren(context, command.treeChildren);
    if (command.treeDelete !== undefined) return runTreeDelete(context, command.treeDelete);
    if (command.sessionKeepAlive !== undefined) return this.#keepAlive(command.sessionKeepAlive.clientId);
    if (command.sessionOpen !== undefined) return this.#open(command.sessionOpen.ttlMs);
    if (command.sessionClose !== undefined) return this.#close(command.sessionClose.clientId);
    if (command.hashMark !== undefined) {
      this.onHashMark?.(this.#index);
      return { hashMark: { index: BigInt(this.#index) } };
    }
    throw new NativeFailure('KV_REQUEST_INVALID', 'there is no command, or one of a newer version');
  }

  #open(ttl: bigint): Result {
    const wishMs = ttl === 0n ? SESSION_TTL_MS_DEFAULT : Math.max(Number(ttl), SESSION_TTL_MS_MIN);
    const ttlMs = Math.min(wishMs, SESSION_TTL_MS_MAX);
    const { id } = this.#sessions.open(ttlMs, this.#keyspace.nowMs);
    return { session: { clientId: BigInt(id), ttlMs: BigInt(ttlMs) } };
  }

  #keepAlive(clientId: bigint): Result {
    const session = this.#sessions.use(numberFrom('client_id', clientId), this.#keyspace.nowMs);
    if (session === undefined)
      throw new NativeFailure('KV_SESSION_EXPIRED', `session ${clientId} is over or never was`);
    return { session: { clientId, ttlMs: BigInt(session.ttlMs) } };
  }

  #close(clientId: bigint): Result {
    this.#sessions.close(numberFrom('client_id', clientId));
    return { session: { clientId } };
  }

  #refused(...what: Parameters<typeof failure>): OutcomeInit {
    return { revision: BigInt(this.#keyspace.revision), ...failure(...what) };
  }

  #context(): NativeContext {
    const { nowMs } = this.#keyspace;
    return {
      keyspace: this.#keyspace,
      leases: this.#leases,
      counters: this.#counters,
      nowMs,
      budget: new ResultBudget(),
    };
  }
}

/** The native commands of a machine. */
export const nativePart = (keyspace: Keyspace): NativeExecutor => new NativeExecutor(keyspace);

interface SectionState {
  readonly memoryBytes: number;
  encode(writer: ValueWriter): void;
  decode(reader: ValueReader): void;
  nextDeadlineMs?(): number | null;
}

function sectionOf(
  name: string,
  state: SectionState,
  expireDue: (nowMs: number) => void = () => {},
): MachineSection {
  return {
    name,
    get memoryBytes() {
      return state.memoryBytes;
    },
    encode: (writer) => state.encode(writer),
    decode: (reader) => state.decode(reader),
    nextDeadlineMs: () => state.nextDeadlineMs?.() ?? null,
    expireDue,
  };
}

/** Whether a command changes nothing, and need not go through the log. */
export function isRead(command: Command): boolean {
  return (
    command.get !== undefined ||
    command.range !== undefined ||
    command.treeChildren !== undefined ||
    command.leaseTimeToLive !== undefined ||
    command.leaseList !== undefined ||
    (command.txn !== undefined && command.txn.success.every(isRead) && command.txn.failure.every(isRead))
  );
}

/** Whether a command may need more memory: refused above the quota. */
function mayGrow(command: Command): boolean {
  return (
    command.put !== undefined ||
    command.append !== undefined ||
    (command.compareAndSet !== undefined && !command.compareAndSet.delete) ||
    command.putSequential !== undefined ||
    command.treeCreate !== undefined ||
    command.leaseGrant !== undefined ||
    command.sessionOpen !== undefined ||
    (command.txn !== undefined && (command.txn.success.some(mayGrow) || command.txn.failure.some(mayGrow)))
  );
}
