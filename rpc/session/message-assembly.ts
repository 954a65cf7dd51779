// Puts messages together from DATA frames: one in one frame as a rule, long ones from several.
// call-stream.ts has one per direction that receives. Pure; every size is judged before memory is taken for it, and
// the memory held is at most twice what has come, however small the parts are.
// First of several: messageBytes u32 | bytes. A compressed message begins with its size before compression, u32.

import { gunzipSync } from 'node:zlib';

import { RpcError } from '../errors.js';
import { FLAG_COMPRESSED, FLAG_MORE } from '../wire/frame-types.js';

const LENGTH_BYTES = 4;
const NOTHING = Buffer.alloc(0);

export class MessageAssembly {
  readonly #bytesMax: number;
  readonly #side: string;
  #bytes = NOTHING;
  #announced = 0;
  #gathered = 0;
  #isUnderWay = false;
  #isCompressed = false;

  /** @param side whose limit `bytesMax` is, for errors: 'server' or 'client' */
  constructor(bytesMax: number, side: string) {
    this.#bytesMax = bytesMax;
    this.#side = side;
  }

  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** The message that `add` gave last has yet to be undone by `unpack`. */
  get isCompressed(): boolean {
    return this.#isCompressed;
  }

  /**
   * Takes the payload of one frame, which is only lent. Returns the message it completes: a view of `payload` when
   * that is all of it, else memory of its own; null when more is to come.
   * @throws RpcError RPC_MESSAGE_TOO_LARGE: the call is lost; RPC_PROTOCOL: the connection is
   */
  add(flags: number, payload: Buffer): Buffer | null {
    const goesOn = (flags & FLAG_MORE) !== 0;
    const isCompressed = (flags & FLAG_COMPRESSED) !== 0;
    if (!this.#isUnderWay) {
      this.#isCompressed = isCompressed;
      if (!goesOn) return this.#judged(payload);
      if (payload.length <= LENGTH_BYTES) throw protocol('the first part of a message has no bytes');
      this.#announced = payload.readUInt32LE(0);
      this.#judge(this.#announced);
      this.#gathered = 0;
      this.#isUnderWay = true;
      this.#keep(payload.subarray(LENGTH_BYTES));
      return null;
    }
    if (isCompressed !== this.#isCompressed)
      throw protocol('the parts of a message differ in their compression');
    if (payload.length === 0) throw protocol('a part of a message has no bytes');
    this.#keep(payload);
    if (goesOn) return null;
    if (this.#gathered !== this.#announced) {
      throw protocol(`a message of ${this.#gathered} bytes was announced with ${this.#announced}`);
    }
    const whole = this.#bytes.subarray(0, this.#gathered);
    this.#bytes = NOTHING;
    this.#isUnderWay = false;
    return this.#judged(whole);
  }

  #keep(piece: Buffer): void {
    const gathered = this.#gathered + piece.length;
    if (gathered > this.#announced) {
      throw protocol(`a message has more than the ${this.#announced} bytes it was announced with`);
    }
    if (gathered > this.#bytes.length) {
      const bytes = Buffer.allocUnsafeSlow(Math.min(this.#announced, 2 * gathered));
      this.#bytes.copy(bytes, 0, 0, this.#gathered);
      this.#bytes = bytes;
    }
    piece.copy(this.#bytes, this.#gathered);
    this.#gathered = gathered;
  }

  #judged(bytes: Buffer): Buffer {
    if (!this.#isCompressed) {
      this.#judge(bytes.length);
    } else {
      if (bytes.length < LENGTH_BYTES) throw protocol('a compressed message has no size');
      this.#judge(bytes.readUInt32LE(0));
    }
    return bytes;
  }

  #judge(bytes: number): void {
    if (bytes > this.#bytesMax) {
      this.#bytes = NOTHING;
      this.#isUnderWay = false;
      throw messageTooLarge(bytes, this.#side, this.#bytesMax);
    }
  }
}

/** Undoes the compression of a message, whose size was judged. @throws RpcError RPC_MESSAGE_INVALID */
export function unpack(bytes: Buffer): Buffer {
  const size = bytes.readUInt32LE(0);
  let message: Buffer;
  try {
    message = gunzipSync(bytes.subarray(LENGTH_BYTES), { maxOutputLength: Math.max(size, 1) });
  } catch (cause) {
    const text = `a compressed message cannot be undone: ${String(cause)}`;
    throw new RpcError('RPC_MESSAGE_INVALID', text, { cause });
  }
  if (message.length === size) return message;
  const text = `a compressed message has ${message.length} bytes, not ${size}`;
  throw new RpcError('RPC_MESSAGE_INVALID', text);
}

export function messageTooLarge(bytes: number, side: string, bytesMax: number): RpcError {
  const text = `a message of ${bytes} bytes is above what the ${side} receives, ${bytesMax}`;
  return new RpcError('RPC_MESSAGE_TOO_LARGE', text);
}

function protocol(message: string): RpcError {
  return new RpcError('RPC_PROTOCOL', message);
}
