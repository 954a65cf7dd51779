// Runs Redis commands on a machine as the log would, and shows replies as RESP2 would carry them.

import { BatchWriter, ItemWriter } from '../../../kv/machine/batch.js';
import { commandTable } from '../../../kv/machine/commands/table.js';
import { Machine, type MachineOptions } from '../../../kv/machine/machine.js';
import {
  BooleanReply,
  DoubleReply,
  ErrorReply,
  MapReply,
  NilArray,
  PairsReply,
  type Reply,
  SetReply,
  StatusReply,
} from '../../../kv/machine/reply.js';
import { formatDouble } from '../../../kv/machine/commands/numbers.js';
import type { Plain } from './redis-process.js';

export class MachineRunner {
  readonly machine: Machine;
  /** Log time of the next entry. */
  nowMs: number;
  #index = 0;

  constructor(nowMs = 1_000_000, options: MachineOptions = {}) {
    this.machine = new Machine(options);
    this.nowMs = nowMs;
  }

  /** One entry with these commands. */
  runAll(commands: readonly (readonly string[])[], wantsReplies = true): readonly Reply[] | null {
    const items = new ItemWriter();
    for (const args of commands) {
      const command = commandTable.get(args[0]!.toLowerCase());
      items.redis(args, command?.flags.includes('readonly') ?? true);
    }
    const batch = new BatchWriter();
    batch.add(items.take());
    this.#index += 1;
    const data = batch.take({ origin: 1, boot: 1, sequence: this.#index }, this.nowMs);
    return this.machine.apply(this.#index, 1, data, wantsReplies);
  }

  run(...args: string[]): Plain {
    return plainOf(this.runAll([args])![0]!);
  }

  /** A line of words without spaces in them. */
  line(text: string): Plain {
    return this.run(...text.split(' '));
  }
}

/** A reply as RESP2 carries it. */
export function plainOf(reply: Reply): Plain {
  if (reply === null || typeof reply === 'string') return reply;
  if (typeof reply === 'number' || typeof reply === 'bigint') return { token: `:${reply}` };
  if (Buffer.isBuffer(reply)) return reply.toString('latin1');
  if (reply instanceof StatusReply) return { token: `+${reply.text}` };
  if (reply instanceof ErrorReply) return { token: `-${reply.text}` };
  if (reply instanceof DoubleReply) return formatDouble(reply.value);
  if (reply instanceof NilArray) return { nil: 'array' };
  if (reply instanceof BooleanReply) return { token: reply.value ? ':1' : ':0' };
  if (reply instanceof SetReply) return reply.items.map(plainOf);
  if (reply instanceof MapReply) return reply.flat.map(plainOf);
  if (reply instanceof PairsReply) {
    const flat = reply.flat.map(plainOf);
    if (reply.form === 'pairs') return flat;
    return flat.flatMap((first, index) => (index % 2 === 0 ? [[first, flat[index + 1]!]] : []));
  }
  if (Array.isArray(reply)) return reply.map(plainOf);
  throw new Error('a native reply has no form in RESP2');
}
