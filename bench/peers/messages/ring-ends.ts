// jbus without a channel: one ring, written and read in batches, fragments of large messages read where they lie.
// Who finds nothing looks on for a while, then sleeps in its event loop until the other side rings a socketpair.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  FLAG_END,
  RecordBatch,
  type RingReader,
  type RingWriter,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_TYPE,
  ROW_WORDS,
  ShmRing,
} from '../../../addon/jbus/index.js';
import { LINE_BYTES, type Rotation } from '../../rotation.js';
import {
  BATCH_BYTES,
  BATCH_MESSAGES_MAX,
  decodeTally,
  encodeTally,
  KIND_DATA,
  KIND_FINISH,
  RING_BYTES,
  type SendingEnd,
  type Tally,
} from './ends.js';

const BELL_FD = 3;
const ANSWER_FD = 4;
const SPIN_MICROS = 50;
const BELL = Buffer.from('!');
const NOTHING = Buffer.alloc(0);
const WORD_BYTES = 4;
const LINE_WORDS = LINE_BYTES / WORD_BYTES;
/** Up to here a call costs more than the copy into the batch. */
const BATCHED_BYTES_MAX = 512;
/** The header of a record and what its length is rounded up by. */
const OVERHEAD_BYTES = 40;

export class RingEnd implements SendingEnd {
  readonly #reader: ChildProcess;
  readonly #bell: Duplex;
  readonly #answers: AsyncIterableIterator<Buffer>;
  readonly #memory: Buffer;
  readonly #words: Int32Array;
  readonly #ring: ShmRing;
  readonly #writer: RingWriter;
  readonly #batch = new RecordBatch({ recordsMax: BATCH_MESSAGES_MAX, bytesMax: BATCH_BYTES });
  readonly #batchWords: Int32Array;

  constructor(memory: Buffer, command: string, args: readonly string[]) {
    this.#memory = memory;
    this.#words = new Int32Array(memory.buffer, memory.byteOffset, memory.length / WORD_BYTES);
    this.#ring = ShmRing.create(0, { capacity: RING_BYTES });
    this.#reader = spawn(command, [...args, String(this.#ring.segment.id)], {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe', 'pipe'],
    });
    this.#bell = this.#reader.stdio[BELL_FD] as Duplex; // 'pipe' makes it one
    this.#answers = (this.#reader.stdio[ANSWER_FD] as Duplex)[Symbol.asyncIterator]();
    this.#writer = this.#ring.writer({ wakeConsumer: () => this.#bell.write(BELL) });
    this.#batchWords = new Int32Array(this.#batch.bytes.buffer);
  }

  async ready(): Promise<void> {
    await this.#answers.next();
    this.#ring.remove(); // both are attached: nothing stays behind, however they end
  }

  async send(rotation: Rotation, count: number): Promise<void> {
    if (rotation.messageBytes <= BATCHED_BYTES_MAX) return await this.#sendBatches(rotation, count);
    for (let index = 0; index < count; index += 1) await this.#sendOne(rotation);
  }

  async finish(): Promise<Tally> {
    while (this.#writer.write(KIND_FINISH, 0, NOTHING) === 0) await this.#room(OVERHEAD_BYTES);
    const { value } = await this.#answers.next();
    return decodeTally(value as Buffer); // the reader writes a tally at a time
  }

  async close(): Promise<void> {
    this.#writer.close();
    this.#ring.close();
    this.#bell.destroy();
    await once(this.#reader, 'exit');
  }

  async #sendBatches(rotation: Rotation, count: number): Promise<void> {
    const batch = this.#batch;
    const source = this.#words;
    const target = this.#batchWords;
    const { messageBytes } = rotation;
    const messageWords = messageBytes / WORD_BYTES;
    for (let index = 0; index < count; index += 1) {
      let at = batch.reserve(KIND_DATA, index, messageBytes);
      while (at < 0) {
        await this.#flush();
        at = batch.reserve(KIND_DATA, index, messageBytes);
      }
      const from = rotation.next() / WORD_BYTES;
      const to = at / WORD_BYTES;
      for (let word = 0; word < messageWords; word += 1) target[to + word] = source[from + word]!;
    }
    await this.#flush();
  }

  async #flush(): Promise<void> {
    for (;;) {
      this.#writer.writeBatch(this.#batch);
      if (this.#batch.count === 0) return;
      await this.#room(BATCH_BYTES);
    }
  }

  async #sendOne(rotation: Rotation): Promise<void> {
    const writer = this.#writer;
    const at = rotation.next();
    const message = this.#memory.subarray(at, at + rotation.messageBytes);
    if (message.length <= writer.recordBytesMax) {
      while (writer.write(KIND_DATA, 0, message) === 0) await this.#room(message.length + OVERHEAD_BYTES);
      return;
    }
    for (let from = 0; from < message.length; ) {
      const written = writer.writeFragments(KIND_DATA, 0, message, from);
      from += written;
      const next = Math.min(writer.fragmentBytes, message.length - from);
      if (written === 0) await this.#room(next + OVERHEAD_BYTES);
    }
  }

  /** Until the reader has made room; a record that would wrap may need twice as much. */
  async #room(bytes: number): Promise<void> {
    const enough = Math.min(2 * bytes, RING_BYTES);
    if (this.#writer.spin(enough, SPIN_MICROS) || !this.#writer.prepareWait(enough)) return;
    await once(this.#bell, 'data');
  }
}

