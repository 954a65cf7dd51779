// What simulated clients ask for, in both of the languages that a member speaks, and how its answers read.

import { ItemWriter, type EncodedItems } from '../../../kv/machine/batch.js';
import { NativeReply, type Reply } from '../../../kv/machine/reply.js';
import { Command, type Outcome } from '../../../kv/proto/kv.js';
import type { MessageInit } from '../../../rpc/index.js';

export type CommandInit = MessageInit<Command>;
export type Told = MessageInit<Outcome>;

const codec = Command.codec('protobuf');
const writer = new ItemWriter();

export function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

export function textOf(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString('latin1');
}

/** The value of a get; null: no such key. */
export function valueOf(told: Told): string | null {
  const kv = told.get?.kv;
  return kv === undefined ? null : textOf(kv.value);
}

/** As a member reads it from the wire. */
export function decoded(command: CommandInit): Command {
  return codec.decode(encodedCommand(command));
}

export interface InSession {
  readonly client: number;
  readonly sequence: number;
  readonly acknowledged: number;
}

export const NO_SESSION: InSession = { client: 0, sequence: 0, acknowledged: 0 };

export function nativeItems(
  command: CommandInit,
  { client, sequence, acknowledged }: InSession,
): EncodedItems {
  writer.native(client, sequence, acknowledged, encodedCommand(command));
  return writer.take();
}

export function redisItems(args: readonly string[]): EncodedItems {
  writer.redis(args, false);
  return writer.take();
}

/** @throws Error: the reply is none of a native command */
export function toldBy(replies: readonly Reply[]): Told {
  const [reply] = replies;
  if (!(reply instanceof NativeReply)) throw new Error(`an answer is ${JSON.stringify(reply)}`);
  return reply.outcome as Told; // what the executor makes
}

function encodedCommand(command: CommandInit): Uint8Array {
  const message = codec.encode(command as Command); // it takes what is left out for its default
  const target = new Uint8Array(message.bytes);
  message.writeTo(target, 0);
  return target;
}
