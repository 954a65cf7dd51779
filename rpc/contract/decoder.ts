// Writes the JavaScript that decodes one message type into a plain object: fields gather in local variables, and the
// object is made once, so that all objects of a type have one shape. compiled-type.ts makes it into a function.
// What is not on the wire: '' 0 false 0n, empty bytes, [] and {} for fields with a default; no property at all for the rest.

import { propertyOf, type TypeSource, wireTypeOf } from './encoder.js';
import type { FieldSchema, Int64Mode, MessageSchema, ScalarType, ValueSchema } from './schema.js';
import { isLong } from './schema.js';

const WIRE_BYTES = 2;

export function decoderSource(schema: MessageSchema, int64: Int64Mode): TypeSource {
  const writer = new DecoderWriter(schema, int64);
  return { source: writer.write(), types: writer.types };
}

class DecoderWriter {
  readonly types: MessageSchema[] = [];
  readonly #schema: MessageSchema;
  readonly #int64: Int64Mode;
  readonly #cases: string[] = [];

  constructor(schema: MessageSchema, int64: Int64Mode) {
    this.#schema = schema;
    this.#int64 = int64;
  }

  write(): string {
    const fields = [...this.#schema.fields.entries()];
    for (const [index, field] of fields) this.#field(index, field);
    const always = fields.filter(([, field]) => isAlwaysThere(field));
    const sometimes = fields.filter(([, field]) => !isAlwaysThere(field));
    const name = (field: FieldSchema): string => JSON.stringify(field.localName);
    return [
      'const { at, fail, tooDeep, put, MAX } = rt;',
      this.types.map((_, index) => `const t${index} = types[${index}];`).join(' '),
      'return function decode(r, depth, into) {',
      'if (depth > MAX) throw tooDeep();',
      ...fields.map(([index, field]) => `let f${index} = ${this.#initial(field)};`),
      'if (into !== undefined) {',
      ...fields.map(([index, field]) => `f${index} = ${propertyOf('into', field)};`),
      '}',
      'while (r.pos < r.end) {',
      'const tag = r.tag();',
      'switch (tag) {',
      ...this.#cases,
      '}',
      'r.skip(tag, depth);',
      '}',
      ...fields.flatMap(([index, field]) =>
        field.shape === 'singular' && field.presence === 'required'
          ? [`if (f${index} === undefined) fail(${name(field)}, 'missing');`]
          : [],
      ),
      `const m = { ${always.map(([index, field]) => `${name(field)}: f${index}`).join(', ')} };`,
      ...sometimes.map(([index, field]) => `if (f${index} !== undefined) m[${name(field)}] = f${index};`),
      'return m;',
      '};',
    ].join('\n');
  }

  #field(index: number, field: FieldSchema): void {
    const f = `f${index}`;
    const { value } = field;
    if (field.shape === 'map') {
      this.#case(field.number, WIRE_BYTES, this.#mapEntry(index, field));
      return;
    }
    const path = this.#pathOf(index, field);
    if (field.shape === 'list') {
      const push = this.#read(index, value, 'undefined', path, field.number, (x) => `${f}.push(${x});`);
      this.#case(field.number, wireTypeOf(value), push);
      if (value.kind === 'enum' || (value.kind === 'scalar' && wireTypeOf(value) !== WIRE_BYTES)) {
        const loop = `while (r.pos < r.end) { ${push} }`;
        this.#case(field.number, WIRE_BYTES, `const outer = r.enter(); ${loop} r.leave(outer);`);
      }
      return;
    }
    // The last of a oneof wins, also against itself where it is a message that another came between.
    const others = (field.oneof?.fields ?? [])
      .filter((other) => other !== field)
      .map((other) => `f${this.#schema.fields.indexOf(other)} = undefined;`)
      .join(' ');
    const read = this.#read(index, value, f, path, field.number, (x) => `${f} = ${x}; ${others}`);
    this.#case(field.number, wireTypeOf(value), read);
  }

