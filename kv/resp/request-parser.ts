// Turns the bytes of one client into commands: arrays of bulk strings, and the inline form that people type.
// resp-client.ts feeds it chunks and takes commands; arguments are offsets into the input, nothing is copied or decoded.
// Pure: no socket, no timer. Input may be cut anywhere, a cut command is not looked at twice.
// Where Redis is lenient (it looks at neither byte of a line end), so is this.

import { type InputBudget, InputBuffer } from './input-buffer.js';

/** What `next` found. */
export type Parsed = 'command' | 'incomplete' | 'error';

export interface RequestLimits {
  /** Bytes of one argument. */
  bulkBytesMax: number;
  /** Bytes of one command, with everything around its arguments. */
  readonly requestBytesMax: number;
}

/** As in Redis: an inline command, or the line that announces a length. */
export const INLINE_BYTES_MAX: number = 64 * 1024;
/** As in Redis before its version 7: more than any request of permitted size can hold. */
const ARGS_MAX = 1024 * 1024;
/** As in Redis: what a client that has not said who it is may send. */
const STRANGER_ARGS_MAX = 10;
const STRANGER_BULK_BYTES_MAX = 16 * 1024;
const OFFSETS_KEPT_MAX = 4096;

const LF = 10;
const CR = 13;
const DOLLAR = 0x24;
const STAR = 0x2a;

export class RequestParser {
  /** Set for a client that has yet to authenticate: bounds are tight. */
  isStranger = false;
  /** Of all commands since `beginGroup`: argument j begins at `offsets[2 j]` and ends before `offsets[2 j + 1]`. */
  offsets: Int32Array = new Int32Array(32);
  /** Of the latest command: where its first argument is in `offsets`, over two. */
  firstArg = 0;
  argCount = 0;
  /** In Redis's words, after 'error'. */
  error = '';

  readonly #limits: RequestLimits;
  readonly #input: InputBuffer;
  /** Where parsing goes on. */
  #at = 0;
  /** Arguments of the command under way that are still to come; -1 before its first line. */
  #argsLeft = -1;
  /** Bytes of the argument under way; -1 before its length. */
  #bulkBytes = -1;
  /** There is no line end before it. */
  #searchedTo = 0;
  /** The latest command was put back: `next` returns it again. */
  #isPutBack = false;
  #commandStart = 0;
  #number = 0;

  constructor(limits: RequestLimits, budget: InputBudget) {
    this.#limits = limits;
    this.#input = new InputBuffer(budget);
  }

  /** Where the offsets lead. */
  get bytes(): Buffer {
    return this.#input.bytes;
  }

  /** Bytes that no command was made of yet. */
  get waitingBytes(): number {
    return this.#input.length;
  }

  /** Bytes of the latest command. */
  get commandBytes(): number {
    return this.#input.start - this.#commandStart;
  }

  /** Takes one chunk, which is only lent until `keep`. */
  add(chunk: Buffer): void {
    this.#move(this.#input.add(chunk, this.#wantedBytes()));
  }

  /** The chunk goes back to its owner; offsets of commands that `next` has returned are void. */
  keep(): void {
    this.beginGroup();
    this.#move(this.#input.keep(this.#wantedBytes()));
    if (this.offsets.length > OFFSETS_KEPT_MAX && this.argCount === 0) this.offsets = new Int32Array(32);
  }

