// Every error the jbus layer reports, as one class and one closed list of codes.
// Callers switch on `code`; what the system refused carries `errno` and `syscall`, and AddonError as `cause`.

import { constants } from 'node:os';

import { AddonError } from '../index.js';

export type JbusErrorCode =
  | 'JBUS_UNSUPPORTED' // no shared memory here: not Linux, no addon, or a runtime without external buffers
  | 'JBUS_SYSTEM_CALL_FAILED' // the system refused: see errno and syscall
  | 'JBUS_INVALID_ARGUMENT' // the caller passed something that can never be right
  | 'JBUS_CLOSED' // used after close
  | 'JBUS_NO_SEGMENT' // nobody has made it, or not in this IPC namespace
  | 'JBUS_NO_SPACE' // the system's memory or its number of segments is used up
  | 'JBUS_KEY_IN_USE' // a live process owns the segment with this key
  | 'JBUS_FORBIDDEN' // the segment belongs to another user, or others may open it
  | 'JBUS_NOT_OURS' // the segment is not a ring
  | 'JBUS_VERSION' // the segment has a layout this version does not speak
  | 'JBUS_BAD_LAYOUT' // the header is impossible: capacity, size or flags
  | 'JBUS_EPOCH' // the segment is another incarnation than the one expected
  | 'JBUS_OTHER_CHANNEL' // the segment belongs to another channel
  | 'JBUS_SIDE_TAKEN' // another live producer, or consumer, has this side of the ring
  | 'JBUS_POISONED' // one side found that the other broke the format; the ring is given up
  | 'JBUS_RECORD_TOO_LARGE' // more than half of the ring; send it as fragments
  | 'JBUS_MESSAGE_TOO_LARGE' // beyond messageBytesMax
  | 'JBUS_RELEASE_FIRST' // a batch is out: release it before the ring is read in another way
  | 'JBUS_MAIN_THREAD' // blocking is for worker threads
  | 'JBUS_BUSY' // a blocking call while promises of the same channel wait
  | 'JBUS_RELEASED' // a lease was read after its release
  | 'JBUS_TIMEOUT' // the deadline of the operation passed; nothing of it was done
  | 'JBUS_CANCELED' // the caller's signal
  | 'JBUS_QUEUE_FULL' // too many operations wait already
  | 'JBUS_CHANNEL_FULL' // a message ran out of time half written, which ends the channel
  | 'JBUS_PEER_DEAD' // the peer's process is gone
  | 'JBUS_CONFIG_INVALID' // the channels' configuration, with the line and field
  | 'JBUS_SPAWN_FAILED'; // the peer's process did not start, or did not join in time

export interface JbusErrorOptions extends ErrorOptions {
  /** The system's error number, positive. */
  readonly errno?: number;
  /** The call that failed, `shmget` for instance. */
  readonly syscall?: string;
}

export class JbusError extends Error {
  readonly code: JbusErrorCode;
  readonly errno: number | undefined;
  readonly syscall: string | undefined;

  constructor(code: JbusErrorCode, message: string, options?: JbusErrorOptions) {
    super(message, options);
    this.name = 'JbusError';
    this.code = code;
    this.errno = options?.errno;
    this.syscall = options?.syscall;
  }
}

/** What a refused system call means to somebody who asked for a segment. */
const CODE_BY_ERRNO: ReadonlyMap<number, JbusErrorCode> = new Map([
  [constants.errno.ENOENT, 'JBUS_NO_SEGMENT'], // no such key
  [constants.errno.EINVAL, 'JBUS_NO_SEGMENT'], // no such id
  [constants.errno.EIDRM, 'JBUS_NO_SEGMENT'], // removed in this moment
  [constants.errno.EPERM, 'JBUS_FORBIDDEN'],
  [constants.errno.EACCES, 'JBUS_FORBIDDEN'],
  [constants.errno.EEXIST, 'JBUS_KEY_IN_USE'],
  [constants.errno.ENOMEM, 'JBUS_NO_SPACE'],
  [constants.errno.ENOSPC, 'JBUS_NO_SPACE'],
  [constants.errno.ENOSYS, 'JBUS_UNSUPPORTED'], // a sandbox without System V memory
]);

/** Runs a call of the addon and gives what it throws this layer's code. */
export function native<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw fromAddon(error);
  }
}

function fromAddon(error: unknown): unknown {
  if (!(error instanceof AddonError)) return error;
  const { errno, syscall } = error;
  if (errno !== undefined && syscall !== undefined) {
    const isTooLarge = syscall === 'shmget' && errno === constants.errno.EINVAL; // beyond shmmax
    const code = isTooLarge ? 'JBUS_NO_SPACE' : (CODE_BY_ERRNO.get(errno) ?? 'JBUS_SYSTEM_CALL_FAILED');
    return new JbusError(code, error.message, { cause: error, errno, syscall });
  }
  return new JbusError(codeOf(error), error.message, { cause: error });
}

function codeOf(error: AddonError): JbusErrorCode {
  switch (error.code) {
    case 'ADDON_CLOSED':
      return 'JBUS_CLOSED';
    case 'ADDON_INVALID_ARGUMENT':
      return 'JBUS_INVALID_ARGUMENT';
    case 'ADDON_MISSING':
    case 'ADDON_UNSUPPORTED':
      return 'JBUS_UNSUPPORTED';
    case 'ADDON_SYSTEM_CALL_FAILED':
      return 'JBUS_SYSTEM_CALL_FAILED';
    default:
      return error.code satisfies never;
  }
}
