// The options of the log, checked once; wal.ts sees complete ones only.

import { KvError } from '../errors.js';

export interface WalOptions {
  /** Bytes that a segment has from its making on. Default 16 MiB; 4 KiB to 1 GiB. */
  segmentBytes?: number;
  /** Bytes at a segment's end that only hard state and snapshot records may use, so that a full disk can be freed. Default 64 KiB, or an eighth of the segment if that is less. */
  reserveBytes?: number;
  /** Bytes of one append; above it KV_RECORD_TOO_LARGE. Default 64 MiB. */
  appendBytesMax?: number;
  /** Bytes of appends that wait for the disk; above it KV_QUEUE_FULL. Default 256 MiB. */
  queueBytesMax?: number;
  /** Bytes that one fdatasync covers. Default 8 MiB. */
  batchBytesMax?: number;
  /** Called after each fdatasync: what it covered and how long write and sync took. For metrics. */
  onFlush?: (flush: { readonly bytes: number; readonly appends: number; readonly ms: number }) => void;
  /** Clock of onFlush, in ms. Default performance.now. */
  nowMs?: () => number;
}

const MIB = 2 ** 20;

export function completeWalOptions(options: WalOptions): Required<WalOptions> {
  const segmentBytes = options.segmentBytes ?? 16 * MIB;
  const complete = {
    segmentBytes,
    reserveBytes: options.reserveBytes ?? Math.min(65_536, Math.floor(segmentBytes / 8)),
    appendBytesMax: options.appendBytesMax ?? 64 * MIB,
    queueBytesMax: options.queueBytesMax ?? 256 * MIB,
    batchBytesMax: options.batchBytesMax ?? 8 * MIB,
    onFlush: options.onFlush ?? ((): void => undefined),
    nowMs: options.nowMs ?? ((): number => performance.now()),
  };
  check('segmentBytes', segmentBytes, 4096, 2 ** 30);
  check('reserveBytes', complete.reserveBytes, 512, Math.floor(segmentBytes / 4));
  check('appendBytesMax', complete.appendBytesMax, 1024, 2 ** 30);
  check('queueBytesMax', complete.queueBytesMax, complete.appendBytesMax, 2 ** 40);
  check('batchBytesMax', complete.batchBytesMax, 1, 2 ** 30);
  return complete;
}

function check(name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new KvError(
    'KV_OPTION_INVALID',
    `${name} is ${value}: a whole number from ${min} to ${max} is right`,
  );
}