  /** What the offsets say so far is void, but for a command that was put back or is not whole. */
  beginGroup(): void {
    if (!this.#isPutBack && this.#argsLeft <= 0) this.argCount = 0;
    if (this.firstArg === 0) return;
    this.offsets.copyWithin(0, this.firstArg * 2, (this.firstArg + this.argCount) * 2);
    this.firstArg = 0;
  }

  /** The latest command comes again; the input is not read anew. */
  putBack(): void {
    this.#isPutBack = true;
    this.#input.start = this.#commandStart;
  }

  /** The input ends with an error or with the connection. */
  release(): void {
    this.#input.release();
    this.#at = 0;
    this.#argsLeft = -1;
    this.#isPutBack = false;
    this.argCount = 0;
  }

  /** Finds the next command: `argCount` (at least one) arguments from `firstArg` on. After 'error' it stays at that. */
  next(): Parsed {
    if (this.#isPutBack) {
      this.#isPutBack = false;
      return this.#consumed();
    }
    for (;;) {
      if (this.#argsLeft < 0) {
        if (this.error !== '') return 'error';
        this.firstArg += this.argCount;
        this.argCount = 0;
        const { bytes, end } = this.#input;
        if (this.#at >= end) return 'incomplete';
        const found = bytes[this.#at] === STAR ? this.#beginArray() : this.#readInline();
        if (found !== 'command') return found;
      }
      const found = this.#readArguments();
      if (found !== 'command') return found;
      this.#argsLeft = -1;
      this.#consumed();
      if (this.argCount > 0) return 'command';
    }
  }

  #consumed(): 'command' {
    this.#commandStart = this.#input.start;
    this.#input.start = this.#at;
    return 'command';
  }

  /** `*<count>`; a count of none or below is an empty command, which is passed over. */
  #beginArray(): Parsed {
    const found = this.#readLength('invalid multibulk length');
    if (found !== 'command') return found;
    if (this.#number > ARGS_MAX) return this.#fail('invalid multibulk length');
    if (this.isStranger && this.#number > STRANGER_ARGS_MAX)
      return this.#fail('unauthenticated multibulk length');
    this.#argsLeft = Math.max(0, this.#number);
    return 'command';
  }

  #readArguments(): Parsed {
    const { bytes, end } = this.#input;
    const { requestBytesMax } = this.#limits;
    while (this.#argsLeft > 0) {
      if (this.#bulkBytes < 0) {
        if (this.#at >= end) return 'incomplete';
        const kind = bytes[this.#at]!;
        if (kind !== DOLLAR) return this.#fail(`expected '$', got '${printable(kind)}'`);
        const found = this.#readLength('invalid bulk length');
        if (found !== 'command') return found;
        if (this.#number < 0 || this.#number > this.#limits.bulkBytesMax)
          return this.#fail('invalid bulk length');
        if (this.isStranger && this.#number > STRANGER_BULK_BYTES_MAX)
          return this.#fail('unauthenticated bulk length');
        if (this.#at - this.#input.start + this.#number > requestBytesMax)
          return this.#fail('too big request');
        this.#bulkBytes = this.#number;
      }
      const bulkEnd = this.#at + this.#bulkBytes;
      if (bulkEnd + 2 > end) return 'incomplete';
      this.#addArgument(this.#at, bulkEnd);
      this.#at = bulkEnd + 2;
      this.#bulkBytes = -1;
      this.#argsLeft -= 1;
    }
    return 'command';
  }

  /** The line at `#at`: a mark, an integer as Redis writes it, and two bytes of line end. */
  #readLength(complaint: string): Parsed {
    const { bytes, end } = this.#input;
    let at = this.#at + 1;
    const isNegative = at < end && bytes[at] === 0x2d;
    if (isNegative) at += 1;
    const digits = at;
    let number = 0;
    for (; at < end; at += 1) {
      const digit = bytes[at]! - 0x30;
      if (digit < 0 || digit > 9) break;
      number = number * 10 + digit;
      if (at - digits > 15) return this.#fail(complaint);
    }
    if (at >= end) return 'incomplete';
    const hasLeadingZero = bytes[digits] === 0x30 && (at - digits > 1 || isNegative);
    if (bytes[at] !== CR || at === digits || hasLeadingZero) return this.#fail(complaint);
    if (at + 2 > end) return 'incomplete';
    this.#number = isNegative ? -number : number;
    this.#at = at + 2;
    return 'command';
  }

  /** Words with blanks between them, quoted as in C or in a shell. */
  #readInline(): Parsed {
    const { bytes, end } = this.#input;
    const found = bytes.indexOf(LF, Math.max(this.#at, this.#searchedTo));
    const lineEnd = found === -1 || found >= end ? -1 : found;
    if ((lineEnd === -1 ? end : lineEnd) - this.#at > INLINE_BYTES_MAX)
      return this.#fail('too big inline request');
    if (lineEnd === -1) {
      this.#searchedTo = end;
      return 'incomplete';
    }
    this.#searchedTo = 0;
    const textEnd = lineEnd > this.#at && bytes[lineEnd - 1] === CR ? lineEnd - 1 : lineEnd;
    let at = this.#at;
    for (;;) {
      while (at < textEnd && isBlank(bytes[at]!)) at += 1;
      if (at >= textEnd) break;
      at = this.#readWord(at, textEnd);
      if (at === -1) return this.#fail('unbalanced quotes in request');
    }
    this.#at = lineEnd + 1;
    this.#argsLeft = 0;
    return 'command';
  }

  /** Unquotes one word in place, as it only becomes shorter; returns where it ended, -1 without its closing quote. */
  #readWord(start: number, end: number): number {
    const { bytes } = this.#input;
    let at = start;
    let to = start;
    let quote = 0;
    while (at < end) {
      const byte = bytes[at]!;
      if (quote === 0) {
        if (isBlank(byte)) break;
        if (byte === 0x22 || byte === 0x27) {
          quote = byte;
          at += 1;
          continue;
        }
        bytes[to] = byte;
        at += 1;
      } else if (byte === quote) {
        if (at + 1 < end && !isBlank(bytes[at + 1]!)) return -1;
        quote = 0;
        at += 1;
        break;
      } else if (byte === 0x5c && at + 1 < end) {
        at = this.#unescape(at, end, quote, to);
      } else {
        bytes[to] = byte;
        at += 1;
      }
      to += 1;
    }
    if (quote !== 0) return -1;
    this.#addArgument(start, to);
    return at;
  }

  /** The byte that the escape at `at` means goes to `to`; returns the position after the escape. */
  #unescape(at: number, end: number, quote: number, to: number): number {
    const { bytes } = this.#input;
    const next = bytes[at + 1]!;
    if (quote === 0x27) {
      bytes[to] = next === 0x27 ? 0x27 : 0x5c; // only the quote itself can be escaped
      return next === 0x27 ? at + 2 : at + 1;
    }
    if (next === 0x78 && at + 3 < end) {
      const high = hexDigit(bytes[at + 2]!);
      const low = hexDigit(bytes[at + 3]!);
      if (high >= 0 && low >= 0) {
        bytes[to] = high * 16 + low;
        return at + 4;
      }
    }
    bytes[to] = ESCAPES[next] ?? next;
    return at + 2;
  }

  #addArgument(start: number, end: number): void {
    const slot = (this.firstArg + this.argCount) * 2;
    if (slot + 2 > this.offsets.length) {
      const grown = new Int32Array(this.offsets.length * 2);
      grown.set(this.offsets);
      this.offsets = grown;
    }
    this.offsets[slot] = start;
    this.offsets[slot + 1] = end;
    this.argCount += 1;
  }

  #fail(complaint: string): Parsed {
    this.error = `ERR Protocol error: ${complaint}`;
    this.#argsLeft = -1;
    this.#bulkBytes = -1;
    return 'error';
  }

  /** Bytes that the command under way has at least. */
  #wantedBytes(): number {
    return this.#bulkBytes < 0 ? 0 : this.#at - this.#input.start + this.#bulkBytes + 2;
  }

  /** The input has moved to the front, and with it what lies in it. */
  #move(by: number): void {
    if (by === 0) return;
    this.#at -= by;
    this.#searchedTo = Math.max(0, this.#searchedTo - by);
    const last = (this.firstArg + this.argCount) * 2;
    for (let slot = this.firstArg * 2; slot < last; slot += 1) this.offsets[slot]! -= by;
  }
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || (byte >= 9 && byte <= 13);
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1;
}

const ESCAPES: Readonly<Record<number, number>> = { 0x6e: 10, 0x72: 13, 0x74: 9, 0x62: 8, 0x61: 7 };

function printable(byte: number): string {
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '?';
}
