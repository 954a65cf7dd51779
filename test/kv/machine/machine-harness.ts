// A machine with a log of its own making: what was applied is kept, so that another machine can be fed the same.

import {
  BatchWriter,
  type EncodedItems,
  ItemWriter,
  type Origin,
  timeBatch,
  type Watch,
} from '../../../kv/machine/batch.js';
import { Machine, type MachineOptions } from '../../../kv/machine/machine.js';
import type { Reply } from '../../../kv/machine/reply.js';

export const ORIGIN: Origin = { origin: 1, boot: 11, sequence: 1 };

export class Harness {
  readonly machine: Machine;
  readonly log: Buffer[] = [];
  nowMs = 1_000_000;
  #sequence = 0;

  constructor(options: MachineOptions = {}) {
    this.machine = new Machine(options);
  }

  /** One command as one entry; its reply. */
  run(...args: string[]): Reply {
    return this.entry((items) => items.redis(args, false))![0]!;
  }

  /** A transaction as one entry. */
  exec(commands: readonly string[][], watches: readonly Watch[] = []): Reply {
    return this.entry((items) => items.exec(watches, commands))![0]!;
  }

  setting(name: string, value: string): Reply {
    return this.entry((items) => items.setting(name, value))![0]!;
  }

  entry(fill: (items: ItemWriter) => void): readonly Reply[] | null {
    this.#sequence += 1;
    return this.apply(batchOf(itemsOf(fill), { ...ORIGIN, sequence: this.#sequence }, this.nowMs), true);
  }

  apply(data: Buffer, wantsReplies = true): readonly Reply[] | null {
    this.log.push(data);
    return this.machine.apply(this.log.length, 1, data, wantsReplies);
  }

  /** An entry without commands, so many milliseconds later. */
  pass(ms: number): void {
    this.nowMs += ms;
    this.apply(timeBatch({ ...ORIGIN, sequence: 0 }, this.nowMs), false);
  }

  query(...args: string[]): Reply {
    return this.machine.query(args);
  }
}

export function itemsOf(fill: (items: ItemWriter) => void): EncodedItems {
  const items = new ItemWriter();
  fill(items);
  return items.take();
}

export function batchOf(items: EncodedItems, origin: Origin, timeMs: number): Buffer {
  const batch = new BatchWriter();
  batch.add(items);
  return batch.take(origin, timeMs);
}

export function commandBatch(args: readonly string[], origin: Origin = ORIGIN, timeMs = 1_000_000): Buffer {
  return batchOf(
    itemsOf((items) => items.redis(args, false)),
    origin,
    timeMs,
  );
}

export function snapshotOf(machine: Machine): Buffer {
  const snapshot = machine.snapshot();
  try {
    return Buffer.concat([...snapshot.chunks()]);
  } finally {
    snapshot.close();
  }
}

/** Feeds a log to a machine from its beginning. */
export function replay(
  log: readonly Buffer[],
  wantsReplies: boolean,
  machine: Machine = new Machine(),
): Machine {
  for (const [index, data] of log.entries()) machine.apply(index + 1, 1, data, wantsReplies);
  return machine;
}
