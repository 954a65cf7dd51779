// The sending end of one way to pass messages, in a process of its own; it starts the reading end.
//   node sender.js WAY ROTATED_BYTES
// Prints the ready line, then one result line for every command on its standard input, until that ends.
// message-run.ts gives the commands and reads the CPU of this process and its children around each.

import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { slotOf } from '../../histogram.js';
import { fillLines, Rotation } from '../../rotation.js';
import type { MessageCommand, PingResult, StreamResult } from '../../message-run.js';
import { PYTHON_PEER } from '../../../addon/jbus/index.js';
import { ROOT } from '../../paths.js';
import { ChannelEnd } from './channel-ends.js';
import { CopyEnd } from './copy-ends.js';
import { batchOf, type SendingEnd, type Tally } from './ends.js';
import { RingEnd } from './ring-ends.js';
import { StreamEnd } from './stream-ends.js';
import { WorkerEnd } from './worker-ends.js';

const READER = fileURLToPath(new URL('./reader.js', import.meta.url));
const PYTHON_READER = `${ROOT}/bench/peers/messages/reader.py`;
const NODE = process.execPath;
const SPIN_MICROS = 100;
/** Python adds up one word of each page of 4 KiB. */
const PYTHON_LINES_PER_SUM = 64;
/** Bytes sent between two looks at the clock. */
const BURST_BYTES = 1024 * 1024;
const BURST_MESSAGES_MAX = 4096;
/** Of the histogram, as in bench/native/histogram.h. */
const SUB_BITS = 7;

type Way = (memory: Buffer) => Promise<SendingEnd> | SendingEnd;

const WAYS: Readonly<Record<string, Way>> = {
  channel: (memory) => ChannelEnd.start(memory, NODE, [READER, 'channel'], 0),
  'channel-spin': (memory) => ChannelEnd.start(memory, NODE, [READER, 'channel-spin'], SPIN_MICROS),
  'channel-python': (memory) => ChannelEnd.start(memory, 'python3', pythonReader('channel'), 0),
  ring: async (memory) => {
    const end = new RingEnd(memory, NODE, [READER, 'ring']);
    await end.ready();
    return end;
  },
  pair: (memory) => StreamEnd.overPair(memory, NODE, [READER, 'stream']),
  'pair-pieces': (memory) => StreamEnd.overPair(memory, NODE, [READER, 'stream-pieces']),
  'pair-python': (memory) => StreamEnd.overPair(memory, 'python3', pythonReader('stream')),
  tcp: (memory) => StreamEnd.overTcp(memory, NODE, [READER, 'stream']),
  worker: (memory) => new WorkerEnd(memory.length, new URL('./reader.worker.js', import.meta.url)),
  copy: (memory) => new CopyEnd(memory, false),
  'copy-read': (memory) => new CopyEnd(memory, true),
};

function pythonReader(way: string): string[] {
  return [PYTHON_READER, fileURLToPath(PYTHON_PEER), way];
}

class Sender {
  readonly #end: SendingEnd;
  readonly #rotatedBytes: number;
  readonly #linesPerSum: number;
  #rotation: Rotation | undefined;

  constructor(end: SendingEnd, rotatedBytes: number, linesPerSum: number) {
    this.#end = end;
    this.#rotatedBytes = rotatedBytes;
    this.#linesPerSum = linesPerSum;
  }

  async run(command: MessageCommand): Promise<StreamResult | PingResult> {
    const { bytes, warmupSeconds, seconds } = command;
    const run = (time: number): Promise<StreamResult | PingResult> =>
      command.run === 'ping' ? this.#ping(bytes, time) : this.#stream(bytes, time);
    const warmUp = await run(warmupSeconds);
    const result = await run(seconds);
    return { ...result, total: warmUp.messages + result.messages };
  }

  async #stream(bytes: number, seconds: number): Promise<StreamResult> {
    const rotation = this.#rotationOf(bytes);
    const batch = batchOf(bytes);
    const burst = Math.ceil(Math.min(BURST_MESSAGES_MAX, BURST_BYTES / bytes) / batch) * batch;
    const startMs = performance.now();
    let messages = 0;
    do {
      await this.#end.send(rotation, burst);
      messages += burst;
    } while (performance.now() - startMs < seconds * 1000);
    const tally = await this.#end.finish();
    const elapsed = (performance.now() - startMs) / 1000;
    check(tally, rotation.settle());
    return { messages, total: messages, seconds: elapsed };
  }

  async #ping(bytes: number, seconds: number): Promise<PingResult> {
    const end = this.#end;
    if (end.ping === undefined) throw new Error('there is no way back');
    const message = Buffer.alloc(bytes, 'ping');
    const counts = new Map<number, number>();
    const startMs = performance.now();
    let messages = 0;
    let beforeMs = startMs;
    while (beforeMs - startMs < seconds * 1000) {
      await end.ping(message);
      const afterMs = performance.now();
      const slot = slotOf(Math.round((afterMs - beforeMs) * 1e6), SUB_BITS);
      counts.set(slot, (counts.get(slot) ?? 0) + 1);
      messages += 1;
      beforeMs = afterMs;
    }
    const histogram = {
      unit: 'ns' as const,
      sub_bits: SUB_BITS,
      counts: [...counts].toSorted(([a], [b]) => a - b),
    };
    return { messages, total: messages, seconds: (beforeMs - startMs) / 1000, histogram };
  }

  #rotationOf(bytes: number): Rotation {
    if (this.#rotation?.messageBytes !== bytes)
      this.#rotation = new Rotation(this.#rotatedBytes, bytes, this.#linesPerSum);
    return this.#rotation;
  }
}

/** @throws Error when the reader has not read what was sent. */
function check(tally: Tally | null, sent: Tally): void {
  if (tally === null || (tally.count === sent.count && tally.sum === sent.sum)) return;
  throw new Error(`${JSON.stringify(sent)} was sent, ${JSON.stringify(tally)} was read`);
}

const [way = '', rotated = ''] = process.argv.slice(2);
const open = WAYS[way];
if (open === undefined) throw new Error(`no way ${way}; there are ${Object.keys(WAYS).join(', ')}`);
const memory = Buffer.allocUnsafeSlow(Number(rotated));
fillLines(memory);
const end = await open(memory);
const sender = new Sender(end, memory.length, way.endsWith('-python') ? PYTHON_LINES_PER_SUM : 1);
console.log(JSON.stringify({ event: 'ready', pid: process.pid, listen: {} }));
const commands = createInterface({ input: process.stdin });
process.once('SIGTERM', () => commands.close());
for await (const line of commands) {
  const result = await sender.run(JSON.parse(line) as MessageCommand);
  console.log(JSON.stringify({ event: 'result', ...result }));
}
await end.close();
