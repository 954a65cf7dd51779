// The images of an answer as pieces that fit a message: several small images in one, a large one over several.
// slave-service.ts sends them as they come. Pure. The rules are written down in render.proto, at SlaveRenderRsp.

import {
  ErrCode,
  type SlaveRenderReq,
  type SlaveRenderRsp,
  type StageTimes,
  type Status,
} from '../proto/render.js';
import type { MessageInit } from '../../rpc/index.js';
import { imageBytes } from '../renderer/message.js';

/** Of `imgs` in one piece. */
export const PIECE_BYTES_MAX: number = 2 * 1024 * 1024;
/** Images in one piece: their statuses take room too, errors of up to 2,048 characters among them. */
const PIECE_IMAGES_MAX = 128;

export interface ImageResult {
  /** Of the driver's request. */
  readonly index: number;
  readonly code: ErrCode;
  readonly error: string;
  readonly attempts: number;
  readonly renderMs: number;
  readonly times: Partial<StageTimes>;
  /** Null when there is no image. */
  readonly pixels: Uint8Array | null;
  /** When it was there. */
  readonly atMs: number;
}

type Piece = MessageInit<SlaveRenderRsp>;

export class AnswerPieces {
  readonly #request: SlaveRenderReq;
  readonly #bytesEach: number | undefined;
  #chunk = 0;

  constructor(request: SlaveRenderReq) {
    this.#request = request;
    this.#bytesEach = imageBytes(request.width, request.height, request.format);
  }

  /** @param end the status of the whole when these are the last images, else null */
  *of(now: number, results: readonly ImageResult[], end: Status | null): Generator<Piece, void, void> {
    const batches = this.#batches(results);
    if (batches.length === 0 && end !== null) yield this.#head(end);
    for (const [at, batch] of batches.entries())
      yield* this.#pieces(now, batch, at === batches.length - 1 ? end : null);
  }

  /** Images that travel together: those of one batch fit a piece, but for a single large one. */
  #batches(results: readonly ImageResult[]): ImageResult[][] {
    const batches: ImageResult[][] = [];
    let batch: ImageResult[] = [];
    let bytes = 0;
    for (const result of results) {
      const size = this.#sizeOf(result);
      const isFull = batch.length === PIECE_IMAGES_MAX || bytes + size > PIECE_BYTES_MAX;
      if (batch.length === 0 || isFull || this.#isFile) {
        batch = [];
        bytes = 0;
        batches.push(batch);
      }
      batch.push(result);
      bytes += size;
    }
    return batches;
  }

  *#pieces(now: number, batch: readonly ImageResult[], end: Status | null): Generator<Piece, void, void> {
    const [first] = batch;
    const bytes =
      batch.length === 1 && first !== undefined
        ? this.#bytesOf(first)
        : Buffer.concat(batch.map((result) => this.#bytesOf(result)));
    let at = 0;
    for (; bytes.length - at > PIECE_BYTES_MAX; at += PIECE_BYTES_MAX)
      yield { ...this.#head(null), imgs: bytes.subarray(at, at + PIECE_BYTES_MAX) };
    const tasks = batch.map((result) => statusOf(now, result));
    yield { ...this.#head(end), imgs: bytes.subarray(at), tasks };
  }

  get #isFile(): boolean {
    return this.#bytesEach === undefined;
  }

  #head(end: Status | null): Piece {
    const { taskCount, width, height, format, requestId, version } = this.#request;
    const chunk = this.#chunk;
    this.#chunk += 1;
    const head = { taskCount, width, height, format, requestId, version, chunk };
    return end === null ? head : { ...head, status: end, last: true };
  }

  #sizeOf({ pixels }: ImageResult): number {
    return pixels?.length ?? this.#bytesEach ?? 0;
  }

  /** An image that is missing has its place in zeros, where its size is known. */
  #bytesOf({ pixels }: ImageResult): Uint8Array {
    return pixels ?? new Uint8Array(this.#bytesEach ?? 0);
  }
}

function statusOf(now: number, result: ImageResult): NonNullable<Piece['tasks']>[number] {
  const { index, code, error, attempts, renderMs, times, atMs } = result;
  const replyUs = code === ErrCode.EC_OK ? Math.max(0, Math.round((now - atMs) * 1000)) : 0;
  return { index, code, error, attempts, renderMs, times: { ...times, replyUs } };
}
