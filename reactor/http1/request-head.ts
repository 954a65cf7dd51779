// A request's head as handlers see it: method, target, headers. Pure; strings are cut out when somebody asks.
// session.ts makes it of what the parser found; head-rules.ts judges it before a handler sees it.

/** The headers of a request, one character per byte. Names match whatever their case. */
export interface Http1Headers extends Iterable<readonly [name: string, value: string]> {
  /** Lines in the order they came, as they were spelled. */
  readonly count: number;
  /** The value; of a repeated header all values, joined by ', ' (Cookie: by '; '). */
  get(name: string): string | undefined;
  /** One value for each line. */
  getAll(name: string): string[];
  has(name: string): boolean;
}

/** What the parser says of a head: positions of its parts in its text. */
export interface HeadSpans {
  readonly head: string;
  readonly targetStart: number;
  readonly targetEnd: number;
  /** Start and end of the name, start and end of the value, for each header. */
  readonly headers: readonly number[];
}

/** Of each header, four positions. */
const SPANS = 4;
const NAME_START = 0;
const NAME_END = 1;
const VALUE_START = 2;
const VALUE_END = 3;

export class RequestHead implements Http1Headers {
  readonly text: string;
  readonly targetStart: number;
  readonly targetEnd: number;
  readonly #spans: readonly number[];
  #method: string | null = null;
  #target: string | null = null;

  constructor({ head, targetStart, targetEnd, headers }: HeadSpans) {
    this.text = head;
    this.targetStart = targetStart;
    this.targetEnd = targetEnd;
    this.#spans = headers;
  }

  get method(): string {
    this.#method ??= this.text.slice(0, this.targetStart - 1);
    return this.#method;
  }

  get target(): string {
    this.#target ??= this.text.slice(this.targetStart, this.targetEnd);
    return this.#target;
  }

  get count(): number {
    return this.#spans.length / SPANS;
  }

  get(name: string): string | undefined {
    const lowerName = name.toLowerCase();
    let joined: string | undefined;
    for (let index = 0; index < this.count; index += 1) {
      if (!this.isNamed(index, lowerName)) continue;
      const value = this.valueAt(index);
      joined = joined === undefined ? value : `${joined}${lowerName === 'cookie' ? '; ' : ', '}${value}`;
    }
    return joined;
  }

  getAll(name: string): string[] {
    const lowerName = name.toLowerCase();
    const values: string[] = [];
    for (let index = 0; index < this.count; index += 1) {
      if (this.isNamed(index, lowerName)) values.push(this.valueAt(index));
    }
    return values;
  }

  has(name: string): boolean {
    const lowerName = name.toLowerCase();
    for (let index = 0; index < this.count; index += 1) if (this.isNamed(index, lowerName)) return true;
    return false;
  }

  *[Symbol.iterator](): Generator<readonly [name: string, value: string]> {
    for (let index = 0; index < this.count; index += 1) yield [this.nameAt(index), this.valueAt(index)];
  }

  nameAt(index: number): string {
    return this.text.slice(this.#at(index, NAME_START), this.#at(index, NAME_END));
  }

  /** Without blanks at its ends. */
  valueAt(index: number): string {
    const start = this.#at(index, VALUE_START);
    let end = this.#at(index, VALUE_END);
    while (end > start && isBlank(this.text, end - 1, end)) end -= 1; // llhttp leaves those behind to us
    return this.text.slice(start, end);
  }

  /** Where the line begins. */
  startAt(index: number): number {
    return this.#at(index, NAME_START);
  }

  /** Characters of the name. */
  nameLengthAt(index: number): number {
    return this.#at(index, NAME_END) - this.#at(index, NAME_START);
  }

  isNamed(index: number, lowerName: string): boolean {
    return this.nameLengthAt(index) === lowerName.length && this.nameAt(index).toLowerCase() === lowerName;
  }

  /** Whether this line is `name: value CRLF` to the letter, with the next line right behind it. */
  isWellFormedAt(index: number): boolean {
    const { text } = this;
    const nameEnd = this.#at(index, NAME_END);
    const lineEnd = index + 1 < this.count ? this.#at(index + 1, NAME_START) : text.length - 2;
    if (text.charCodeAt(nameEnd) !== COLON || !isLineEnd(text, lineEnd - 2)) return false;
    const valueStart = this.#at(index, VALUE_START);
    const valueEnd = this.#at(index, VALUE_END);
    // Where a value is empty llhttp says that it lies behind the line.
    if (valueStart === valueEnd) return isBlank(text, nameEnd + 1, lineEnd - 2);
    return isBlank(text, nameEnd + 1, valueStart) && isBlank(text, valueEnd, lineEnd - 2);
  }

  #at(index: number, span: number): number {
    return this.#spans[index * SPANS + span]!; // in range: whoever asks counted
  }
}

const COLON = 0x3a;
const SPACE = 0x20;
const TAB = 0x09;
const CARRIAGE_RETURN = 0x0d;
const LINE_FEED = 0x0a;

export function isLineEnd(text: string, position: number): boolean {
  return text.charCodeAt(position) === CARRIAGE_RETURN && text.charCodeAt(position + 1) === LINE_FEED;
}

function isBlank(text: string, start: number, end: number): boolean {
  for (let position = start; position < end; position += 1) {
    const character = text.charCodeAt(position);
    if (character !== SPACE && character !== TAB) return false;
  }
  return start <= end;
}
