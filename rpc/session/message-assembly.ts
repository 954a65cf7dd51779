// Puts messages together from DATA frames: one in one frame as a rule, long ones from several.
// call-stream.ts has one per direction that receives. Pure; every size is judged before memory is taken for it.
// First of several: messageBytes u32 | bytes. A compressed message begins with its size before compression, u32.

import { gunzipSync } from 'node:zlib';

import { RpcError } from '../errors.js';
import { FLAG_COMPRESSED, FLAG_MORE } from '../wire/frame-types.js';

const LENGTH_BYTES = 4;

export class MessageAssembly {
  readonly #bytesMax: number;
  readonly #side: string;
  #pieces: Buffer[] = [];
  #announced = 0;
  #gathered = 0;
  #isCompressed = false;

  /** @param side whose limit `bytesMax` is, for errors: 'server' or 'client' */
  constructor(bytesMax: number, side: string) {
    this.#bytesMax = bytesMax;
    this.#side = side;
  }

  get isUnderWay(): boolean {
    return this.#pieces.length > 0;
  }

  /**
   * Takes the payload of one frame, which is only lent. Returns the message it completes: a view of `payload` when
   * that is all of it, else memory of its own; null when more is to come.
   * @throws RpcError RPC_MESSAGE_TOO_LARGE, RPC_MESSAGE_INVALID: the call is lost; RPC_PROTOCOL: the connection is
   */
  add(flags: number, payload: Buffer): Buffer | null {
    const goesOn = (flags & FLAG_MORE) !== 0;
    if (!this.isUnderWay) {
      this.#isCompressed = (flags & FLAG_COMPRESSED) !== 0;
      if (!goesOn) return this.#complete(payload);
      if (payload.length <= LENGTH_BYTES) throw protocol('the first part of a message has no bytes');
      this.#announced = payload.readUInt32LE(0);
      this.#judge(this.#announced);
      this.#gathered = 0;
      this.#keep(payload.subarray(LENGTH_BYTES));
      return null;
    }
    if (payload.length === 0) throw protocol('a part of a message has no bytes');
    this.#keep(payload);
    if (goesOn) return null;
    if (this.#gathered !== this.#announced) {
      throw protocol(`a message of ${this.#gathered} bytes was announced with ${this.#announced}`);
    }
    const whole = Buffer.concat(this.#pieces, this.#gathered);
    this.#pieces = [];
    return this.#complete(whole);
  }

  #keep(piece: Buffer): void {
    this.#gathered += piece.length;
    if (this.#gathered > this.#announced) {
      throw protocol(`a message has more than the ${this.#announced} bytes it was announced with`);
    }
    this.#pieces.push(Buffer.from(piece));
  }

  #complete(bytes: Buffer): Buffer {
    if (!this.#isCompressed) {
      this.#judge(bytes.length);
      return bytes;
    }
    if (bytes.length < LENGTH_BYTES) throw protocol('a compressed message has no size');
    const size = bytes.readUInt32LE(0);
    this.#judge(size);
    let message: Buffer;
    try {
      message = gunzipSync(bytes.subarray(LENGTH_BYTES), { maxOutputLength: Math.max(size, 1) });
    } catch (cause) {
      throw new RpcError('RPC_MESSAGE_INVALID', `a compressed message cannot be undone: ${String(cause)}`, {
        cause,
      });
    }
    if (message.length !== size)
      throw new RpcError(
        'RPC_MESSAGE_INVALID',
        `a compressed message has ${message.length} bytes, not ${size}`,
      );
    return message;
  }

  #judge(bytes: number): void {
    if (bytes > this.#bytesMax) {
      this.#pieces = [];
      throw new RpcError(
        'RPC_MESSAGE_TOO_LARGE',
        `a message of ${bytes} bytes is above what the ${this.#side} receives, ${this.#bytesMax}`,
      );
    }
  }
}

function protocol(message: string): RpcError {
  return new RpcError('RPC_PROTOCOL', message);
}
