// Animated PNG: the frames of several PNG files in one, which every browser plays and every viewer shows the first of.
// No maintained library writes them; around the compressed lines of fast-png it is three kinds of chunks:
// https://www.w3.org/TR/png-3/ 11.3.6. animation.ts feeds it. Pure: frame by frame, so that one is in memory at a time.

import { RenderError } from '../errors.js';
import { PNG_END, PNG_SIGNATURE, type PngChunk, pngChunk, pngChunks } from './png-chunks.js';

export class ApngEncoder {
  readonly #frames: number;
  readonly #fps: number;
  #header: Buffer | null = null;
  #written = 0;
  #sequence = 0;

  /** @param fps frames each second, a whole number up to 65,535 */
  constructor(frames: number, fps: number) {
    this.#frames = frames;
    this.#fps = fps;
  }

  /**
   * The bytes that the next frame adds to the file. All frames have the size and the kind of pixels of the first.
   * @throws RenderError RENDER_REQUEST_INVALID: it has not, or is no PNG file
   */
  frame(png: Uint8Array): Buffer {
    const chunks = pngChunks(png);
    const header = chunks?.find(({ type }) => type === 'IHDR')?.data;
    if (chunks === null || header === undefined) throw invalid('is no PNG file');
    if (this.#header !== null && !this.#header.equals(header))
      throw invalid('differs from the first one in size or kind of pixels');
    const parts: Buffer[] = [];
    const isFirst = this.#header === null;
    if (isFirst) {
      this.#header = Buffer.from(header);
      const control = Buffer.alloc(8); // played for ever: 0 times
      control.writeUInt32BE(this.#frames, 0);
      parts.push(PNG_SIGNATURE, pngChunk('IHDR', header), pngChunk('acTL', control));
      parts.push(...chunks.filter(isAboutPixels).map(({ type, data }) => pngChunk(type, data)));
    }
    parts.push(this.#frameControl(header));
    for (const { type, data } of chunks) {
      if (type !== 'IDAT') continue;
      parts.push(isFirst ? pngChunk('IDAT', data) : pngChunk('fdAT', Buffer.concat([this.#next(), data])));
    }
    this.#written += 1;
    return Buffer.concat(parts);
  }

  /** What ends the file. */
  end(): Buffer {
    if (this.#written !== this.#frames)
      throw invalid(`is ${this.#written - 1}, but ${this.#frames} were announced`);
    return PNG_END;
  }

  #frameControl(header: Buffer): Buffer {
    const control = Buffer.alloc(26);
    this.#next().copy(control, 0);
    header.copy(control, 4, 0, 8); // width and height; it covers the whole image from the corner on
    control.writeUInt16BE(1, 20);
    control.writeUInt16BE(this.#fps, 22);
    return pngChunk('fcTL', control); // each frame stays until the next one replaces it
  }

  #next(): Buffer {
    const number = Buffer.alloc(4);
    number.writeUInt32BE(this.#sequence, 0);
    this.#sequence += 1;
    return number;
  }
}

/** What a decoder must know before the first line: palette, gamma and the like. */
function isAboutPixels({ type }: PngChunk): boolean {
  return ['PLTE', 'tRNS', 'gAMA', 'cHRM', 'sRGB', 'iCCP', 'sBIT'].includes(type);
}

function invalid(what: string): RenderError {
  return new RenderError('RENDER_REQUEST_INVALID', `a frame of the animation ${what}`);
}
