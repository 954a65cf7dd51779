// The frames of the RPC protocol: message ids of their TLV frames, and the flags in the first byte of their bodies.
// docs/rpc-wire.md describes them for other languages; this file is that table as code.
// Every body begins: flags u8 | zero u8 × 3 | streamId u32, little-endian. Stream 0 is the connection itself.

export const FRAME = {
  HELLO: 0x5201,
  HEADERS: 0x5202,
  DATA: 0x5203,
  END: 0x5204,
  STATUS: 0x5205,
  CANCEL: 0x5206,
  WINDOW: 0x5207,
  PING: 0x5208,
  PONG: 0x5209,
  GOAWAY: 0x520a,
} as const;

/** Whoever does not know the frame's type may pass it over. */
export const FLAG_SKIPPABLE = 1;
/** The message goes on in the stream's next DATA frame. */
export const FLAG_MORE = 2;
/** The message is compressed; in front of it stands its size as u32. */
export const FLAG_COMPRESSED = 4;
/** HEADERS, STATUS: a whole message follows at the end of the payload. */
export const FLAG_MESSAGE = 8;
/** HEADERS, DATA: the client sends no further message. */
export const FLAG_END = 16;
/** What may be set on the frames whose meaning hangs on their flags; anything else is an error there. */
export const HEADERS_FLAGS: number = FLAG_SKIPPABLE | FLAG_MESSAGE | FLAG_END;
export const DATA_FLAGS: number = FLAG_SKIPPABLE | FLAG_MORE | FLAG_COMPRESSED | FLAG_END;
export const STATUS_FLAGS: number = FLAG_SKIPPABLE | FLAG_MESSAGE;

export const VERSION = 1;
export const VERSION_MIN = 1;
/** 'RNRP' read as a little-endian u32. */
export const MAGIC = 0x50524e52;
