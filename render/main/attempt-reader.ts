// Puts the chunks of a worker node's answer together: images by index, each with how it went, and what the scheduler is told.
// Pure. A node that answers what was not asked fails the attempt; nothing of it is kept.

import { Code, ErrCode, type SlaveRenderRsp, type TaskStatus } from '../proto/render.js';
import type { Answer } from './effects.js';
import type { ImageFailure } from './job.js';
import { imageBytesAtMost, isRaw, type JobSpec } from './job-spec.js';

export interface AttemptImage {
  readonly pixels: Uint8Array;
  readonly status: TaskStatus;
  /** From sending the attempt until this image was here. */
  readonly elapsedMs: number;
}

const RETRY_AFTER_MS = 200;

export class AttemptReader {
  readonly images: Map<number, AttemptImage> = new Map();
  readonly #spec: JobSpec;
  readonly #first: number;
  readonly #count: number;
  readonly #failures = new Map<number, ImageFailure>();
  readonly #bytesEach: number;
  /** Of an image of which more is to come. */
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  #wrong: string | null = null;
  #end: SlaveRenderRsp | null = null;

  constructor(spec: JobSpec, first: number, count: number) {
    this.#spec = spec;
    this.#first = first;
    this.#count = count;
    this.#bytesEach = imageBytesAtMost(spec);
  }

  get isOver(): boolean {
    return this.#end !== null || this.#wrong !== null;
  }

  take(message: SlaveRenderRsp, elapsedMs: number): void {
    if (this.isOver) return;
    if (message.imgs.byteLength > 0) {
      this.#pieces.push(message.imgs);
      this.#pieceBytes += message.imgs.byteLength;
    }
    if (message.tasks.length > 0) this.#takeImages(message.tasks, elapsedMs);
    else if (this.#pieceBytes > this.#bytesEach) this.#wrong = `an image above ${this.#bytesEach} bytes`;
    if (message.last) this.#end = message;
  }

  /** After the last message. `elapsedMs`: since the attempt was sent. */
  answer(elapsedMs: number): Answer {
    if (this.#wrong !== null) return { kind: 'failed', code: ErrCode.EC_BAD_IMAGE, error: this.#wrong };
    if (this.#end === null) return { kind: 'lost' };
    const { code = Code.OK, message = '', retryAfterMs = 0 } = this.#end.status ?? {};
    switch (code) {
      case Code.OK:
      case Code.PARTIAL:
        return this.#rendered(elapsedMs);
      case Code.OVERLOAD:
        return { kind: 'refused', retryAfterMs: retryAfterMs === 0 ? RETRY_AFTER_MS : retryAfterMs };
      case Code.UNAUTHORIZED:
      case Code.NOT_FOUND:
      case Code.UNAVAILABLE:
        return { kind: 'lost' };
      default:
        return this.images.size > 0 ? this.#rendered(elapsedMs) : this.#failed(code, message);
    }
  }

  #failed(code: number, message: string): Answer {
    const [first] = this.#failures.values();
    const told = FAILURES[code] ?? ErrCode.EC_RENDER_FAILED;
    return {
      kind: 'failed',
      code: first?.code ?? told,
      error: first?.error ?? (message === '' ? `the node answered with code ${code}` : message),
    };
  }

  #rendered(elapsedMs: number): Answer {
    let sumMs = 0;
    for (const { status } of this.images.values()) sumMs += status.renderMs;
    for (let index = this.#first; index < this.#first + this.#count; index += 1) {
      if (this.images.has(index) || this.#failures.has(index)) continue;
      const error = 'the node did not answer for this image';
      this.#failures.set(index, { index, code: ErrCode.EC_NO_OUTPUT, error });
    }
    const imageMs = sumMs > 0 ? sumMs / this.images.size : elapsedMs / this.#count;
    return { kind: 'rendered', imageMs, failures: [...this.#failures.values()] };
  }

  #takeImages(tasks: readonly TaskStatus[], elapsedMs: number): void {
    const bytes = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#pieceBytes = 0;
    const good = tasks.filter(({ code }) => code === ErrCode.EC_OK).length;
    // Missing images may have their place in zeros or none.
    const hasHoles = isRaw(this.#spec) && bytes.byteLength === tasks.length * this.#bytesEach;
    const each = isRaw(this.#spec) ? this.#bytesEach : bytes.byteLength;
    if (
      !hasHoles &&
      (bytes.byteLength !== good * each || (!isRaw(this.#spec) && (good > 1 || (good === 1 && each === 0))))
    ) {
      this.#wrong = `${bytes.byteLength} bytes for ${good} images of ${this.#bytesEach}`;
      return;
    }
    let at = 0;
    for (const status of tasks) {
      const { index, code, error } = status;
      const isAsked = index >= this.#first && index < this.#first + this.#count;
      if (!isAsked || this.images.has(index) || this.#failures.has(index)) {
        this.#wrong = `image ${index}, which was not asked for or came twice`;
        return;
      }
      if (code === ErrCode.EC_OK)
        this.images.set(index, { status, pixels: bytes.subarray(at, at + each), elapsedMs });
      else this.#failures.set(index, { index, code, error });
      if (code === ErrCode.EC_OK || hasHoles) at += each;
    }
  }
}

/** What a whole attempt failed of, where the node names no image. */
const FAILURES: Readonly<Record<number, ErrCode>> = {
  [Code.TIMEOUT]: ErrCode.EC_TIMEOUT,
  [Code.CANCELED]: ErrCode.EC_CANCELED,
  [Code.INVALID_ARGUMENT]: ErrCode.EC_BAD_MESSAGE,
};
