// The memory that a Transport and its TypeScript half share: word numbers and values, as constants for hot loops.
// addon/src/transport/event_table.h, engine.h and binding/transport_poll.h have the same numbers; they change together.

/** Words of one event record: type, slot, a, b, c. */
export const EVENT_WORDS = 5;
export const EVENT_TYPE = 0;
export const EVENT_SLOT = 1;
export const EVENT_A = 2;
export const EVENT_B = 3;
export const EVENT_C = 4;

/** A whole frame of at most 64 KiB. a: message id, b: offset of its body in the receive slab, c: bytes of the body. */
export const EVENT_FRAME = 1;
/** Bytes of a raw stream. b: offset in the receive slab, c: bytes. */
export const EVENT_DATA = 2;
/** A frame of more than 64 KiB begins; its body follows in EVENT_LARGE_DATA. a: message id, c: bytes of the whole body. */
export const EVENT_LARGE_BEGIN = 3;
/** The next piece of the body, also in later batches. b: offset in the receive slab, c: bytes. */
export const EVENT_LARGE_DATA = 4;
/** The header announces more than frameBytesMax; nothing more is read. a, b: low and high word of the body's bytes. */
export const EVENT_TOO_LARGE = 5;
/** The header makes no sense; nothing more is read. */
export const EVENT_MALFORMED = 6;
/** The peer sent its FIN; everything before it has been delivered. An incomplete frame is dropped. */
export const EVENT_END = 7;
/** The connection broke, or could not be made. The descriptor is closed and the slot is gone. a: errno. */
export const EVENT_CLOSED = 8;
/** Output that waited went out. a: bytes the kernel took since the last such event; what waits still is in `status`. */
export const EVENT_DRAINED = 9;
/** connectTcp or connectUnix succeeded. */
export const EVENT_CONNECTED = 10;
/** slot: the listener's. a: slot of the new connection, paused until `resume`. b: its descriptor, which stays ours. */
export const EVENT_ACCEPTED = 11;
/** The listener is paused until `resume`. slot: the listener's, a: errno (EMFILE, ENFILE…). */
export const EVENT_ACCEPT_FAILED = 12;
/** A file was shorter than announced or could not be read: the connection was reset, the slot is gone. a: errno. */
export const EVENT_FILE_FAILED = 13;

/** Words of one output record: slot, offset in the send slab (or, behind its end, in the receive slab), bytes. */
export const SEND_WORDS = 3;
export const SEND_SLOT = 0;
export const SEND_OFFSET = 1;
export const SEND_BYTES = 2;

/**
 * Words of one slot's status: bytes of output that wait in C++ (those of files aside), flags, files that wait, bytes
 * of files that the kernel took in all, modulo 2^32. Written by C++ only.
 */
export const STATUS_WORDS = 4;
export const STATUS_PENDING_BYTES = 0;
export const STATUS_FLAGS = 1;
export const STATUS_FILES = 2;
export const STATUS_FILE_BYTES = 3;
export const STATUS_FLAG_OPEN = 1;
export const STATUS_FLAG_CONNECTING = 2;
export const STATUS_FLAG_FIN_SENT = 4;

/**
 * Words of the control table. TypeScript counts the first two up, C++ sets them to 0 when it has sent the records. The
 * third is TypeScript's: microseconds to look for more after a batch before the loop may sleep. onBatch sets the fourth
 * to 1 to have the records sent when it returns, ahead of the ticks it left behind; C++ sets it back.
 */
export const CONTROL_WORDS = 4;
export const CONTROL_SEND_RECORDS = 0;
export const CONTROL_SEND_BYTES = 1;
export const CONTROL_SPIN_MICROS = 2;
export const CONTROL_FLUSH_FIRST = 3;

/** Least sizes the constructor takes. */
export const RECEIVE_SLAB_BYTES_MIN: number = 256 * 1024;
export const EVENT_RECORDS_MIN = 256;
