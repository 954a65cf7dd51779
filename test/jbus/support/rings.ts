// Rings for tests: their key is gone before the body runs, so that nothing stays behind however the test ends.

import assert from 'node:assert/strict';

import { type JbusErrorCode, ShmRing, type ShmRingOptions } from '../../../addon/jbus/index.js';

/** A ring with key 0, already removed: it lives while somebody is attached. */
export function privateRing(options: ShmRingOptions = {}): ShmRing {
  const ring = ShmRing.create(0, { capacity: 4096, ...options });
  ring.remove();
  return ring;
}

/** For assert.throws: a JbusError with this code. */
export function jbusError(code: JbusErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert(error instanceof Error);
    assert.deepEqual(
      { name: error.name, code: (error as { code?: string }).code },
      { name: 'JbusError', code },
    );
    return true;
  };
}

/** Bytes that tell their number and place: a record that is torn, repeated or out of order does not compare equal. */
export function patternBytes(seed: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 1) bytes[at] = (seed * 31 + at * 7 + (at >>> 8)) & 0xff;
  return bytes;
}
