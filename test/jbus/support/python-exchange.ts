// Node as one end of an exchange with exchange.py: messages both ways at once over two rings, every one checked.
// Message i has id i, type i mod 7, and a payload whose first u32 is the CRC-32 of the rest. Rings alone, no channel:
// what is tested is that two implementations of one layout agree.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { crc32 } from 'node:zlib';

import {
  FLAG_WHOLE,
  type RingReader,
  type RingRecord,
  type RingWriter,
  ShmRing,
} from '../../../addon/jbus/index.js';
import { PYTHON_TESTS } from '../../support/python.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { until } from '../../support/until.js';

export interface ExchangeOptions {
  /** Messages in each direction. */
  readonly count: number;
  /** Of the largest payload; above half the ring it goes in fragments. */
  readonly bytesMax: number;
  readonly capacity: number;
  readonly seed: number;
}

const LARGE_PROBABILITY = 0.01;
const SMALL_BYTES_MAX = 200;
/** Messages written before reading gets its turn. */
const BURST = 500;
const SAFETY_POLL_MS = 50;
const TYPES = 7;

/** Both ends write `count` messages and check as many. Fails if one is lost, torn, repeated or out of order. */
export async function exchangeWithPython(options: ExchangeOptions): Promise<void> {
  const { capacity, count, bytesMax, seed } = options;
  const toPython = ShmRing.create(0, { capacity, crc: true });
  const toNode = ShmRing.create(0, { capacity, crc: true, epoch: toPython.epoch });
  let child: ChildProcess | undefined;
  try {
    const identity = ['--send-id', toNode.id, '--receive-id', toPython.id, '--epoch', toPython.epoch];
    const work = ['--count', count, '--bytes-max', bytesMax, '--seed', seed];
    child = spawn(
      'python3',
      [
        '-B',
        path.join(PYTHON_TESTS, 'exchange.py'),
        ...[...identity, ...work, '--doorbell-fd', 3].map(String),
      ],
      { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] },
    );
    const exited = once(child, 'exit');
    const complaint = text(child.stderr!);
    const doorbell = child.stdio[3] as Duplex; // fd 3 was asked for as a pipe, which is a socket
    const bell = new Bell(doorbell);
    const isReady = (): boolean => toPython.state === 'ready' && toNode.state === 'ready';
    await until(() => isReady() || child!.exitCode !== null);
    toPython.remove();
    toNode.remove();

    const ring = (): void => void doorbell.write('!');
    const sender = new Sender(toPython.writer({ wakeConsumer: ring }), options);
    const receiver = new Receiver(
      toNode.reader({ wakeProducer: ring, messageBytesMax: bytesMax + 4 }),
      count,
    );
    while (!(sender.isDone && receiver.isDone)) {
      const moved = sender.send(BURST) + receiver.receive();
      if (moved > 0) await nextTurn();
      else if (sender.prepareWait() && receiver.prepareWait()) await bell.wait(SAFETY_POLL_MS);
      assert.equal(child.exitCode, null, `python ended: ${child.exitCode === null ? '' : await complaint}`);
    }
    toPython.markClosing();
    ring();
    const [code] = (await exited) as [number | null];
    assert.deepEqual({ code, complaint: await complaint }, { code: 0, complaint: '' });
    sender.writer.close();
    receiver.reader.close();
  } finally {
    child?.kill('SIGKILL');
    for (const ring of [toPython, toNode]) {
      ring.remove();
      ring.close();
    }
  }
}

/** Turns the doorbell's bytes, and its end, into the end of a wait. */
class Bell {
  #onRing: () => void = () => {};

  constructor(doorbell: Duplex) {
    doorbell.on('data', () => this.#onRing());
    doorbell.on('close', () => this.#onRing());
    doorbell.on('error', () => this.#onRing()); // the exit code tells more
  }

  async wait(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.#onRing(), timeoutMs);
    await new Promise<void>((resolve) => (this.#onRing = resolve));
    clearTimeout(timer);
  }
}

class Sender {
  readonly writer: RingWriter;
  readonly #count: number;
  readonly #bytesMax: number;
  readonly #random: SeededRandom;
  readonly #noise: Buffer;
  #index = 0;
  #message: Buffer | undefined;
  #written = 0;

  constructor(writer: RingWriter, { count, bytesMax, seed }: ExchangeOptions) {
    this.writer = writer;
    this.#count = count;
    this.#bytesMax = bytesMax;
    this.#random = new SeededRandom(seed + 1);
    this.#noise = Buffer.alloc(2 * bytesMax);
    for (let at = 0; at < this.#noise.length; at += 1) this.#noise[at] = this.#random.integer(0, 255);
  }

  get isDone(): boolean {
    return this.#index === this.#count;
  }

  /** Writes up to `most` messages, as far as there is room, and returns the bytes that went. */
  send(most: number): number {
    let bytes = 0;
    for (let sent = 0; sent < most && !this.isDone; sent += 1) {
      this.#message ??= this.#next();
      const taken = this.#put(this.#message);
      bytes += taken;
      if (taken === 0 || (this.#written > 0 && this.#written < this.#message.length)) break;
      this.#message = undefined;
      this.#written = 0;
      this.#index += 1;
    }
    return bytes;
  }

  prepareWait(): boolean {
    return this.isDone || this.writer.prepareWait(this.writer.recordBytesMax + 32);
  }

  #put(message: Buffer): number {
    const type = this.#index % TYPES;
    if (message.length <= this.writer.recordBytesMax) return this.writer.write(type, this.#index, message);
    const taken = this.writer.writeFragments(type, this.#index, message, this.#written);
    this.#written += taken;
    return taken;
  }

  #next(): Buffer {
    const isLarge = this.#random.chance(LARGE_PROBABILITY);
    const length = this.#random.integer(0, isLarge ? this.#bytesMax : SMALL_BYTES_MAX);
    const start = this.#random.integer(0, this.#bytesMax);
    const rest = this.#noise.subarray(start, start + length);
    const message = Buffer.allocUnsafe(4 + rest.length);
    message.writeUInt32LE(crc32(rest));
    rest.copy(message, 4);
    return message;
  }
}

class Receiver {
  readonly reader: RingReader;
  readonly #count: number;
  #index = 0;
  #fragments: Buffer[] = [];
  #received = 0;

  constructor(reader: RingReader, count: number) {
    this.reader = reader;
    this.#count = count;
  }

  get isDone(): boolean {
    return this.#index === this.#count;
  }

  /** Checks what is there and returns the number of records. */
  receive(): number {
    const rows = this.reader.readBatch();
    for (let row = 0; row < rows; row += 1) this.#take(this.reader.record(row));
    this.reader.release();
    return rows;
  }

  prepareWait(): boolean {
    return this.reader.prepareWait();
  }

  #take(record: RingRecord): void {
    if (record.flags === FLAG_WHOLE) {
      this.#check(record, record.bytes);
      return;
    }
    this.#fragments.push(Buffer.from(record.bytes));
    this.#received += record.bytes.length;
    if (this.#received < record.totalLength) return;
    this.#check(record, Buffer.concat(this.#fragments));
    this.#fragments = [];
    this.#received = 0;
  }

  #check(record: RingRecord, message: Buffer): void {
    const { type, msgId } = record;
    const came = { type, msgId, crc: message.readUInt32LE() };
    const due = { type: this.#index % TYPES, msgId: this.#index, crc: crc32(message.subarray(4)) };
    assert.deepEqual(came, due);
    this.#index += 1;
  }
}
