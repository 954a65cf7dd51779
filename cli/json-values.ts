// Cuts text that comes in pieces into JSON values that stand one after the other, with or without white space between.
// A value is handed out as soon as it is complete, so that a request goes out when its line was typed.
// rpc-request-data.ts feeds it. Pure. Only where values end is decided here; JSON.parse judges what is inside.

/** The text is no sequence of JSON values. */
export class JsonTextError extends Error {
  override readonly name = 'JsonTextError';
}

/** One value may be this long: far above what a message may be. */
export const JSON_VALUE_CHARS_MAX: number = 256 * 1024 ** 2;

const SPACE = /[ \t\r\n]/;
/** RFC 7464 separates values by this one; a byte order mark some editors leave. */
const SKIPPED = new Set(['\u001e', '\ufeff']);

export class JsonValues {
  readonly #charsMax: number;
  /** The value that is not complete yet, without its last piece; several pieces, joined at its end. */
  #pieces: string[] = [];
  #chars = 0;
  #depth = 0;
  #state: 'between' | 'inside' | 'string' | 'escape' | 'bare' = 'between';
  #line = 1;
  /** Where the value begins. */
  #startLine = 1;

  constructor(charsMax: number = JSON_VALUE_CHARS_MAX) {
    this.#charsMax = charsMax;
  }

  /** @returns the values that `text` completes. @throws JsonTextError naming the line */
  feed(text: string): unknown[] {
    const values: unknown[] = [];
    let start = 0;
    for (let index = 0; index < text.length; index += 1) {
      const char = text[index]!;
      if (char === '\n') this.#line += 1;
      if (this.#state === 'between') {
        if (SPACE.test(char) || SKIPPED.has(char)) continue;
        start = index;
        this.#startLine = this.#line;
        this.#begin(char);
      } else if (this.#state === 'bare' && (SPACE.test(char) || '{["'.includes(char))) {
        values.push(this.#complete(text.slice(start, index)));
        index -= 1; // looked at again, between values
        if (char === '\n') this.#line -= 1;
      } else if (this.#step(char)) {
        values.push(this.#complete(text.slice(start, index + 1)));
      }
    }
    if (this.#state !== 'between') this.#keep(text.slice(start));
    return values;
  }

  /** There is no more. @returns the last value, if only the end completes it. @throws JsonTextError */
  end(): unknown[] {
    if (this.#state === 'between') return [];
    return [this.#complete('')];
  }

  #begin(char: string): void {
    this.#depth = 0;
    if (char === '"') this.#state = 'string';
    else if (char === '{' || char === '[') {
      this.#state = 'inside';
      this.#depth = 1;
    } else this.#state = 'bare';
  }

  /** @returns whether `char` is the last one of the value */
  #step(char: string): boolean {
    switch (this.#state) {
      case 'escape':
        this.#state = 'string';
        return false;
      case 'string':
        if (char === '\\') this.#state = 'escape';
        if (char !== '"') return false;
        this.#state = 'inside';
        return this.#depth === 0;
      case 'inside':
        if (char === '"') this.#state = 'string';
        else if (char === '{' || char === '[') this.#depth += 1;
        else if (char === '}' || char === ']') this.#depth -= 1;
        return this.#depth === 0;
      default:
        return false;
    }
  }

  #keep(piece: string): void {
    this.#chars += piece.length;
    if (this.#chars > this.#charsMax)
      throw new JsonTextError(`line ${this.#startLine}: a value is longer than ${this.#charsMax} characters`);
    this.#pieces.push(piece);
  }

  #complete(lastPiece: string): unknown {
    this.#keep(lastPiece);
    const text = this.#pieces.join('');
    this.#pieces = [];
    this.#chars = 0;
    this.#state = 'between';
    try {
      return JSON.parse(text) as unknown;
    } catch (error) {
      const reason = error instanceof Error ? error.message.split('\n', 1)[0]! : String(error);
      throw new JsonTextError(`line ${this.#startLine}: no JSON value: ${reason}`);
    }
  }
}
