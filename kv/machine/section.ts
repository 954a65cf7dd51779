// State of the machine besides keys: sessions, leases, whatever the native commands need. Each part is a section with a
// name, which machine.ts asks for its bytes, its deadlines and its memory.

import type { CommandContext } from './commands/command.js';
import type { Keyspace } from './keyspace.js';
import { ErrorReply, type Reply } from './reply.js';
import type { ValueReader, ValueWriter } from './value.js';

/** One part of the state. All of it must follow from the log alone. */
export interface MachineSection {
  /** In snapshots; never changed once released. */
  readonly name: string;
  /** An estimate from the content alone; counts for the quota. */
  readonly memoryBytes: number;
  /** Canonical: equal content gives equal bytes. Called at the moment of the snapshot, so keep it short. */
  encode(writer: ValueWriter): void;
  /** Into an empty section. Keys are restored after all sections, with keyspace.onLeaseChange called for each lease. */
  decode(reader: ValueReader): void;
  /** Log time at which something here ends; null: nothing does. */
  nextDeadlineMs?(): number | null;
  /** At the start of each entry, before keys expire: ends what is due, at most about `limit` things. */
  expireDue?(nowMs: number, limit: number): void;
}

/** A native command as it is in the log. */
export interface NativeItem {
  /** 0: without a session. */
  readonly clientId: number;
  readonly sequence: number;
  /** All sequences below have been answered. */
  readonly acknowledged: number;
  /** Protobuf `reactornet.kv.Command`: a view, valid during the call. */
  readonly command: Uint8Array;
  /** The quota or a full disk refuses what would grow. */
  readonly refusesGrowth: boolean;
  /** Nobody waits here: the reply may be anything, the state must be the same. */
  readonly wantsReply: boolean;
}

/** What the native commands add to the machine. */
export interface NativePart {
  /** In the order of their names in snapshots. */
  readonly sections: readonly MachineSection[];
  /** The start of an entry, before anything expires; the keyspace has its time. */
  begin?(index: number, term: number): void;
  /** Its changes of the keyspace become one revision. */
  execute(context: CommandContext, item: NativeItem): Reply;
  /** Reads; `command` and the result are kv/machine/native's own types. */
  query(context: CommandContext, command: unknown): unknown;
}

export type NativePartFactory = (keyspace: Keyspace) => NativePart;

/** A machine that knows Redis commands only. */
export const withoutNative: NativePartFactory = () => ({
  sections: [],
  execute: () => NOT_KNOWN,
  query: () => NOT_KNOWN,
});

const NOT_KNOWN = new ErrorReply('ERR this member knows no native commands');
