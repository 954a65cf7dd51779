// llhttp as undici ships it in WebAssembly (docs/adr/0006): one instance per thread, for all its connections.
// request-parser.ts is its only caller. Input is copied to the instance's memory, one buffer for everybody, so no code
// of a user and no other parser runs inside a callback.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

/** Part of undici's package, without types: the bytes of the module. */
const MODULE = 'undici/lib/llhttp/llhttp_simd-wasm.js';
const TYPE_REQUEST = 1;

/** llhttp's error codes that are none. */
export const LLHTTP_OK = 0;
export const LLHTTP_PAUSED = 21;
/** And those that say that it is no HTTP/1: a version that there is not, the preface of HTTP/2. */
export const LLHTTP_INVALID_VERSION = 9;
export const LLHTTP_HTTP2_PREFACE = 23;

/** Bytes that `execute` takes at a time. */
export const LLHTTP_INPUT_BYTES: number = 64 * 1024;

/** What llhttp found; positions are those of the chunk. A part may come in pieces, each where the last one ended. */
export interface LlhttpSink {
  onTarget(start: number, end: number): void;
  onName(start: number, end: number): void;
  onValue(start: number, end: number): void;
  onBody(start: number, end: number): void;
  /** All headers have come; llhttp pauses. */
  onHead(isUpgrade: boolean, keepsAlive: boolean): void;
}

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

/** The instance of this thread: its memory, and whose input is being parsed. */
export class Llhttp {
  static #ofThread: Llhttp | null = null;
  readonly #exports: LlhttpExports;
  readonly #input: number;
  #memory: Uint8Array;
  /** Whose callbacks these are. */
  #sink: LlhttpSink | null = null;
  /** Add this to an address to get a position in the chunk. */
  #chunkOffset = 0;

  private constructor() {
    const bytes = createRequire(import.meta.url)(MODULE) as Uint8Array; // undici's files of this name hold one
    const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyLike }).WebAssembly;
    const instance = new Instance(new Module(bytes), { env: this.#callbacks() });
    this.#exports = instance.exports as LlhttpExports; // undici's version is pinned, and with it these names
    this.#exports._initialize();
    this.#input = this.#exports.malloc(LLHTTP_INPUT_BYTES);
    assert(this.#input !== 0);
    this.#memory = new Uint8Array(this.#exports.memory.buffer);
  }

  /** Compiled for the first connection that speaks HTTP. */
  static ofThread(): Llhttp {
    Llhttp.#ofThread ??= new Llhttp();
    return Llhttp.#ofThread;
  }

  /** Makes a parser of requests; `close` it. */
  open(): number {
    const parser = this.#exports.llhttp_alloc(TYPE_REQUEST);
    assert(parser !== 0);
    // A memory that grew has a new buffer, and the old one is empty.
    if (this.#memory.length === 0) this.#memory = new Uint8Array(this.#exports.memory.buffer);
    return parser;
  }

  close(parser: number): void {
    this.#exports.llhttp_free(parser);
  }

  /** Runs a parser over `chunk[start, end)`, at most LLHTTP_INPUT_BYTES; returns llhttp's error code. */
  execute(parser: number, sink: LlhttpSink, chunk: Buffer, start: number, end: number): number {
    assert(this.#sink === null, 'nothing parses inside a callback');
    this.#memory.set(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end), this.#input);
    this.#sink = sink;
    this.#chunkOffset = start - this.#input;
    const code = this.#exports.llhttp_execute(parser, this.#input, end - start);
    this.#sink = null;
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
      wasm_on_message_begin: () => LLHTTP_OK,
      wasm_on_status: () => LLHTTP_OK,
      wasm_on_url: (_parser, address, bytes) => {
        this.#sink!.onTarget(at(address), at(address) + bytes);
        return LLHTTP_OK;
      },
      wasm_on_header_field: (_parser, address, bytes) => {
        this.#sink!.onName(at(address), at(address) + bytes);
        return LLHTTP_OK;
      },
      wasm_on_header_value: (_parser, address, bytes) => {
        this.#sink!.onValue(at(address), at(address) + bytes);
        return LLHTTP_OK;
      },
      wasm_on_headers_complete: (_parser, _status, upgrade, keepAlive) => {
        this.#sink!.onHead(upgrade !== 0, keepAlive !== 0);
        return LLHTTP_PAUSED;
      },
      wasm_on_body: (_parser, address, bytes) => {
        this.#sink!.onBody(at(address), at(address) + bytes);
        return LLHTTP_OK;
      },
      wasm_on_message_complete: () => LLHTTP_PAUSED,
    };
  }
}
