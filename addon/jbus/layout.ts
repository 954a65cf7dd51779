// Layout v1 of a ring segment, as constants: what addon/src/jbus/layout.h has in C++ and the Python peer in Python.
// docs/jbus.md describes it. The three change together, and only with a new version.

export const LAYOUT_VERSION = 1;
/** Bytes before the records: one page of header. */
export const DATA_OFFSET = 4096;
export const CAPACITY_MIN = 4096;
export const CAPACITY_MAX: number = 2 ** 31;
export const RECORD_HEADER_BYTES = 32;

export const STATE_INIT = 0;
export const STATE_READY = 1;
export const STATE_CLOSING = 2;
export const STATE_POISONED = 3;
export type SegmentState = 'init' | 'ready' | 'closing' | 'poisoned';
const STATES: readonly SegmentState[] = ['init', 'ready', 'closing', 'poisoned'];

/** Anything beyond the known states can only come from a peer that breaks the format. */
export function segmentStateOf(word: number): SegmentState {
  return STATES[word] ?? 'poisoned';
}

/** Segment flag: every record has a CRC-32. */
export const SEGMENT_FLAG_CRC = 1;

export const FLAG_BEGIN = 1;
export const FLAG_MID = 2;
export const FLAG_END = 4;
export const FLAG_HEARTBEAT = 8;
/** A message in one record. */
export const FLAG_WHOLE: number = FLAG_BEGIN | FLAG_END;

/** Words of one row of a record table, in Uint32Arrays that C++ fills (reading) or empties (writing). */
export const ROW_WORDS = 8;
/** Of the payload: in the segment when reading, in the batch's bytes when writing. */
export const ROW_OFFSET = 0;
export const ROW_LENGTH = 1;
export const ROW_FLAGS = 2;
export const ROW_TYPE = 3;
export const ROW_MSG_ID_LOW = 4;
export const ROW_MSG_ID_HIGH = 5;
/** Of the whole message. */
export const ROW_TOTAL_LENGTH = 6;
/** Reading: bytes the ring gets back with the release of this record. */
export const ROW_COST = 7;

export const SIDE_PRODUCER = 0;
export const SIDE_CONSUMER = 1;

/** What `open` of the native sides answers besides 0; HeaderFault in addon/src/jbus/ring_header.h. */
export const OPEN_FAULT_MAGIC = 1;
export const OPEN_FAULT_VERSION = 2;
export const OPEN_FAULT_CAPACITY = 3;
export const OPEN_FAULT_FLAGS = 4;
export const OPEN_FAULT_POISONED = 5;
export const OPEN_SIDE_TAKEN = 6;

/** Why a ring was poisoned, by the number `poison()` answers; Poison in addon/src/jbus/poison.h. */
export const POISON_REASONS: readonly string[] = [
  'not poisoned',
  'the other side gave it up',
  'the tail is impossible',
  'the head is impossible',
  'there is no record where one has to begin',
  'a length is impossible',
  'flags are impossible',
  'a message is too large, or its fragments do not add up',
  'the fragments of two messages are mixed',
  'a checksum is wrong',
];

/** Bytes of the segment for a ring of this capacity. */
export function segmentBytesFor(capacity: number): number {
  return DATA_OFFSET + capacity;
}

/** The largest payload of one record. */
export function recordBytesMax(capacity: number): number {
  return capacity / 2 - RECORD_HEADER_BYTES;
}

const SMALL_FRAGMENT_BYTES = 64 * 1024;

/** The payload of one fragment: with its header an eighth of the ring, in small rings up to a quarter. */
export function fragmentBytes(capacity: number): number {
  const withHeader = Math.min(capacity / 4, Math.max(capacity / 8, SMALL_FRAGMENT_BYTES));
  return withHeader - RECORD_HEADER_BYTES;
}

/** What a record with this payload takes in the ring; a pad at the ring's end may come on top, of less than this. */
export function occupiedBytes(length: number): number {
  return RECORD_HEADER_BYTES + Math.ceil(length / 8) * 8;
}

export function isCapacity(value: number): boolean {
  return value >= CAPACITY_MIN && value <= CAPACITY_MAX && Number.isInteger(Math.log2(value));
}
