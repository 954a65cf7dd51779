// The HTTP/1.1 parser: llhttp, as undici ships it in WebAssembly (docs/adr/0006). One instance per thread.
// session.ts has a RequestParser per connection and feeds it; head-rules.ts judges what it lets through.
// The parser copies its input, keeps the text of an unfinished head, and stops wherever somebody has to decide.
// No user code runs inside the parser: it shares one input buffer with all other connections of the thread.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

/** Part of undici's package, without types: the bytes of the module. */
const MODULE = 'undici/lib/llhttp/llhttp_simd-wasm.js';
const TYPE_REQUEST = 1;
/** llhttp's error codes that are none. */
const OK = 0;
const PAUSED = 21;
/** And those that say that it is no HTTP/1.1: a version that there is not, the preface of HTTP/2. */
const INVALID_VERSION = 9;
const HTTP2_PREFACE = 23;
/** Bytes given to the parser in one go. */
const INPUT_BYTES = 64 * 1024;

/**
 * Why the parser stopped. 'input': all was taken. 'head': a request line and its headers are whole; call
 * `readBody` or `nextRequest`. 'end': so is the body; call `nextRequest`. 'error': see `errorText`.
 */
export type ParserStop = 'input' | 'head' | 'end' | 'error';

/** What we use of WebAssembly; the library of types for Node 20 does not have it. */
interface WebAssemblyLike {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: { env: LlhttpCallbacks }) => { readonly exports: unknown };
}
type LlhttpCallbacks = Readonly<
  Record<string, (parser: number, first: number, second: number, third: number) => number>
>;

/** What llhttp exports, as far as it is used. */
interface LlhttpExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  _initialize(): void;
  malloc(bytes: number): number;
  llhttp_alloc(type: number): number;
  llhttp_free(parser: number): void;
  llhttp_reset(parser: number): void;
  llhttp_resume(parser: number): void;
  llhttp_execute(parser: number, input: number, bytes: number): number;
  llhttp_get_error_pos(parser: number): number;
  llhttp_get_error_reason(parser: number): number;
}

/** Parses the requests of one connection, one after the other. Call `release` in the end. */
export class RequestParser {
  readonly #llhttp: Llhttp = Llhttp.ofThread();
  readonly #pointer: number;
  /** Behind what the latest `parse` took. */
  #position = 0;
  #isInHead = true;
  /** The head as far as it came in earlier chunks. */
  #earlier = '';
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
      const pieceEnd = Math.min(end, this.#position + INPUT_BYTES);
      const code = this.#llhttp.execute(this.#pointer, this, chunk, this.#position, pieceEnd);
      if (code === OK) {
        this.#position = pieceEnd;
        continue;
      }
      this.#position = this.#llhttp.stoppedAt(this.#pointer);
      if (code !== PAUSED) {
        this.isVersionWrong = code === INVALID_VERSION || code === HTTP2_PREFACE;
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

  /** @internal A piece of the target, at this position in the chunk. */
  onTarget(start: number, end: number): void {
    if (this.targetEnd === 0) this.targetStart = start + this.#headOffset;
    this.targetEnd = end + this.#headOffset;
  }

  /** @internal A piece of a header's name. */
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

  /** @internal A piece of a header's value. */
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

  /** What was parsed of the head goes to what came of it earlier. */
  #keepHead(chunk: Buffer, start: number): void {
    if (this.#isInHead) this.#earlier += chunk.toString('latin1', start, this.#position);
  }
}

/** The instance of this thread: its memory, and whose input is being parsed. */
class Llhttp {
  static #ofThread: Llhttp | null = null;
  readonly #exports: LlhttpExports;
  readonly #input: number;
  #memory: Uint8Array;
  /** Whose callbacks these are. */
  #current: RequestParser | null = null;
  /** Add this to an address to get a position in the chunk. */
  #chunkOffset = 0;

  private constructor() {
    const bytes = createRequire(import.meta.url)(MODULE) as Uint8Array; // undici's files of this name hold one
    const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyLike }).WebAssembly;
    const instance = new Instance(new Module(bytes), { env: this.#callbacks() });
    this.#exports = instance.exports as LlhttpExports; // undici's version is pinned, and with it these names
    this.#exports._initialize();
    this.#input = this.#exports.malloc(INPUT_BYTES);
    assert(this.#input !== 0);
    this.#memory = new Uint8Array(this.#exports.memory.buffer);
  }

  /** Compiled for the first connection that speaks HTTP. */
  static ofThread(): Llhttp {
    Llhttp.#ofThread ??= new Llhttp();
    return Llhttp.#ofThread;
  }

  open(): number {
    const parser = this.#exports.llhttp_alloc(TYPE_REQUEST);
    assert(parser !== 0);
    // A memory that grew has a new buffer.
    if (this.#memory.length === 0) this.#memory = new Uint8Array(this.#exports.memory.buffer);
    return parser;
  }

  close(parser: number): void {
    this.#exports.llhttp_free(parser);
  }

  /** Runs llhttp over `chunk[start, end)`, at most INPUT_BYTES. */
  execute(parser: number, owner: RequestParser, chunk: Buffer, start: number, end: number): number {
    assert(this.#current === null, 'nothing parses inside a callback');
    this.#memory.set(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end), this.#input);
    this.#current = owner;
    this.#chunkOffset = start - this.#input;
    const code = this.#exports.llhttp_execute(parser, this.#input, end - start);
    this.#current = null;
    return code;
  }

  /** Position in the chunk of the latest `execute`. */
  stoppedAt(parser: number): number {
    return this.#exports.llhttp_get_error_pos(parser) + this.#chunkOffset;
  }

  resume(parser: number): void {
    this.#exports.llhttp_resume(parser);
  }

  reset(parser: number): void {
    this.#exports.llhttp_reset(parser);
  }

  errorText(parser: number): string {
    const start = this.#exports.llhttp_get_error_reason(parser);
    const end = this.#memory.indexOf(0, start);
    return start === 0 ? '' : Buffer.from(this.#memory.subarray(start, end)).toString('latin1');
  }

  #callbacks(): LlhttpCallbacks {
    const at = (address: number): number => address + this.#chunkOffset;
    return {
      wasm_on_message_begin: () => OK,
      wasm_on_status: () => OK,
      wasm_on_url: (_parser: number, address: number, bytes: number) => {
        this.#current!.onTarget(at(address), at(address) + bytes);
        return OK;
      },
      wasm_on_header_field: (_parser: number, address: number, bytes: number) => {
        this.#current!.onName(at(address), at(address) + bytes);
        return OK;
      },
      wasm_on_header_value: (_parser: number, address: number, bytes: number) => {
        this.#current!.onValue(at(address), at(address) + bytes);
        return OK;
      },
      wasm_on_headers_complete: (_parser: number, _status: number, upgrade: number, keepAlive: number) => {
        const parser = this.#current!;
        parser.isUpgrade = upgrade !== 0;
        parser.keepsAlive = keepAlive !== 0;
        return PAUSED;
      },
      wasm_on_body: (_parser: number, address: number, bytes: number) => {
        this.#current!.body.push(at(address), at(address) + bytes);
        return OK;
      },
      wasm_on_message_complete: () => PAUSED,
    };
  }
}
