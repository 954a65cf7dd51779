// What both ends of a channel do in the tests of endurance and of death: write numbered messages with checksums and
// read the other's, both at once. A message that is torn, lost, repeated or out of order is found by who reads it.

import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { crc32 } from 'node:zlib';

import { type Channel, JbusError, type Lease } from '../../../addon/jbus/index.js';
import { SeededRandom } from '../../support/seeded-random.js';

export interface TalkOptions {
  /** Messages in each direction; Infinity: until the channel ends. */
  readonly count: number;
  /** Of the largest payload; one in a hundred may be that large, the others are small. */
  readonly bytesMax: number;
  readonly seed: number;
}

export interface TalkResult {
  readonly written: number;
  readonly read: number;
  /** The code of what ended the channel, if it did. */
  readonly end: string | undefined;
}

const LARGE_PROBABILITY = 0.01;
const SMALL_BYTES_MAX = 200;
const CHECKSUM_BYTES = 4;
/** Messages in a row before the other half gets its turn. */
const BURST = 500;
const PATIENCE_MS = 60_000;

/** @throws Error when a message is not what was due. */
export async function talk(channel: Channel, options: TalkOptions): Promise<TalkResult> {
  const [written, read] = await Promise.all([writeAll(channel, options), readAll(channel, options.count)]);
  return { written: written.count, read: read.count, end: written.end ?? read.end };
}

interface Half {
  readonly count: number;
  readonly end: string | undefined;
}

async function writeAll(channel: Channel, { count, bytesMax, seed }: TalkOptions): Promise<Half> {
  const random = new SeededRandom(seed);
  const noise = randomBytes(2 * bytesMax); // not of the seed: every message has its checksum
  const message = Buffer.alloc(CHECKSUM_BYTES + bytesMax);
  let index = 0;
  try {
    for (; index < count; index += 1) {
      const length = random.integer(0, random.chance(LARGE_PROBABILITY) ? bytesMax : SMALL_BYTES_MAX);
      const start = random.integer(0, bytesMax);
      noise.copy(message, CHECKSUM_BYTES, start, start + length);
      const data = message.subarray(0, CHECKSUM_BYTES + length);
      data.writeUInt32LE(crc32(data.subarray(CHECKSUM_BYTES)));
      await channel.writeAsync(data, { msgId: index, timeoutMs: PATIENCE_MS });
      if (index % BURST === 0) await nextTurn();
    }
  } catch (error) {
    return { count: index, end: codeOf(error) };
  }
  return { count: index, end: undefined };
}

async function readAll(channel: Channel, count: number): Promise<Half> {
  let index = 0;
  for (; index < count; index += 1) {
    let lease: Lease;
    try {
      lease = channel.tryLease() ?? (await channel.leaseAsync({ timeoutMs: PATIENCE_MS }));
    } catch (error) {
      return { count: index, end: codeOf(error) };
    }
    check(lease, index);
    lease.release();
    if (index % BURST === 0) await nextTurn();
  }
  return { count: index, end: undefined };
}

function check({ msgId, data }: Lease, index: number): void {
  const sum = Buffer.from(data.buffer, data.byteOffset, CHECKSUM_BYTES).readUInt32LE();
  const actual = crc32(data.subarray(CHECKSUM_BYTES));
  if (msgId === index && sum === actual) return;
  throw new Error(`message ${msgId} with checksum ${sum} came where ${index} with ${actual} was due`);
}

/** What may end a channel whose other side dies or closes; anything else is thrown on. */
function codeOf(error: unknown): string {
  if (error instanceof JbusError && ['JBUS_CLOSED', 'JBUS_PEER_DEAD'].includes(error.code)) return error.code;
  throw error;
}

/** Milliseconds on the clock that all processes of this machine share. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Keeps the processor for so many µs: shorter than any timer. */
export function dawdle(micros: number): void {
  const untilMs = performance.now() + micros / 1000;
  while (performance.now() < untilMs);
}
