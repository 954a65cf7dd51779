// `reactor-net shm ls | rm | gc`: lists the segments of jbus, removes named ones, or what dead owners left behind.
// What has not our magic is never listed and never removed; that is what `ipcs` and `ipcrm` are for.
// The rules of what is in use are addon/jbus's; segment-text.ts words it.

import {
  findSegment,
  inspectSegment,
  isAbandoned,
  JbusError,
  listSegments,
  removeSegment,
  type SegmentFacts,
} from '../addon/jbus/index.js';
import { EXIT_FAILED, type Io } from './main.js';
import {
  type JudgedSegment,
  keyOf,
  ownerOf,
  segmentJson,
  segmentLine,
  segmentTable,
} from './segment-text.js';
import type { SegmentName, ShmOptions } from './shm-command.js';

const FOREIGN = 'it is not one of jbus, or not yours to read; ipcrm removes segments of any kind';

/** @returns the exit code: 1 when a named segment was not removed. @throws JbusError JBUS_UNSUPPORTED */
export function shm(options: ShmOptions, io: Io): number {
  const { verb } = options;
  switch (verb) {
    case 'ls':
      return list(options, io);
    case 'rm': {
      // All of them, whatever becomes of the first.
      const removed = options.segments.map((name) => removeNamed(name, options, io));
      return removed.every(Boolean) ? 0 : EXIT_FAILED;
    }
    case 'gc':
      return collect(options, io);
    default:
      return verb satisfies never;
  }
}

function list(options: ShmOptions, io: Io): number {
  const segments = judgedSegments(options);
  if (options.json) {
    for (const segment of segments) io.stdout.write(`${segmentJson('segment', segment)}\n`);
  } else {
    io.stdout.write(`${segments.length === 0 ? 'no segments' : segmentTable(segments)}\n`);
  }
  return 0;
}

function collect(options: ShmOptions, io: Io): number {
  const abandoned = judgedSegments(options).filter((segment) => segment.isAbandoned);
  for (const segment of abandoned) remove(segment, options, io);
  if (abandoned.length === 0 && !options.json) io.stdout.write('nothing to remove\n');
  return 0;
}

function judgedSegments({ heartbeatMs }: ShmOptions): JudgedSegment[] {
  return listSegments().map((facts) => judged(facts, heartbeatMs));
}

function judged(facts: SegmentFacts, heartbeatMs: number): JudgedSegment {
  return { ...facts, isAbandoned: isAbandoned(facts, heartbeatMs) };
}

/** Whether it was removed; if not, standard error has the reason. */
function removeNamed(name: SegmentName, options: ShmOptions & { force: boolean }, io: Io): boolean {
  try {
    const id = 'id' in name ? name.id : findSegment(name.key);
    const facts = inspectSegment(id);
    if (facts === 'none') throw new JbusError('JBUS_NO_SEGMENT', 'there is none');
    if (facts === 'foreign') throw new JbusError('JBUS_NOT_OURS', FOREIGN);
    const segment = judged(facts, options.heartbeatMs);
    refuseInUse(segment, options.force);
    remove(segment, options, io);
    return true;
  } catch (error) {
    if (!(error instanceof JbusError) || error.code === 'JBUS_UNSUPPORTED') throw error;
    const text = error.code === 'JBUS_NO_SEGMENT' ? 'there is none' : error.message;
    io.stderr.write(
      `reactor-net: shm rm: ${'id' in name ? `segment ${name.id}` : `key ${keyOf(name.key)}`}: ${text}\n`,
    );
    return false;
  }
}

/** @throws JbusError JBUS_FORBIDDEN, JBUS_KEY_IN_USE */
function refuseInUse(segment: JudgedSegment, force: boolean): void {
  const { status } = segment;
  if (status.uid !== process.geteuid?.()) {
    throw new JbusError('JBUS_FORBIDDEN', `it belongs to user ${status.uid}; run this command as that user`);
  }
  if (force || segment.isAbandoned) return;
  throw new JbusError(
    'JBUS_KEY_IN_USE',
    `it is in use (owner ${ownerOf(segment)}, ${status.attachCount} attached); --force gives it up all the same`,
  );
}

function remove(segment: JudgedSegment, { json }: ShmOptions, io: Io): void {
  removeSegment(segment.status.id);
  io.stdout.write(`${json ? segmentJson('removed', segment) : `removed ${segmentLine(segment)}`}\n`);
}
