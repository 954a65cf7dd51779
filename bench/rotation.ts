// Memory that messages are cut from, one behind the other and round again, so large that no cache holds it.
// Both ends of peers/messages/ read a word of each of its lines; from the numbers of messages alone follows what these
// words add up to, so an end that skipped some, or read what was not there yet, is found out. Pure.

/** A cache line: of each one the reader looks at the first word. */
export const LINE_BYTES = 64;

/** Prime to 2^32, so that neighbouring lines look nothing alike. */
const SPREAD = 0x9e3779b1;

/** The first word of line `index` of the memory that rotates. */
export function lineWord(index: number): number {
  return Math.imul(index + 1, SPREAD);
}

/** Writes the first words of all lines of `bytes`, which begin with line `firstLine`. */
export function fillLines(bytes: Uint8Array, firstLine = 0): void {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const step = LINE_BYTES / 4;
  for (let at = 0, line = firstLine; at < words.length; at += step, line += 1) words[at] = lineWord(line);
}

/** The sum of the first words of the lines, modulo 2^32, of a message of whole lines. */
export function sumLines(view: DataView, from: number, bytes: number, sum: number): number {
  const end = from + bytes;
  for (let at = from; at < end; at += LINE_BYTES) sum = (sum + view.getInt32(at, true)) | 0;
  return sum;
}

/** Where the next message of one size lies, and what those that were taken add up to. */
export class Rotation {
  readonly messageBytes: number;
  readonly messageCount: number;
  /** Of how many lines one counts for the sum: of all, unless the reader adds up fewer. */
  readonly #linesPerSum: number;
  #next = 0;
  #begin = 0;
  #taken = 0;

  /** @param messageBytes a multiple of a line that goes into `bytes` at least once. */
  constructor(bytes: number, messageBytes: number, linesPerSum = 1) {
    if (messageBytes % LINE_BYTES !== 0 || messageBytes > bytes) {
      throw new RangeError(`messages of ${messageBytes} bytes cannot rotate over ${bytes}`);
    }
    this.messageBytes = messageBytes;
    this.#linesPerSum = linesPerSum;
    this.messageCount = Math.floor(bytes / messageBytes);
  }

  /** Offset of the next message. */
  next(): number {
    const index = this.#next;
    this.#next = index + 1 === this.messageCount ? 0 : index + 1;
    this.#taken += 1;
    return index * this.messageBytes;
  }

  /** Messages since the last call, and the sum of the first words of their lines. */
  settle(): { count: number; sum: number } {
    const count = this.#taken;
    const lines = this.messageBytes / LINE_BYTES;
    const sumOf = (message: number, messages: number): number =>
      sumOfLines(message * lines, messages * lines, this.#linesPerSum);
    const whole = Math.floor(count / this.messageCount);
    const rest = count % this.messageCount;
    const first = Math.min(rest, this.messageCount - this.#begin);
    const sum =
      Math.imul(whole, sumOf(0, this.messageCount)) + sumOf(this.#begin, first) + sumOf(0, rest - first);
    this.#begin = this.#next;
    this.#taken = 0;
    return { count, sum: sum | 0 };
  }
}

/** Of one in `step` of `count` lines from `first` on: multiples of one number, so it is an arithmetic series. */
function sumOfLines(first: number, count: number, step: number): number {
  const terms = BigInt(Math.ceil(count / step));
  const sum = terms * BigInt(first + 1) + (BigInt(step) * terms * (terms - 1n)) / 2n;
  return Math.imul(Number(BigInt.asIntN(32, sum)), SPREAD);
}
