// The rings of this machine as an onlooker sees them: the System V segments with our magic, and what their headers tell.
// `reactor-net shm` prints and removes by it. A look at a header attaches for a moment, read-only, and only to what is
// large enough for a ring. Segments of other IPC namespaces do not exist here.

import { readFileSync } from 'node:fs';

import type { ShmHeader, ShmStatus } from '../index.js';
import { JbusError, native } from './errors.js';
import { DATA_OFFSET, LAYOUT_VERSION, type SegmentState, segmentStateOf } from './layout.js';
import { monotonicMs } from './link.js';
import { shmAddon } from './native.js';
import { isSilent, isStale } from './shm-manager.js';

export interface SegmentFacts {
  readonly status: ShmStatus;
  /** Where `state` is 'unknown', nothing but its version and magic means anything. */
  readonly header: ShmHeader;
  /** 'unknown': a layout of another version. */
  readonly state: SegmentState | 'unknown';
  /** Bytes written and not yet released; null when the positions are impossible. */
  readonly usedBytes: number | null;
  /** Since either side wrote its heartbeat; null when neither ever did. */
  readonly heartbeatAgeMs: number | null;
}

const TABLE = '/proc/sysvipc/shm';

/** All rings that this user may read, by id. @throws JbusError JBUS_UNSUPPORTED */
export function listSegments(): SegmentFacts[] {
  shmAddon(); // the better reason, where there is nothing to list
  const found = segmentIds(readTable()).map(inspectSegment);
  return found.filter((segment) => segment !== 'none' && segment !== 'foreign');
}

/**
 * One segment: 'none' when there is none with this id, 'foreign' when it is no ring, or not for this user to read.
 * @throws JbusError JBUS_UNSUPPORTED
 */
export function inspectSegment(id: number): SegmentFacts | 'foreign' | 'none' {
  try {
    const status = native(() => shmAddon().shmStat(id));
    if (status.bytes < DATA_OFFSET) return 'foreign';
    // In this order: looking at the header attaches for a moment.
    const header = native(() => shmAddon().shmHeader(id));
    return header.isOurs ? factsOf(status, header) : 'foreign';
  } catch (error) {
    if (error instanceof JbusError && error.code === 'JBUS_NO_SEGMENT') return 'none';
    if (error instanceof JbusError && error.code === 'JBUS_FORBIDDEN') return 'foreign';
    throw error;
  }
}

/** The id of the segment with this key. @throws JbusError JBUS_NO_SEGMENT */
export function findSegment(key: number): number {
  return native(() => shmAddon().shmFind(key));
}

/**
 * Whether it may be removed without asking: this user's alone, and left behind. That is isStale, but with nothing
 * attached a creator who lives must also have been silent: he may have made the ring for others to come by its key.
 */
export function isAbandoned({ status, header, state }: SegmentFacts, heartbeatMs: number): boolean {
  if (status.removed || state === 'unknown') return false;
  if (status.uid !== process.geteuid?.() || (status.mode & 0o077) !== 0) return false;
  if (status.attachCount === 0 && header.creatorAlive && !isSilent(header, heartbeatMs)) return false;
  return isStale(status, header, heartbeatMs);
}

function factsOf(status: ShmStatus, header: ShmHeader): SegmentFacts {
  if (header.version !== LAYOUT_VERSION) {
    return { status, header, state: 'unknown', usedBytes: null, heartbeatAgeMs: null };
  }
  const { producer, consumer, capacity } = header;
  const usedBytes = producer.position - consumer.position;
  const beatMs = Math.max(producer.heartbeatMs, consumer.heartbeatMs);
  return {
    status,
    header,
    state: segmentStateOf(header.state),
    usedBytes: usedBytes >= 0 && usedBytes <= capacity ? usedBytes : null,
    heartbeatAgeMs: beatMs === 0 ? null : Math.max(0, monotonicMs() - beatMs),
  };
}

function readTable(): string {
  try {
    return readFileSync(TABLE, 'utf8');
  } catch (error) {
    throw new JbusError('JBUS_UNSUPPORTED', `${TABLE} cannot be read: no System V memory here`, {
      cause: error,
    });
  }
}

/** The column `shmid` of the kernel's table, whose first line names the columns. Exported for its test. */
export function segmentIds(table: string): number[] {
  const [names = '', ...rows] = table.trim().split('\n');
  const column = names.trim().split(/\s+/).indexOf('shmid');
  return rows
    .map((row) => Number(row.trim().split(/\s+/)[column]))
    .filter(Number.isInteger)
    .toSorted((a, b) => a - b);
}
