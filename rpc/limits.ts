// Every bound of the RPC layer that is also the default of an option, and what holds between them.
// Sources: gRPC proposals A6, A8, A9 and the practice of grpc-js and brpc, as docs/rpc.md tells.

import assert from 'node:assert/strict';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Of a frame's body in front of its payload: flags, three zeros, stream id. */
export const FRAME_HEAD_BYTES = 8;
/** Payload of one frame. */
export const FRAME_PAYLOAD_BYTES_MAX: number = 64 * KIB;
/** Body of one TLV frame: what the reactor's codec lets through. */
export const FRAME_BODY_BYTES_MAX: number = FRAME_HEAD_BYTES + FRAME_PAYLOAD_BYTES_MAX;

/** A message no longer than this rides in the frame that opens or ends its call, outside of flow control. */
export const INLINE_BYTES_MAX: number = 16 * KIB;
/** One message, either way. */
export const MESSAGE_BYTES_MAX: number = 4 * MIB;
/** All metadata of one frame, encoded. */
export const METADATA_BYTES_MAX: number = 8 * KIB;
/** Text and details of one status, encoded. */
export const STATUS_TEXT_BYTES_MAX: number = 4 * KIB;
export const STATUS_DETAILS_BYTES_MAX: number = 16 * KIB;
/** A method's path. */
export const PATH_BYTES_MAX = 1024;

/** Bytes of DATA frames that may be under way before the reader has taken any: per stream and per connection. */
export const STREAM_WINDOW_BYTES: number = 256 * KIB;
export const CONNECTION_WINDOW_BYTES: number = 16 * MIB;
/** Two whole frames: half of it is given back at a time, and a frame must always find room. */
export const WINDOW_BYTES_MIN: number = 2 * FRAME_BODY_BYTES_MAX;
export const WINDOW_BYTES_MAX: number = 2 ** 30;
/** Calls at a time on one connection. */
export const STREAMS_MAX = 1024;
/** Output that waits on one connection before it is given up. */
export const OUTPUT_BYTES_MAX: number = 32 * MIB;

export const HELLO_TIMEOUT_MS = 5_000;
export const CALL_TIMEOUT_MS = 10_000;
/** A call without a deadline waits this long for the first list of instances. */
export const LIST_TIMEOUT_MS = 30_000;
/** A deadline longer than this is no deadline: 24 days. */
export const CALL_TIMEOUT_MS_MAX: number = 2 ** 31 - 1;
export const KEEPALIVE_INTERVAL_MS = 20_000;
export const KEEPALIVE_TIMEOUT_MS = 20_000;
/** Shortest time between two pings that a server puts up with, and how many it forgives. */
export const PING_INTERVAL_MS_MIN = 10_000;
export const PING_STRIKES_MAX = 8;
export const COMPRESS_BYTES_MIN: number = 1 * KIB;

assert(
  FRAME_HEAD_BYTES + 64 + PATH_BYTES_MAX + METADATA_BYTES_MAX + INLINE_BYTES_MAX <= FRAME_BODY_BYTES_MAX,
  'the frame that opens a call holds a path, metadata and an inline message',
);
assert(
  STATUS_TEXT_BYTES_MAX + STATUS_DETAILS_BYTES_MAX + METADATA_BYTES_MAX + INLINE_BYTES_MAX + 64 <=
    FRAME_PAYLOAD_BYTES_MAX,
  'the frame that ends a call holds text, details, trailers and an inline message',
);
assert(FRAME_BODY_BYTES_MAX <= STREAM_WINDOW_BYTES, 'a whole frame fits the window of a stream');
assert(
  STREAM_WINDOW_BYTES <= CONNECTION_WINDOW_BYTES,
  'one stream cannot fill the window of its connection twice over',
);
