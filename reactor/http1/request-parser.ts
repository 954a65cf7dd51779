// Cuts the bytes of one connection into requests: heads, and the parts of their bodies.
// session.ts feeds it and decides at every stop; llhttp.ts parses; head-rules.ts judges what that lets through.
// Keeps nothing but the text of a head that is not whole: positions in the head are offsets in that text.

import {
  Llhttp,
  LLHTTP_HTTP2_PREFACE,
  LLHTTP_INPUT_BYTES,
  LLHTTP_INVALID_VERSION,
  LLHTTP_OK,
  LLHTTP_PAUSED,
  type LlhttpSink,
} from './llhttp.js';

/** Chunks of an unfinished head after which its text is made one again. */
const FLATTEN_CHUNKS = 64;

/**
 * Why the parser stopped. 'input': all was taken. 'head': a request line and its headers are whole; call
 * `readBody` or `nextRequest`. 'end': so is the body; call `nextRequest`. 'error': see `errorText`.
 */
export type ParserStop = 'input' | 'head' | 'end' | 'error';

/** Parses the requests of one connection, one after the other. Call `release` in the end. */
export class RequestParser implements LlhttpSink {
  readonly #llhttp: Llhttp = Llhttp.ofThread();
  readonly #pointer: number;
  /** Behind what the latest `parse` took. */
  #position = 0;
  #isInHead = true;
  /** The head as far as it came in earlier chunks, and in how many of them. */
  #earlier = '';
  #chunkCount = 0;
  /** Add this to a position in the chunk to get one in the head. */
  #headOffset = 0;
  #isNameLast = false;

  /** The head: request line, headers and the empty line, one character per byte. Whole at 'head'. */
  head = '';
  /** End of the request line's target in `head`; it begins at `targetStart`. */
  targetStart = 0;
  targetEnd = 0;
  /** For each header: start and end of its name, start and end of its value, in `head`. */
  headers: number[] = [];
  /** A part of the head does not continue where the one before it ended: a folded line. */
  isFolded = false;
  /** The connection may go on after this request, by its version and its Connection header. */
  keepsAlive = false;
  /** The request asks for another protocol. */
  isUpgrade = false;
  /** Where the latest chunk has parts of the body: pairs of start and end. */
  body: number[] = [];
  /** Headers came after the body. */
  hasTrailers = false;
  /** After 'error': it is the version of the protocol. */
  isVersionWrong = false;

  constructor() {
    this.#pointer = this.#llhttp.open();
  }

  /** Bytes of the head that have come. */
  get headBytes(): number {
    return this.#isInHead ? this.#earlier.length : this.head.length;
  }

  /** A request has begun and is not whole. */
  get isUnderWay(): boolean {
    return !this.#isInHead || this.#earlier.length > 0;
  }

  get position(): number {
    return this.#position;
  }

  /** Takes `chunk[start, end)` up to the next stop; it ends at `position`. */
  parse(chunk: Buffer, start: number, end: number): ParserStop {
    this.body.length = 0;
    this.#headOffset = this.#earlier.length - start;
    this.#position = start;
    while (this.#position < end) {
      const pieceEnd = Math.min(end, this.#position + LLHTTP_INPUT_BYTES);
      const code = this.#llhttp.execute(this.#pointer, this, chunk, this.#position, pieceEnd);
      if (code === LLHTTP_OK) {
        this.#position = pieceEnd;
        continue;
      }
      this.#position = this.#llhttp.stoppedAt(this.#pointer);
      if (code !== LLHTTP_PAUSED) {
        this.isVersionWrong = code === LLHTTP_INVALID_VERSION || code === LLHTTP_HTTP2_PREFACE;
        this.#keepHead(chunk, start);
        return 'error';
      }
      if (!this.#isInHead) return 'end';
      this.#keepHead(chunk, start);
      this.head = this.#earlier;
      this.#earlier = '';
      this.#isInHead = false;
      return 'head';
    }
    this.#keepHead(chunk, start);
    return 'input';
  }

  /** After 'head': the body of this request follows. */
  readBody(): void {
    this.#llhttp.resume(this.#pointer);
  }

  /** After 'head', where no body follows, and after 'end'. */
  nextRequest(): void {
    this.#llhttp.reset(this.#pointer);
    this.#isInHead = true;
    this.#chunkCount = 0;
    this.#isNameLast = false;
    this.headers = [];
    this.isFolded = false;
    this.hasTrailers = false;
    this.targetStart = 0;
    this.targetEnd = 0;
  }

  /** After 'error': llhttp's own words. */
  get errorText(): string {
    return this.#llhttp.errorText(this.#pointer);
  }

  /** Gives the parser's memory back; it is dead afterwards. */
  release(): void {
    this.#llhttp.close(this.#pointer);
  }

  // LlhttpSink.

  onTarget(start: number, end: number): void {
    if (this.targetEnd === 0) this.targetStart = start + this.#headOffset;
    this.targetEnd = end + this.#headOffset;
  }

  onName(start: number, end: number): void {
    if (!this.#isInHead) {
      this.hasTrailers = true;
      return;
    }
    const { headers } = this;
    if (this.#isNameLast) {
      headers[headers.length - 3] = end + this.#headOffset;
      return;
    }
    this.#isNameLast = true;
    headers.push(start + this.#headOffset, end + this.#headOffset, -1, -1);
  }

  onValue(start: number, end: number): void {
    if (!this.#isInHead) return;
    const { headers } = this;
    const last = headers.length - 1;
    if (this.#isNameLast) {
      this.#isNameLast = false;
      headers[last - 1] = start + this.#headOffset;
    } else if (headers[last] !== start + this.#headOffset) {
      this.isFolded = true;
    }
    headers[last] = end + this.#headOffset;
  }

  onBody(start: number, end: number): void {
    this.body.push(start, end);
  }

  onHead(isUpgrade: boolean, keepsAlive: boolean): void {
    this.isUpgrade = isUpgrade;
    this.keepsAlive = keepsAlive;
  }

  /** What was parsed of the head goes to what came of it earlier. */
  #keepHead(chunk: Buffer, start: number): void {
    if (!this.#isInHead) return;
    this.#earlier += chunk.toString('latin1', start, this.#position);
    this.#chunkCount += 1;
    // A string put together byte by byte is a tree of as many nodes, each larger than its byte.
    if (this.#chunkCount % FLATTEN_CHUNKS === 0) {
      this.#earlier = Buffer.from(this.#earlier, 'latin1').toString('latin1');
    }
  }
}