/** The reader's process, until the other end hangs up. */
export async function readRing(segmentId: number): Promise<void> {
  const bell = new Socket({ fd: BELL_FD });
  const answers = new Socket({ fd: ANSWER_FD });
  const ring = ShmRing.attach(segmentId);
  const reader = ring.reader({ wakeProducer: () => bell.write(BELL) });
  const tally = new RingTally(reader);
  answers.write(NOTHING_YET);
  bell.on('data', () => drain());
  drain();
  await once(bell, 'close');
  reader.close();
  ring.close();
  answers.destroy();

  function drain(): void {
    for (;;) {
      const rows = reader.readBatch();
      if (rows > 0) {
        const finished = tally.add(rows);
        reader.release();
        if (finished !== null) answers.write(encodeTally(finished));
      } else if (!reader.spin(SPIN_MICROS) && reader.prepareWait()) return;
    }
  }
}

const NOTHING_YET = encodeTally({ count: 0, sum: 0 });

class RingTally {
  readonly #reader: RingReader;
  readonly #words: Int32Array;
  #count = 0;
  #sum = 0;
  /** Of the message, read so far: a fragment need not begin with a line. */
  #read = 0;

  constructor(reader: RingReader) {
    this.#reader = reader;
    const { buffer, byteOffset, length } = reader.view;
    this.#words = new Int32Array(buffer, byteOffset, length / WORD_BYTES);
  }

  /** Reads a word of each line of the batch's records; the tally when the sender has asked for it. */
  add(count: number): Tally | null {
    const { rows } = this.#reader;
    const words = this.#words;
    let finished: Tally | null = null;
    for (let row = 0, end = count * ROW_WORDS; row < end; row += ROW_WORDS) {
      if (rows[row + ROW_TYPE] === KIND_FINISH) {
        finished = { count: this.#count, sum: this.#sum };
        this.#count = 0;
        this.#sum = 0;
        continue;
      }
      const length = rows[row + ROW_LENGTH]!;
      const from = rows[row + ROW_OFFSET]! / WORD_BYTES;
      const to = from + length / WORD_BYTES;
      let sum = this.#sum;
      for (let at = from + toNextLine(this.#read); at < to; at += LINE_WORDS) sum = (sum + words[at]!) | 0;
      this.#sum = sum;
      this.#read += length;
      if ((rows[row + ROW_FLAGS]! & FLAG_END) === 0) continue;
      this.#count += 1;
      this.#read = 0;
    }
    return finished;
  }
}

/** Words from byte `at` of a message to the next line. */
function toNextLine(at: number): number {
  return (-at & (LINE_BYTES - 1)) / WORD_BYTES;
}
