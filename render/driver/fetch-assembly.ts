// Turns the messages of Farm/Fetch into images: a large one comes in several. farm-client.ts has one for each stream. Pure.

import { RenderError } from '../errors.js';
import type { FetchedImage } from '../proto/farm.js';
import { ErrCode, type PixelFormat } from '../proto/render.js';
import { RENDERER_MESSAGE_BYTES_MAX } from '../renderer/message.js';
import type { ImageResult } from './render-results.js';

/** What Fetch does not say of an image; GetJob does. */
const UNTOLD = { attempts: 0, renderMs: 0, node: 0, times: null };

export class FetchAssembly {
  #parts: Uint8Array[] = [];
  #bytes = 0;
  #index = 0;

  /** The image that a message completes. @throws RenderError RENDER_MESSAGE_INVALID: parts do not belong together */
  take(message: FetchedImage): ImageResult | null {
    const { index, code, error, width, height, pixels, more } = message;
    if (this.#parts.length > 0 && index !== this.#index)
      throw broken(`image ${index} came in the middle of image ${this.#index}`);
    // Numbers of a newer main node are passed on as they are.
    if (code !== ErrCode.EC_OK)
      return { kind: 'missing', index, code: code as ErrCode, error, attempts: 0, node: 0 };
    const format = message.format as PixelFormat;
    this.#index = index;
    this.#parts.push(pixels);
    this.#bytes += pixels.length;
    if (this.#bytes > RENDERER_MESSAGE_BYTES_MAX) throw broken(`image ${index} does not end`);
    if (more) return null;
    return { kind: 'rendered', index, ...UNTOLD, width, height, format, pixels: this.#whole() };
  }

  #whole(): Uint8Array {
    const [first, ...others] = this.#parts;
    const whole = others.length === 0 && first !== undefined ? first : joined(this.#parts, this.#bytes);
    this.#parts = [];
    this.#bytes = 0;
    return whole;
  }
}

/** Not Buffer.concat: everybody gets the same type, in however many parts it came. */
export function joined(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

function broken(message: string): RenderError {
  return new RenderError('RENDER_MESSAGE_INVALID', `the main node's answer is broken: ${message}`);
}
