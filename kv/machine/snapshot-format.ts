// The bytes of a machine's snapshot: frames of at most 64 KiB, each with its CRC, around a stream of records.
// Frame: u32 payload bytes | u32 CRC-32 of the payload | payload; all frames but the last are full.
// The stream begins with `RNKM` and u32 version. Record: u32 bytes | u8 kind | fields as value.ts writes them.
// Canonical: the same state has the same bytes. docs/kv-machine.md has the fields.

export const FRAME_BYTES: number = 64 * 1024;
export const FRAME_HEAD_BYTES = 8;
/** `RNKM` */
export const STREAM_MAGIC = 0x4d4b_4e52;
export const STREAM_VERSION = 1;
export const STREAM_HEAD_BYTES = 8;
export const RECORD_HEAD_BYTES = 4;
/** One record holds one key; a value beyond that could not have come through the log. */
export const RECORD_BYTES_MAX: number = 2 ** 31;

/** Once each, in this order; RECORD_SECTION and RECORD_KEY as often as there are any. */
export const RECORD_STATE = 1;
export const RECORD_ORIGINS = 2;
export const RECORD_SETTINGS = 3;
export const RECORD_SECTION = 4;
export const RECORD_KEY = 5;
export const RECORD_END = 6;

/** Of values in RECORD_KEY; never renumbered. */
export const VALUE_TYPES = ['string', 'hash', 'list', 'set', 'zset', 'stream'] as const;
