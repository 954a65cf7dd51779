// Writes replies as RESP2 or RESP3 and gathers those of one turn, so that they leave in one piece.
// resp-client.ts owns one per connection; the bytes go to a ReplySink, which is the connection.
// Text is gathered as a string with one character per byte: joining strings costs less than a call per value.

import {
  BooleanReply,
  DoubleReply,
  ErrorReply,
  MapReply,
  NativeReply,
  NilArray,
  PairsReply,
  type Reply,
  SetReply,
  StatusReply,
  VerbatimReply,
} from '../machine/reply.js';

/** Where encoded replies go; what it does with them when it is full or closed is its own business. */
export interface ReplySink {
  writeText(text: string, bytes: number, encoding: 'latin1'): unknown;
  write(bytes: Uint8Array): unknown;
}

/** More than this is handed on before the turn ends, so that a long answer is not held twice. */
const GATHERED_BYTES_MAX = 64 * 1024;
/** A value of this size is handed on by itself rather than joined. */
const LONG_VALUE_BYTES = 16 * 1024;

export class ReplyWriter {
  /** As HELLO says. */
  protocol: 2 | 3 = 2;
  /** CLIENT REPLY OFF: nothing is said. */
  isMuted = false;
  readonly #sink: ReplySink;
  #text = '';

  constructor(sink: ReplySink) {
    this.#sink = sink;
  }

  /** Encodes one reply behind those gathered so far. */
  add(reply: Reply): void {
    if (this.isMuted) return;
    this.#value(reply);
    if (this.#text.length >= GATHERED_BYTES_MAX) this.flush();
  }

  /** A message nobody asked for: a push in RESP3, an array in RESP2. Not muted, as in Redis. */
  addPush(items: readonly Reply[]): void {
    this.#text += `${this.protocol === 3 ? '>' : '*'}${items.length}\r\n`;
    for (const item of items) this.#value(item);
    if (this.#text.length >= GATHERED_BYTES_MAX) this.flush();
  }

  /** Hands on what was gathered. */
  flush(): void {
    const text = this.#text;
    if (text === '') return;
    this.#text = '';
    this.#sink.writeText(text, text.length, 'latin1');
  }

  #value(reply: Reply): void {
    if (typeof reply === 'string') this.#bulk(reply);
    else if (typeof reply === 'number' || typeof reply === 'bigint') this.#text += `:${reply}\r\n`;
    else if (reply === null) this.#text += this.protocol === 3 ? '_\r\n' : '$-1\r\n';
    else if (reply instanceof StatusReply) this.#text += `+${reply.text}\r\n`;
    else if (Array.isArray(reply)) this.#list('*', reply as readonly Reply[]);
    else
      this.#rare(reply as Exclude<Reply, null | number | bigint | string | readonly Reply[] | StatusReply>);
  }

  #rare(reply: Exclude<Reply, null | number | bigint | string | readonly Reply[] | StatusReply>): void {
    const isThree = this.protocol === 3;
    if (reply instanceof ErrorReply) this.#text += `-${oneLine(reply.text)}\r\n`;
    else if (reply instanceof Uint8Array) this.#buffer(reply);
    else if (reply instanceof NilArray) this.#text += isThree ? '_\r\n' : '*-1\r\n';
    else if (reply instanceof SetReply) this.#list(isThree ? '~' : '*', reply.items);
    else if (reply instanceof DoubleReply) this.#double(reply.value);
    else if (reply instanceof MapReply) {
      if (isThree) this.#list('%', reply.flat, reply.flat.length / 2);
      else this.#list('*', reply.flat);
    } else if (reply instanceof PairsReply) {
      this.#pairs(reply);
    } else if (reply instanceof BooleanReply) {
      if (isThree) this.#text += reply.value ? '#t\r\n' : '#f\r\n';
      else this.#text += reply.value ? ':1\r\n' : ':0\r\n';
    } else if (reply instanceof VerbatimReply) {
      if (isThree) this.#text += `=${reply.text.length + 4}\r\n${reply.format}:${reply.text}\r\n`;
      else this.#bulk(reply.text);
    } else if (reply instanceof NativeReply) {
      this.#text += '-ERR the answer of a native command has no form in this protocol\r\n';
    } else {
      reply satisfies never;
    }
  }

  #list(mark: string, items: readonly Reply[], count: number = items.length): void {
    this.#text += `${mark}${count}\r\n`;
    for (const item of items) {
      this.#value(item);
      if (this.#text.length >= GATHERED_BYTES_MAX) this.flush();
    }
  }

  #pairs({ flat, form }: PairsReply): void {
    const isThree = this.protocol === 3;
    if (form === 'map' && isThree) {
      this.#list('%', flat, flat.length / 2);
    } else if (form === 'pairs' && !isThree) {
      this.#list('*', flat);
    } else {
      this.#text += `*${flat.length / 2}\r\n`;
      for (let index = 0; index < flat.length; index += 2) {
        this.#list('*', [flat[index]!, flat[index + 1]!]);
      }
    }
  }

  #bulk(text: string): void {
    if (text.length < LONG_VALUE_BYTES) {
      this.#text += `$${text.length}\r\n${text}\r\n`;
      return;
    }
    this.#text += `$${text.length}\r\n`;
    this.flush();
    this.#sink.writeText(text, text.length, 'latin1');
    this.#text = '\r\n';
  }

  #buffer(bytes: Buffer): void {
    this.#text += `$${bytes.length}\r\n`;
    this.flush();
    this.#sink.write(bytes);
    this.#text = '\r\n';
  }

  #double(value: number): void {
    const text = doubleText(value);
    if (this.protocol === 3) this.#text += `,${text}\r\n`;
    else this.#bulk(text);
  }
}

/** As Redis prints scores: the shortest digits that bring the number back, exponents as C has them. */
export function doubleText(value: number): string {
  if (value === Infinity) return 'inf';
  if (value === -Infinity) return '-inf';
  if (Number.isNaN(value)) return 'nan';
  if (Object.is(value, -0)) return '-0';
  const text = String(value);
  const exponent = /e([+-])(\d)$/.exec(text);
  return exponent === null ? text : `${text.slice(0, -1)}0${exponent[2]}`;
}

/** An error is one line, whatever it quotes. */
function oneLine(text: string): string {
  return /[\r\n]/.test(text) ? text.replaceAll(/[\r\n]/g, ' ') : text;
}
