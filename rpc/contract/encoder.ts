// Writes the JavaScript that encodes one message type: a straight line of checks and writes, field by field.
// Every value is checked where it is written, so that nothing of a wrong type ever reaches the wire, and the check costs
// a comparison. compiled-type.ts makes it into a function.

import type { FieldSchema, MessageSchema, OneofSchema, ScalarType, ValueSchema } from './schema.js';

export interface TypeSource {
  /** A function body that returns the function. */
  readonly source: string;
  /** The message types it calls, by their place in `types`. */
  readonly types: readonly MessageSchema[];
}

const WIRE_VARINT = 0;
const WIRE_64 = 1;
const WIRE_BYTES = 2;
const WIRE_GROUP = 3;
const WIRE_GROUP_END = 4;
const WIRE_32 = 5;

/** A list of these may be a typed array. */
const NUMERIC: ReadonlySet<ScalarType> = new Set<ScalarType>([
  'double',
  'float',
  'int32',
  'uint32',
  'sint32',
  'fixed32',
  'sfixed32',
  'int64',
  'uint64',
  'sint64',
  'fixed64',
  'sfixed64',
]);

export function wireTypeOf(value: ValueSchema): number {
  if (value.kind === 'enum') return WIRE_VARINT;
  if (value.kind === 'message') return value.isDelimited ? WIRE_GROUP : WIRE_BYTES;
  switch (value.type) {
    case 'double':
    case 'fixed64':
    case 'sfixed64':
      return WIRE_64;
    case 'float':
    case 'fixed32':
    case 'sfixed32':
      return WIRE_32;
    case 'string':
    case 'bytes':
      return WIRE_BYTES;
    default:
      return WIRE_VARINT;
  }
}

export function encoderSource(schema: MessageSchema): TypeSource {
  const writer = new EncoderWriter(schema);
  return { source: writer.write(), types: writer.types };
}

class EncoderWriter {
  readonly types: MessageSchema[] = [];
  readonly #schema: MessageSchema;
  readonly #lines: string[] = [];

  constructor(schema: MessageSchema) {
    this.#schema = schema;
  }

  write(): string {
    const { fields, oneofs } = this.#schema;
    for (const [index] of oneofs.entries()) this.#add(`let o${index} = '';`);
    // In the order of their numbers, as other implementations write them.
    const ordered = [...fields.entries()].toSorted(([, a], [, b]) => a.number - b.number);
    for (const [index, field] of ordered) this.#field(index, field);
    return [
      'const { at, bad, fail, tooDeep, isFiniteAsFloat, isList, MAX } = rt;',
      this.types.map((_, index) => `const t${index} = types[${index}];`).join(' '),
      'return function encode(w, m, depth) {',
      "if (typeof m !== 'object' || m === null || Array.isArray(m)) bad('', 'an object', m);",
      'if (depth > MAX) throw tooDeep();',
      ...this.#lines,
      '};',
    ].join('\n');
  }

