// Turns the chunks of RenderStream into images: whole ones side by side, or one large one over several chunks.
// render-job.ts has one for each stream it reads. Pure. What a chunk claims is checked before any of it is believed.

import { RenderError } from '../errors.js';
import { ErrCode, type RenderRsp, type TaskStatus } from '../proto/render.js';
import { imageBytes } from '../renderer/message.js';
import { joined } from './fetch-assembly.js';
import type { CheckedRequest } from './render-request.js';
import type { ImageResult } from './render-results.js';

/** Of a PNG or EXR image, whose size nobody knows beforehand: twice as much as its raw floats, and some room. */
const FILE_ROOM_BYTES = 64 * 1024;

export class ImageAssembly {
  readonly #request: CheckedRequest;
  /** What the images are in the whole request, by their numbers in the stream. */
  readonly #indexes: readonly number[];
  readonly #bytesEach: number | undefined;
  readonly #bytesMax: number;
  #parts: Uint8Array[] = [];
  #partBytes = 0;
  #chunk = 0;

  constructor(request: CheckedRequest, indexes: readonly number[]) {
    const { width, height, format } = request;
    this.#request = request;
    this.#indexes = indexes;
    this.#bytesEach = imageBytes(width, height, format);
    this.#bytesMax = this.#bytesEach ?? 2 * 16 * width * height + FILE_ROOM_BYTES;
  }

  /** The images that a chunk completes. @throws RenderError RENDER_MESSAGE_INVALID: the stream cannot be trusted any more. */
  take(chunk: RenderRsp): ImageResult[] {
    if (chunk.chunk !== this.#chunk)
      throw broken(`chunk ${chunk.chunk} came where ${this.#chunk} was expected`);
    this.#chunk += 1;
    const { imgs, tasks } = chunk;
    if (tasks.length === 0) {
      if (imgs.length > 0) this.#keep(imgs);
      return [];
    }
    const { width, height, format } = this.#request;
    if (tasks.some(({ code }) => code === ErrCode.EC_OK) && chunk.width !== 0) {
      if (chunk.width !== width || chunk.height !== height || chunk.format !== format)
        throw broken(
          `images of ${chunk.width}x${chunk.height} in format ${chunk.format} came for ${width}x${height} in ${format}`,
        );
    }
    return this.#split(this.#gathered(imgs), tasks);
  }

  #keep(part: Uint8Array): void {
    this.#partBytes += part.length;
    if (this.#partBytes > this.#bytesMax)
      throw broken(`an image is longer than ${this.#bytesMax} bytes can be`);
    this.#parts.push(part);
  }

  #gathered(last: Uint8Array): Uint8Array {
    if (this.#parts.length === 0) return last;
    this.#keep(last);
    const whole = joined(this.#parts, this.#partBytes);
    this.#parts = [];
    this.#partBytes = 0;
    return whole;
  }

  #split(bytes: Uint8Array, tasks: readonly TaskStatus[]): ImageResult[] {
    const rendered = tasks.filter(({ code }) => code === ErrCode.EC_OK).length;
    const each = this.#bytesEach ?? bytes.length;
    if (this.#bytesEach === undefined && rendered > 1)
      throw broken('image files come one to a chunk, not several');
    // Missing raw images have their place in zeros; to leave the place out is just as clear.
    const missingBytes = bytes.length === rendered * each ? 0 : each;
    const expected = rendered * each + (tasks.length - rendered) * missingBytes;
    if (bytes.length !== expected)
      throw broken(`${tasks.length} images need ${expected} bytes, not ${bytes.length}`);
    let offset = 0;
    return tasks.map((task) => {
      const begin = offset;
      offset += task.code === ErrCode.EC_OK ? each : missingBytes;
      return this.#result(task, bytes, begin, offset);
    });
  }

  #result(task: TaskStatus, bytes: Uint8Array, begin: number, end: number): ImageResult {
    const { code, attempts, renderMs, error } = task;
    const index = this.#indexes[task.index];
    if (index === undefined)
      throw broken(`image ${task.index} was not asked for: there are ${this.#indexes.length}`);
    const node = task.node?.serial ?? 0;
    if (code !== ErrCode.EC_OK) return { kind: 'missing', index, code, error, attempts, node };
    const { width, height, format } = this.#request;
    // A copy: a slice would keep the images beside it in memory for as long as this one.
    const pixels = end - begin === bytes.length ? bytes : new Uint8Array(bytes.subarray(begin, end));
    const times = task.times ?? null;
    return { kind: 'rendered', index, width, height, format, pixels, attempts, renderMs, node, times };
  }
}

function broken(message: string): RenderError {
  return new RenderError('RENDER_MESSAGE_INVALID', `the main node's answer is broken: ${message}`);
}
