// Messages to the bytes that grpc-js sends, within the limit of the side that sends them.
// Both kinds of call give grpc-js bytes and take bytes from it: what goes wrong in a message gets our words and codes.

import type { MessageCodec } from '../contract.js';
import { RpcError } from '../errors.js';

/** In front of every message in gRPC; counted too, so that an empty message is not nothing. */
const PREFIX_BYTES = 5;

/** @throws RpcError RPC_MESSAGE_INVALID, RPC_MESSAGE_TOO_LARGE */
export function encodeMessage<T>(
  codec: MessageCodec<T>,
  message: T,
  bytesMax: number,
  side: 'client' | 'server',
): Buffer {
  const encoded = codec.encode(message);
  if (encoded.bytes > bytesMax) {
    throw new RpcError(
      'RPC_MESSAGE_TOO_LARGE',
      `a message of ${encoded.bytes} bytes is above what the ${side} sends, ${bytesMax}`,
      { executed: 'no' },
    );
  }
  const bytes = Buffer.allocUnsafe(encoded.bytes);
  encoded.writeTo(bytes, 0);
  return bytes;
}

/** Bytes given to grpc-js that have not left yet, and whoever waits for them to leave. */
export class UnsentBytes {
  readonly #bytesMax: number;
  #bytes = 0;
  #isOver = false;
  #wake: (() => void) | null = null;

  /** @param bytesMax that may wait before whoever makes them is held up; 0: one message at a time */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** A message of `bytes` is sent. @returns whether more may be sent at once */
  add(bytes: number): boolean {
    this.#bytes += PREFIX_BYTES + bytes;
    return this.#bytes <= this.#bytesMax;
  }

  /** It has left. */
  left(bytes: number): void {
    this.#bytes -= PREFIX_BYTES + bytes;
    if (this.#bytes <= this.#bytesMax) this.#release();
  }

  /** The call has ended: nobody waits any more. grpc-js forgets callbacks of a call that was cancelled. */
  end(): void {
    this.#isOver = true;
    this.#release();
  }

  /** Resolves when more may be sent, or the call has ended. One waits at a time. */
  room(): Promise<void> {
    if (this.#isOver || this.#bytes <= this.#bytesMax) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #release(): void {
    this.#wake?.();
    this.#wake = null;
  }
}