  #add(line: string): void {
    this.#lines.push(line);
  }

  #field(index: number, field: FieldSchema): void {
    const v = `v${index}`;
    const name = JSON.stringify(field.localName);
    this.#add(`const ${v} = ${propertyOf('m', field)};`);
    const isThere = `${v} !== undefined && ${v} !== null`;
    if (field.shape === 'map') this.#map(index, field, v, isThere);
    else if (field.shape === 'list') this.#list(index, field, v, isThere);
    else {
      this.#add(`if (${isThere}) {`);
      if (field.oneof !== null) this.#oneof(field, field.oneof);
      this.#check(index, field.value, v, name);
      const condition = field.presence === 'implicit' ? notDefault(field.value, v) : null;
      if (condition !== null) this.#add(`if (${condition}) {`);
      this.#tag(field.number, wireTypeOf(field.value));
      this.#value(field.value, v, name, name, field.number);
      if (condition !== null) this.#add('}');
      this.#add(field.presence === 'required' ? `} else fail(${name}, 'missing');` : '}');
    }
  }

  #oneof(field: FieldSchema, oneof: OneofSchema): void {
    const set = `o${this.#schema.oneofs.indexOf(oneof)}`;
    const name = JSON.stringify(field.localName);
    this.#add(
      `if (${set} !== '') fail(${name}, ${JSON.stringify(`at most one field of ${oneof.name} may be set, and there is also `)} + ${set});`,
    );
    this.#add(`${set} = ${name};`);
  }

  #list(index: number, field: FieldSchema & { shape: 'list' }, v: string, isThere: string): void {
    const name = JSON.stringify(field.localName);
    const { value } = field;
    const mayBeTyped = value.kind === 'scalar' && NUMERIC.has(value.type);
    this.#add(`if (${isThere}) {`);
    this.#add(`if (!${mayBeTyped ? 'isList' : 'Array.isArray'}(${v})) bad(${name}, 'an array', ${v});`);
    const item = `x${index}`;
    const path = `${name} + '[' + i + ']'`;
    const loop = `for (let i = 0, n = ${v}.length; i < n; i += 1) { const ${item} = ${v}[i];`;
    if (field.isPacked) {
      this.#add(`if (${v}.length > 0) {`);
      this.#tag(field.number, WIRE_BYTES);
      this.#add('const start = w.fork();');
      this.#add(loop);
      this.#check(index, value, item, path);
      this.#value(value, item, path, name, field.number);
      this.#add('} w.join(start); }');
    } else {
      this.#add(loop);
      this.#check(index, value, item, path);
      this.#tag(field.number, wireTypeOf(value));
      this.#value(value, item, path, name, field.number);
      this.#add('}');
    }
    this.#add('}');
  }

  #map(index: number, field: FieldSchema & { shape: 'map' }, v: string, isThere: string): void {
    const name = JSON.stringify(field.localName);
    const item = `x${index}`;
    const path = `${name} + '[' + JSON.stringify(k) + ']'`;
    this.#add(`if (${isThere}) {`);
    this.#add(
      `if (typeof ${v} !== 'object' || Array.isArray(${v}) || ${v} instanceof Map) bad(${name}, 'an object', ${v});`,
    );
    this.#add(`for (const k of Object.keys(${v})) { const ${item} = ${v}[k];`);
    this.#check(index, field.value, item, path);
    this.#tag(field.number, WIRE_BYTES);
    this.#add('const start = w.fork();');
    const key: ValueSchema = { kind: 'scalar', type: field.key };
    this.#tag(1, wireTypeOf(key));
    this.#add(keyCode(field.key, path));
    this.#tag(2, wireTypeOf(field.value));
    this.#value(field.value, item, path, name, 2);
    this.#add('w.join(start); }');
    this.#add('}');
  }

  /** Fails unless `v` is of the type. Ranges of 64-bit integers are checked by the writer. */
  #check(index: number, value: ValueSchema, v: string, path: string): void {
    if (value.kind === 'message') return; // its own encoder looks
    if (value.kind === 'enum') {
      this.#add(
        `if (typeof ${v} !== 'number' || (${v} | 0) !== ${v}) bad(${path}, 'a number of the enum', ${v});`,
      );
      if (value.type.isClosed) {
        const values = JSON.stringify(`a number of ${value.type.fullName}`);
        this.#add(`if (!enums[${index}].has(${v})) bad(${path}, ${values}, ${v});`);
      }
      return;
    }
    const check = (condition: string, expected: string): void =>
      this.#add(`if (${condition}) bad(${path}, ${JSON.stringify(expected)}, ${v});`);
    switch (value.type) {
      case 'string':
        return check(`typeof ${v} !== 'string'`, 'a string');
      case 'bytes':
        return check(`!(${v} instanceof Uint8Array)`, 'a Uint8Array');
      case 'bool':
        return check(`typeof ${v} !== 'boolean'`, 'a boolean');
      case 'double':
        return check(`typeof ${v} !== 'number'`, 'a number');
      case 'float':
        return check(`typeof ${v} !== 'number' || !isFiniteAsFloat(${v})`, 'a number within float');
      case 'int32':
      case 'sint32':
      case 'sfixed32':
        return check(`typeof ${v} !== 'number' || (${v} | 0) !== ${v}`, 'a 32-bit integer');
      case 'uint32':
      case 'fixed32':
        return check(`typeof ${v} !== 'number' || ${v} >>> 0 !== ${v}`, 'an unsigned 32-bit integer');
      default:
    }
  }

  #tag(number: number, wireType: number): void {
    const tag = ((number << 3) | wireType) >>> 0;
    this.#add(tag < 0x80 ? `w.byte(${tag});` : `w.tag(${tag});`);
  }

  #value(value: ValueSchema, v: string, path: string, name: string, number: number): void {
    switch (value.kind) {
      case 'enum':
        this.#add(`w.int32(${v});`);
        break;
      case 'scalar':
        this.#add(scalarCode(value.type, v, name));
        break;
      case 'message': {
        const type = this.#typeIndex(value.type);
        const call = `try { t${type}.encode(w, ${v}, depth + 1); } catch (e) { throw at(e, ${path}); }`;
        if (value.isDelimited) {
          this.#add('w.room();'); // tags alone, group in group, would use it up
          this.#add(call);
          this.#tag(number, WIRE_GROUP_END);
          this.#add('w.room();');
        } else this.#add(`{ const inner = w.fork(); ${call} w.join(inner); }`);
        break;
      }
      default:
        value satisfies never;
    }
  }

  #typeIndex(type: MessageSchema): number {
    const known = this.types.indexOf(type);
    return known >= 0 ? known : this.types.push(type) - 1;
  }
}

