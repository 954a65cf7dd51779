// A machine with a log of native commands: one entry per command, at a log time that tests move by hand.

import assert from 'node:assert/strict';
import { BatchWriter, ItemWriter, timeBatch } from '../../../kv/machine/batch.js';
import type { ChangeSet } from '../../../kv/machine/changes.js';
import { Machine } from '../../../kv/machine/machine.js';
import { NativeReply, type Reply } from '../../../kv/machine/reply.js';
import { Command, type Outcome } from '../../../kv/proto/kv.js';
import type { MessageInit } from '../../../rpc/index.js';

export type CommandInit = MessageInit<Command>;

/** What tests look at; everything a message may lack is there. */
export type Told = Required<Outcome>;

export interface InSession {
  readonly client: number;
  readonly sequence: number;
  readonly acknowledged?: number;
}

export function encoded(command: CommandInit): Uint8Array {
  const message = Command.codec('protobuf').encode(command as Command); // it takes what is left out for its default
  const target = new Uint8Array(message.bytes);
  message.writeTo(target, 0);
  return target;
}

export function bytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

export function text(value: Uint8Array | undefined): string {
  assert(value !== undefined, 'there are bytes');
  return Buffer.from(value).toString('latin1');
}

export class NativeLog {
  machine: Machine;
  nowMs = 1_000_000;
  term = 1;
  index = 0;
  readonly changes: ChangeSet[] = [];
  #sequence = 0;

  constructor() {
    this.machine = this.#made();
    this.advance(0);
  }

  /** Executes a command through the log. */
  run(command: CommandInit, session?: InSession): Told {
    const { client = 0, sequence = 0, acknowledged = 0 } = session ?? {};
    const writer = new ItemWriter();
    writer.native(client, sequence, acknowledged, encoded(command));
    return this.#outcome(this.#apply(writer)[0]!);
  }

  /** A Redis command, through the log. */
  redis(...args: string[]): Reply {
    const writer = new ItemWriter();
    writer.redis(args, false);
    return this.#apply(writer)[0]!;
  }

  query(command: CommandInit): Told {
    const decoded = Command.codec('protobuf').decode(encoded(command));
    return this.machine.queryNative(decoded) as Told;
  }

  /** The code with which a command is refused. */
  refusal(command: CommandInit, session?: InSession): string {
    const before = this.machine.revision;
    const { error } = this.run(command, session);
    assert.equal(this.machine.revision, before, 'what is refused changes nothing');
    return error === undefined ? 'none' : error.code;
  }

  advance(byMs: number): void {
    this.nowMs += byMs;
    this.index += 1;
    this.machine.apply(
      this.index,
      this.term,
      timeBatch({ origin: 1, boot: 1, sequence: 0 }, this.nowMs),
      false,
    );
    this.machine.keyspace.checkInvariants();
  }

  /** Goes on from a snapshot, as a member that starts again. */
  restart(): number {
    const snapshot = this.machine.snapshot();
    const chunks = [...snapshot.chunks()];
    snapshot.close();
    const hash = this.machine.hash();
    const loader = Machine.loader({ onChanges: (set) => this.changes.push(set) });
    for (const chunk of chunks) loader.write(chunk);
    this.machine = loader.finish();
    assert.equal(this.machine.hash(), hash, 'a restored machine is the same');
    return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  get(key: string): string | null {
    const { kv } = this.query({ get: { key: bytes(key) } }).get;
    return kv === undefined ? null : text(kv.value);
  }

  put(key: string, value: string, more: MessageInit<Command['put'] & object> = {}): Told {
    return this.run({ put: { key: bytes(key), value: bytes(value), ...more } });
  }

  /** All keys, in order. */
  keys(prefix = ''): string[] {
    const { kvs } = this.query({ range: { range: { prefix: bytes(prefix) }, keysOnly: true } }).range;
    return kvs.map(({ key }) => text(key));
  }

  openSession(ttlMs = 60_000): number {
    return Number(this.run({ sessionOpen: { ttlMs: BigInt(ttlMs) } }).session.clientId);
  }

  grant(ttlMs: number, id = 0): number {
    return Number(this.run({ leaseGrant: { id: BigInt(id), ttlMs: BigInt(ttlMs) } }).lease.id);
  }

  #made(): Machine {
    return new Machine({ onChanges: (set) => this.changes.push(set) });
  }

  #apply(writer: ItemWriter): readonly Reply[] {
    const batch = new BatchWriter();
    batch.add(writer.take());
    this.#sequence += 1;
    this.index += 1;
    const data = batch.take({ origin: 1, boot: 1, sequence: this.#sequence }, this.nowMs);
    const replies = this.machine.apply(this.index, this.term, data, true);
    assert(replies !== null);
    return replies;
  }

  #outcome(reply: Reply): Told {
    assert(reply instanceof NativeReply);
    return reply.outcome as Told;
  }
}
