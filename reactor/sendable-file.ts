// A regular file opened for sending, and the part of it that is wanted.
// sending-half.ts opens it when sendFile is called; static-files.ts opens its own. Transports read it, or hand a
// duplicate of its descriptor to C++, and close it.
// Opening is synchronous: what is sent next has its place behind the file at once.

import { type BigIntStats, closeSync, constants, fstatSync, openSync } from 'node:fs';

import { ReactorError } from './errors.js';
import { kindOf } from './option-types.js';

/** A part of a file, in bytes. */
export interface FileRange {
  /** The first byte. Default 0. */
  readonly start?: number;
  /** The byte behind the last one, as in `subarray`. Default: the end of the file. */
  readonly end?: number;
}

// Not blocking: opening a FIFO must not wait for a writer. Regular files do not know the difference.
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

export class SendableFile {
  /** -1 once closed. */
  #fd: number;
  readonly #isOurs: boolean;
  readonly start: number;
  readonly bytes: number;

  /** Bytes [start, start + bytes) of `fd`, which `close` closes only if `isOurs`. */
  constructor(fd: number, start: number, bytes: number, isOurs: boolean) {
    this.#fd = fd;
    this.#isOurs = isOurs;
    this.start = start;
    this.bytes = bytes;
  }

  /**
   * Opens a path, or looks at a descriptor, which stays the caller's.
   * @throws ReactorError REACTOR_FILE_UNAVAILABLE, REACTOR_FILE_RANGE_INVALID
   */
  static open(source: string | URL | number, range: FileRange): SendableFile {
    const isOurs = typeof source !== 'number';
    const fd = isOurs ? openFile(source) : source;
    try {
      if (typeof range !== 'object' || range === null) {
        throw new ReactorError('REACTOR_FILE_RANGE_INVALID', `a range is an object, not ${kindOf(range)}`);
      }
      const { size } = regularFileStatus(fd, source);
      const { start = 0, end = Number(size) } = range;
      if (!isWithin(start, end, Number(size))) {
        throw new ReactorError(
          'REACTOR_FILE_RANGE_INVALID',
          `${nameOf(source)} has ${size} bytes: ${start} to ${end} is not a part of it`,
        );
      }
      return new SendableFile(fd, start, end - start, isOurs);
    } catch (error) {
      if (isOurs) closeSync(fd);
      throw error;
    }
  }

  get fd(): number {
    return this.#fd;
  }

  close(): void {
    if (this.#fd === -1) return;
    const fd = this.#fd;
    this.#fd = -1;
    if (this.#isOurs) closeSync(fd);
  }
}

/** @throws ReactorError REACTOR_FILE_UNAVAILABLE */
export function openFile(path: string | URL): number {
  try {
    return openSync(path, OPEN_FLAGS);
  } catch (cause) {
    throw unavailable(path, cause);
  }
}

/** @throws ReactorError REACTOR_FILE_UNAVAILABLE for anything but a regular file. */
export function regularFileStatus(fd: number, source: string | URL | number): BigIntStats {
  let status: BigIntStats;
  try {
    status = fstatSync(fd, { bigint: true });
  } catch (cause) {
    throw unavailable(source, cause);
  }
  if (status.isFile()) return status;
  throw new ReactorError('REACTOR_FILE_UNAVAILABLE', `${nameOf(source)} is not a regular file`);
}

/** What both transports say when a file cannot be sent as announced; without a cause it is shorter than that. */
export function fileFailed(cause: Error | null): ReactorError {
  const reason = cause === null ? 'it became shorter' : cause.message;
  return new ReactorError('REACTOR_FILE_FAILED', `the file could not be sent: ${reason}`, { cause });
}

function isWithin(start: number, end: number, size: number): boolean {
  return (
    Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end && end <= size
  );
}

function unavailable(source: string | URL | number, cause: unknown): ReactorError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ReactorError('REACTOR_FILE_UNAVAILABLE', `${nameOf(source)}: ${reason}`, { cause });
}

function nameOf(source: string | URL | number): string {
  return typeof source === 'number' ? `descriptor ${source}` : String(source);
}
