// Turns task arguments and results into bytes and back, with the meaning of a structured clone.
// task-queue.ts uses it on both sides; strings and byte arrays, the usual payloads, skip the serializer.
// Pure.

import { deserialize, serialize } from 'node:v8';
import { ReactorError } from './errors.js';

/** How a payload's bytes are to be read; part of the ring record. */
export const PAYLOAD_FORMAT = { nothing: 0, text: 1, bytes: 2, clone: 3 } as const;

export interface EncodedPayload {
  readonly format: number;
  /** For a byte array, the caller's own memory: copy it before the caller goes on. */
  readonly bytes: Uint8Array;
}

const NOTHING: EncodedPayload = { format: PAYLOAD_FORMAT.nothing, bytes: new Uint8Array(0) };

/** @throws ReactorError REACTOR_OPTION_INVALID: the value holds something that cannot be cloned. */
export function encodePayload(value: unknown): EncodedPayload {
  if (value === undefined) return NOTHING;
  if (typeof value === 'string') return { format: PAYLOAD_FORMAT.text, bytes: Buffer.from(value, 'utf8') };
  if (value instanceof Uint8Array) return { format: PAYLOAD_FORMAT.bytes, bytes: value };
  try {
    return { format: PAYLOAD_FORMAT.clone, bytes: serialize(value) };
  } catch (cause) {
    throw new ReactorError('REACTOR_OPTION_INVALID', 'the payload cannot be cloned', { cause });
  }
}

/** @throws ReactorError REACTOR_BODY_TOO_LARGE */
export function checkPayloadSize(payload: EncodedPayload, bytesMax: number): void {
  const { length } = payload.bytes;
  if (length <= bytesMax) return;
  throw new ReactorError('REACTOR_BODY_TOO_LARGE', `the payload has ${length} bytes, ${bytesMax} may travel`);
}

/** The value again; a byte array comes as a Buffer over `bytes`, which then belongs to the receiver. */
export function decodePayload(format: number, bytes: Uint8Array): unknown {
  switch (format) {
    case PAYLOAD_FORMAT.nothing:
      return undefined;
    case PAYLOAD_FORMAT.text:
      return asBuffer(bytes).toString('utf8');
    case PAYLOAD_FORMAT.bytes:
      return asBuffer(bytes);
    default:
      return deserialize(bytes);
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