/** The property of a message, and not what every object inherits: a field may be called `constructor`. */
export function propertyOf(object: string, { localName }: FieldSchema): string {
  const name = JSON.stringify(localName);
  const property = `${object}[${name}]`;
  return localName in Object.prototype
    ? `(Object.hasOwn(${object}, ${name}) ? ${property} : undefined)`
    : property;
}

function scalarCode(type: ScalarType, v: string, name: string): string {
  switch (type) {
    case 'sfixed32':
      return `w.fixed32(${v});`;
    case 'string':
    case 'int64':
    case 'uint64':
    case 'sint64':
    case 'fixed64':
    case 'sfixed64':
      return `w.${type}(${v}, ${name});`;
    default:
      return `w.${type}(${v});`;
  }
}

/** Keys of objects are text; the wire has numbers and booleans. */
function keyCode(type: ScalarType, path: string): string {
  switch (type) {
    case 'string':
      return `w.string(k, ${path});`;
    case 'bool':
      return `if (k !== 'true' && k !== 'false') bad(${path}, 'true or false as key', k); w.bool(k === 'true');`;
    case 'int64':
    case 'uint64':
    case 'sint64':
    case 'fixed64':
    case 'sfixed64':
      return `w.${type}(k, ${path});`;
    case 'uint32':
    case 'fixed32':
      return `{ const key = Number(k); if (String(key >>> 0) !== k) bad(${path}, 'an unsigned 32-bit integer as key', k); w.${type}(key); }`;
    default:
      return `{ const key = Number(k); if (String(key | 0) !== k) bad(${path}, 'a 32-bit integer as key', k); w.${type === 'sfixed32' ? 'fixed32' : type}(key); }`;
  }
}

function notDefault(value: ValueSchema, v: string): string | null {
  if (value.kind === 'message') return null;
  if (value.kind === 'enum') return `${v} !== 0`;
  switch (value.type) {
    case 'string':
      return `${v} !== ''`;
    case 'bytes':
      return `${v}.length > 0`;
    case 'bool':
      return v;
    case 'double':
    case 'float':
      return `${v} !== 0 || 1 / ${v} < 0`; // minus zero is not the default
    case 'int64':
    case 'uint64':
    case 'sint64':
    case 'fixed64':
    case 'sfixed64':
      return `${v} !== 0n && ${v} !== 0 && ${v} !== '0'`;
    default:
      return `${v} !== 0`;
  }
}
