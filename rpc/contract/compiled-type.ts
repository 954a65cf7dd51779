// One message type as compiled code. encoder.ts and decoder.ts write the JavaScript; here it is made into functions, the
// first time it is wanted, so that a large .proto costs only what is used of it.
// Names from descriptors enter the code as JSON strings only, numbers as checked integers: see schema-builder.ts.

import { decoderSource } from './decoder.js';
import { encoderSource } from './encoder.js';
import { at, describe, FieldError } from './field-error.js';
import { type Int64Mode, MESSAGE_DEPTH_MAX, type MessageSchema } from './schema.js';
import { tooDeep, type WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

export type Encode = (writer: WireWriter, message: unknown, depth: number) => void;
export type Decode = (reader: WireReader, depth: number, into: unknown) => unknown;

/** What compiled code may use beside its writer or reader. */
const RUNTIME = {
  MAX: MESSAGE_DEPTH_MAX,
  at,
  tooDeep,
  bad(path: string, expected: string, value: unknown): never {
    throw new FieldError(path, `expected ${expected}, got ${describe(value)}`);
  },
  fail(path: string, reason: string): never {
    throw new FieldError(path, reason);
  },
  isFiniteAsFloat: (value: number): boolean => Number.isFinite(Math.fround(value)) || !Number.isFinite(value),
  /** A list of numbers may come as a typed array. */
  isList: (value: unknown): boolean =>
    Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView)),
  /** A plain property even where the key is `__proto__`. */
  put(target: Record<string, unknown>, key: string, value: unknown): void {
    if (key === '__proto__') {
      Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
    } else target[key] = value;
  },
};

export class CompiledType {
  readonly schema: MessageSchema;
  encode: Encode;
  decode: Decode;

  constructor(schema: MessageSchema, family: TypeFamily) {
    this.schema = schema;
    this.encode = (writer, message, depth) => {
      const { source, types } = encoderSource(schema);
      this.encode = compile(source, types.map(family.of), schema) as Encode; // what encoder.ts writes
      this.encode(writer, message, depth);
    };
    this.decode = (reader, depth, into) => {
      const { source, types } = decoderSource(schema, family.int64);
      this.decode = compile(source, types.map(family.of), schema) as Decode; // what decoder.ts writes
      return this.decode(reader, depth, into);
    };
  }
}

/** The compiled types of one package, one for each schema. */
export class TypeFamily {
  readonly int64: Int64Mode;
  readonly #types = new Map<MessageSchema, CompiledType>();

  constructor(int64: Int64Mode) {
    this.int64 = int64;
  }

  readonly of = (schema: MessageSchema): CompiledType => {
    let type = this.#types.get(schema);
    if (type === undefined) {
      type = new CompiledType(schema, this);
      this.#types.set(schema, type);
    }
    return type;
  };
}

function compile(source: string, types: readonly CompiledType[], schema: MessageSchema): unknown {
  const enums = schema.fields.map(({ value }) => (value.kind === 'enum' ? value.type.nameOf : null));
  // Compiling is the point: a loop over fields would be several times slower. What goes in is in the file's header.
  // oxlint-disable-next-line typescript/no-implied-eval
  const make = new Function('rt', 'types', 'enums', `'use strict';\n${source}`) as (
    runtime: typeof RUNTIME,
    types: readonly CompiledType[],
    enums: readonly (ReadonlyMap<number, string> | null)[],
  ) => unknown;
  return make(RUNTIME, types, enums);
}
