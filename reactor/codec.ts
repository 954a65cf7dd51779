// What the reactor asks of a framing: the interface between connection.ts and the codecs in codecs/.
// A codec is a stateless description that all connections share; a decoder is one connection's state.
// Pure: no socket, no timer, no thread, so a test may cut the input at any byte.

import type { BufferPool } from './buffer-pool.js';

/** Receives completed frames, oldest first. */
export interface FrameSink {
  /**
   * One whole frame: its body is `bytes[start, end)`, which the decoder owns and will overwrite after
   * the call returns. Codecs without message ids pass msgId 0.
   * Returns false to stop after this frame, which counts as delivered: the decoder keeps what follows it,
   * and what is fed meanwhile, until `resume`. With nothing to keep it has not stopped. Does not throw.
   */
  onFrame(msgId: number, bytes: Buffer, start: number, end: number): boolean;
}

export interface FrameDecoder {
  /**
   * Takes one chunk, `bytes[start, end)` or all of `bytes`, and hands every frame it completes to `sink`. Keeps a
   * copy of what it could not deliver, in memory borrowed from the pool; `bytes` itself is not kept.
   * @throws ReactorError REACTOR_FRAME_TOO_LARGE (judged on the header, before anything is allocated),
   *   REACTOR_FRAME_MALFORMED, REACTOR_POOL_EXHAUSTED. The stream cannot be resynchronised: close it.
   */
  feed(bytes: Buffer, sink: FrameSink, start?: number, end?: number): void;
  /** Delivers what an earlier `onFrame` refused; same contract as `feed`. */
  resume(sink: FrameSink): void;
  /** Bytes kept because they are not delivered yet. */
  readonly bufferedBytes: number;
  /** Gives borrowed memory back; the decoder is dead afterwards. Idempotent. */
  release(): void;
}

export interface FrameCodec {
  readonly name: string;
  /** Bytes one body may have, both ways. */
  readonly frameBytesMax: number;
  /** Whether frames carry a message id; without one msgId is 0 both ways. */
  readonly hasMsgId: boolean;
  createDecoder(pool: BufferPool): FrameDecoder;
  /**
   * Bytes the encoded frame takes.
   * @throws ReactorError REACTOR_BODY_TOO_LARGE; REACTOR_FRAME_MALFORMED when this body cannot be
   *   expressed (it contains the delimiter, or is not of the fixed size).
   */
  encodedBytes(msgId: number, body: Uint8Array): number;
  /**
   * Where the frame of this body begins if it lies in `bytes` as `encodeInto` would write it, its body at
   * `[start, end)`, so that it can be sent without a copy. -1 when it does not, or the codec cannot tell.
   */
  encodedAt(bytes: Buffer, msgId: number, start: number, end: number): number;
  /** Writes the frame at `offset`; the caller made room for `encodedBytes`. Returns the offset after it. */
  encodeInto(target: Buffer, offset: number, msgId: number, body: Uint8Array): number;
}
