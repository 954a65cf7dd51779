// The messages of the example server, the same over TCP, Unix sockets and UDP.
// serve-handlers.ts and udp-handlers.ts answer them.

/** Answered with the same id and body. */
export const ECHO = 1;
/** Never answered: for measuring what comes in. */
export const SWALLOW = 2;
/** Answered with the same id and the time. */
export const TIME = 3;

/** Milliseconds since the Unix epoch at which the monotonic clock stood at 0. */
let epochMs = performance.timeOrigin;

/** Microseconds since the Unix epoch as u64, little-endian. */
export function timeBody(): Buffer {
  const wallMs = Date.now();
  const monotonicMs = performance.now();
  // The wall clock counts whole milliseconds only; the monotonic one has the rest but does not follow it.
  if (Math.abs(epochMs + monotonicMs - wallMs) > 1) epochMs = wallMs - monotonicMs;
  const body = Buffer.allocUnsafe(8);
  body.writeBigUInt64LE(BigInt(Math.round((epochMs + monotonicMs) * 1000)));
  return body;
}
