// One ring in one segment: creating it, attaching to it and checking whose it is, opening its two sides.
// ShmManager and Channel hold it. It keeps the segment mapped; moving records is RingWriter's and RingReader's.
// Whoever creates owns: it removes the segment, best as soon as the peer has attached.

import { randomBytes } from 'node:crypto';

import type { ShmHeader, ShmStatus } from '../index.js';
import { JbusError, native } from './errors.js';
import { channelHash, keyText } from './keys.js';
import {
  CAPACITY_MAX,
  CAPACITY_MIN,
  isCapacity,
  SEGMENT_FLAG_CRC,
  STATE_CLOSING,
  STATE_READY,
  type SegmentState,
  segmentBytesFor,
  segmentStateOf,
} from './layout.js';
import { shmAddon } from './native.js';
import { RingReader, type RingReaderOptions } from './ring-reader.js';
import { RingWriter, type RingWriterOptions } from './ring-writer.js';
import { ShmSegment } from './shm-segment.js';

export interface ShmRingOptions {
  /** Bytes of records: a power of two from 4 KiB to 2 GiB. Default 1 MiB. */
  capacity?: number;
  /** The channel's name, of which the header keeps a hash. Default ''. */
  name?: string;
  /** Which incarnation this is, 1 to 2^53 - 1. Default: random. */
  epoch?: number;
  /** Every record gets a CRC-32, and is refused without a right one. Default false. */
  crc?: boolean;
  /** Where the positions begin, a multiple of 8; for tests. Default 0. */
  startPosition?: number;
}

/** What an attaching process knows beforehand; undefined fields are not compared. */
export interface ShmRingExpectation {
  /** Whether to tell the other process at once; false: `markReady` does, once this side has a pid to watch. Default true. */
  ready?: boolean;
  epoch?: number;
  name?: string;
}

const DEFAULT_CAPACITY = 1024 * 1024;

export class ShmRing {
  readonly segment: ShmSegment;
  /** The key it was made under; 0 for one that is only known by its id. */
  readonly key: number;
  readonly epoch: number;
  readonly capacity: number;

  private constructor(segment: ShmSegment, key: number, epoch: number, capacity: number) {
    this.segment = segment;
    this.key = key;
    this.epoch = epoch;
    this.capacity = capacity;
  }

  /** Makes a segment and a ring in it. Key 0: found by its id only. @throws JbusError JBUS_KEY_IN_USE, JBUS_NO_SPACE. */
  static create(key: number, options: ShmRingOptions = {}): ShmRing {
    const {
      capacity = DEFAULT_CAPACITY,
      name = '',
      epoch = randomEpoch(),
      crc = false,
      startPosition = 0,
    } = options;
    checkCapacity(capacity);
    const segment = ShmSegment.create(key, segmentBytesFor(capacity));
    try {
      const flags = crc ? SEGMENT_FLAG_CRC : 0;
      native(() =>
        shmAddon().shmFormat(segment.id, capacity, epoch, channelHash(name), flags, startPosition),
      );
      return new ShmRing(segment, key, epoch, capacity);
    } catch (error) {
      segment.remove();
      segment.close();
      throw error;
    }
  }

  /**
   * Attaches to a ring that another process, or thread, has made, and tells it so (state READY).
   * @throws JbusError JBUS_NO_SEGMENT, JBUS_FORBIDDEN, JBUS_NOT_OURS, JBUS_VERSION, JBUS_BAD_LAYOUT, JBUS_EPOCH,
   * JBUS_OTHER_CHANNEL, JBUS_POISONED.
   */
  static attach(segmentId: number, expected: ShmRingExpectation = {}): ShmRing {
    const status = native(() => shmAddon().shmStat(segmentId));
    checkOwner(status);
    const header = native(() => shmAddon().shmHeader(segmentId));
    checkHeader(nameOf(status), header, expected);
    const segment = ShmSegment.attach(segmentId);
    const ring = new ShmRing(segment, status.key, header.epoch, header.capacity);
    if (expected.ready !== false) ring.markReady();
    return ring;
  }

  get id(): number {
    return this.segment.id;
  }

  get state(): SegmentState {
    return segmentStateOf(native(() => shmAddon().shmState(this.id)));
  }

  /** Takes the producer's side for this thread; it is closed by itself. */
  writer(options: RingWriterOptions = {}): RingWriter {
    return new RingWriter(this.id, options);
  }

  /** Takes the consumer's side for this thread; it is closed by itself. */
  reader(options: RingReaderOptions = {}): RingReader {
    return new RingReader(this.id, options);
  }

  header(): ShmHeader {
    return this.segment.header();
  }

  /** Tells the other side that somebody has come. */
  markReady(): void {
    native(() => shmAddon().shmMark(this.id, STATE_READY));
  }

  /** Tells the other side that the ring ends. */
  markClosing(): void {
    native(() => shmAddon().shmMark(this.id, STATE_CLOSING));
  }

  /** Gives up the key: nothing is left behind once all have detached, however they end. */
  remove(): void {
    this.segment.remove();
  }

  close(): void {
    this.segment.close();
  }
}

/** @throws JbusError JBUS_FORBIDDEN: what others made, or may write to, is never repaired. */
export function checkOwner(status: ShmStatus): void {
  const userId = process.geteuid?.();
  if (status.uid !== userId) {
    throw new JbusError('JBUS_FORBIDDEN', `${nameOf(status)} belongs to user ${status.uid}, not ${userId}`);
  }
  if ((status.mode & 0o077) !== 0) {
    throw new JbusError('JBUS_FORBIDDEN', `${nameOf(status)} has mode 0${status.mode.toString(8)}, not 0600`);
  }
}

/** @param name of the segment, for messages. @throws JbusError JBUS_NOT_OURS, JBUS_EPOCH, JBUS_OTHER_CHANNEL. */
export function checkHeader(name: string, header: ShmHeader, expected: ShmRingExpectation): void {
  if (!header.isOurs) throw new JbusError('JBUS_NOT_OURS', `${name} is not a ring`);
  if (expected.epoch !== undefined && header.epoch !== expected.epoch) {
    throw new JbusError('JBUS_EPOCH', `${name} has epoch ${header.epoch}, not ${expected.epoch}`);
  }
  if (expected.name !== undefined && header.channelHash !== channelHash(expected.name)) {
    throw new JbusError('JBUS_OTHER_CHANNEL', `${name} belongs to another channel than ${expected.name}`);
  }
}

function nameOf(status: ShmStatus): string {
  return `segment ${status.id} (key ${keyText(status.key)})`;
}

/** @throws JbusError JBUS_INVALID_ARGUMENT */
export function checkCapacity(capacity: number): void {
  if (isCapacity(capacity)) return;
  throw new JbusError(
    'JBUS_INVALID_ARGUMENT',
    `capacity must be a power of two from ${CAPACITY_MIN} to ${CAPACITY_MAX}, not ${String(capacity)}`,
  );
}

/** 1 to 2^53 - 1. */
export function randomEpoch(): number {
  const bits = BigInt.asUintN(53, randomBytes(8).readBigUInt64LE());
  return Number(bits) || 1;
}