  #case(number: number, wireType: number, code: string): void {
    this.#cases.push(`case ${((number << 3) | wireType) >>> 0}: { ${code} continue; }`);
  }

  /** Statements that read one value and use it. Numbers that a closed enum does not have are dropped, as if unknown. */
  #read(
    index: number,
    value: ValueSchema,
    into: string,
    path: string,
    number: number,
    use: (x: string) => string,
  ): string {
    switch (value.kind) {
      case 'scalar':
        return use(this.#readScalar(value.type));
      case 'enum':
        return value.type.isClosed
          ? `const x = r.int32(); if (enums[${index}].has(x)) { ${use('x')} }`
          : use('r.int32()');
      case 'message': {
        const type = `t${this.#typeIndex(value.type)}`;
        const enter = value.isDelimited ? `enterGroup(${number}, depth)` : 'enter()';
        const leave = value.isDelimited ? 'leaveGroup' : 'leave';
        return [
          'let y; try {',
          `const around = r.${enter}; y = ${type}.decode(r, depth + 1, ${into}); r.${leave}(around);`,
          `} catch (e) { throw at(e, ${path}); }`,
          use('y'),
        ].join(' ');
      }
      default:
        return value satisfies never;
    }
  }

  #readScalar(type: ScalarType): string {
    return this.#int64 === 'string' && isLong(type) ? `r.${type}().toString()` : `r.${type}()`;
  }

  #mapEntry(index: number, field: FieldSchema & { shape: 'map' }): string {
    const { key, value } = field;
    const keyTag = (1 << 3) | wireTypeOf({ kind: 'scalar', type: key });
    const valueTag = (2 << 3) | wireTypeOf(value);
    const keyDefault = key === 'string' ? "''" : key === 'bool' ? "'false'" : "'0'";
    const keyRead = key === 'string' ? 'r.string()' : `String(r.${key}())`;
    const path = this.#pathOf(index, field);
    const initial = value.kind === 'message' ? 'undefined' : this.#defaultOf(value);
    // An entry without a value means an empty message.
    const empty =
      value.kind === 'message'
        ? `if (x === undefined) try { x = t${this.#typeIndex(value.type)}.decode(r, depth + 1, undefined); } catch (e) { throw at(e, ${path}); }`
        : '';
    const isClosed = value.kind === 'enum' && value.type.isClosed;
    const put = `put(f${index}, k, x);`;
    const open: ValueSchema = value.kind === 'enum' ? { kind: 'scalar', type: 'int32' } : value;
    return [
      `const outer = r.enter(); let k = ${keyDefault}; let x = ${initial};`,
      'while (r.pos < r.end) { const tag = r.tag();',
      `if (tag === ${keyTag}) k = ${keyRead};`,
      `else if (tag === ${valueTag}) { ${this.#read(index, open, 'x', path, 2, (y) => `x = ${y};`)} }`,
      'else r.skip(tag, depth); }',
      `${empty} r.leave(outer);`,
      isClosed ? `if (enums[${index}].has(x)) ${put}` : put,
    ].join(' ');
  }

  #pathOf(index: number, field: FieldSchema): string {
    const name = JSON.stringify(field.localName);
    if (field.shape === 'list') return `${name} + '[' + f${index}.length + ']'`;
    return field.shape === 'map' ? `${name} + '[' + JSON.stringify(k) + ']'` : name;
  }

  #initial(field: FieldSchema): string {
    if (field.shape === 'list') return '[]';
    if (field.shape === 'map') return '{}';
    return field.presence === 'implicit' ? this.#defaultOf(field.value) : 'undefined';
  }

  #defaultOf(value: ValueSchema): string {
    if (value.kind === 'enum') return String(value.type.values[0]!.number);
    if (value.kind === 'message') return 'undefined';
    if (isLong(value.type)) return this.#int64 === 'string' ? "'0'" : '0n';
    switch (value.type) {
      case 'string':
        return "''";
      case 'bytes':
        return 'new Uint8Array(0)';
      case 'bool':
        return 'false';
      default:
        return '0';
    }
  }

  #typeIndex(type: MessageSchema): number {
    const known = this.types.indexOf(type);
    return known >= 0 ? known : this.types.push(type) - 1;
  }
}

export function isAlwaysThere(field: FieldSchema): boolean {
  return field.shape !== 'singular' || field.presence !== 'explicit';
}
