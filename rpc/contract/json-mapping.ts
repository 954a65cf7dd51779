// proto3's JSON mapping, both ways: what the JSON serializer, the tools and the HTTP side speak.
// Output is canonical: lowerCamelCase (json_name), enums by name, 64-bit integers as text, bytes as base64, fields with
// their default left out. Input also takes the names of the .proto, numbers of enums, and base64url; names it does not
// know are refused unless the caller says otherwise.

import { at, describe, FieldError } from './field-error.js';
import { wellKnownFromJson, wellKnownToJson } from './json-well-known.js';
import {
  type EnumSchema,
  type FieldSchema,
  type Int64Mode,
  isLong,
  MESSAGE_DEPTH_MAX,
  type MessageSchema,
  type ScalarType,
  type ValueSchema,
} from './schema.js';
import { tooDeep } from './wire-reader.js';
import { toLong } from './wire-writer.js';

export interface JsonContext {
  readonly int64: Int64Mode;
  /** Default false: a name that the type does not have is an error. */
  readonly ignoreUnknown: boolean;
  /** For google.protobuf.Any. */
  messageSchema(fullName: string): MessageSchema | undefined;
  encode(schema: MessageSchema, message: unknown): Uint8Array;
  decode(schema: MessageSchema, bytes: Uint8Array): unknown;
}

export type Message = Record<string, unknown>;

const SIGNED: ReadonlySet<ScalarType> = new Set(['int64', 'sint64', 'sfixed64']);
const INTEGER_TEXT = /^-?\d+(\.0*)?([eE][+]?\d+)?$/;
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/** @throws FieldError */
export function messageToJson(
  schema: MessageSchema,
  message: unknown,
  context: JsonContext,
  depth = 0,
): unknown {
  if (depth > MESSAGE_DEPTH_MAX) throw tooDeep();
  if (!isObject(message)) throw new FieldError('', `expected an object, got ${describe(message)}`);
  const special = wellKnownToJson(schema, message, context, depth);
  if (special !== undefined) return special;
  const json: Message = {};
  for (const field of schema.fields) {
    const value = propertyOf(message, field.localName);
    if (value === undefined || value === null) {
      if (field.shape === 'singular' && field.presence === 'required')
        throw new FieldError(field.localName, 'missing');
      continue;
    }
    if (field.shape === 'singular' && field.oneof !== null) refuseSecond(field, field.oneof.fields, message);
    const written = fieldToJson(field, value, context, depth);
    if (written !== undefined) put(json, field.jsonName, written);
  }
  return json;
}

function fieldToJson(field: FieldSchema, value: unknown, context: JsonContext, depth: number): unknown {
  const name = field.localName;
  if (field.shape === 'list') {
    if (!Array.isArray(value) && !(ArrayBuffer.isView(value) && !(value instanceof DataView)))
      throw new FieldError(name, `expected an array, got ${describe(value)}`);
    const items = Array.from(value as ArrayLike<unknown>); // either kind has a length and indices
    if (items.length === 0) return undefined;
    return items.map((item, index) => valueToJson(field.value, item, context, depth, `${name}[${index}]`));
  }
  if (field.shape === 'map') {
    if (!isObject(value)) throw new FieldError(name, `expected an object, got ${describe(value)}`);
    const entries = Object.entries(value);
    if (entries.length === 0) return undefined;
    const json: Message = {};
    for (const [key, item] of entries) {
      const path = `${name}[${JSON.stringify(key)}]`;
      checkKey(field.key, key, path);
      put(json, key, valueToJson(field.value, item, context, depth, path));
    }
    return json;
  }
  const json = valueToJson(field.value, value, context, depth, name);
  return field.presence === 'implicit' && isDefault(field.value, value) ? undefined : json;
}

function valueToJson(
  value: ValueSchema,
  item: unknown,
  context: JsonContext,
  depth: number,
  path: string,
): unknown {
  switch (value.kind) {
    case 'message':
      try {
        return messageToJson(value.type, item, context, depth + 1);
      } catch (error) {
        throw at(error, path);
      }
    case 'enum': {
      if (typeof item !== 'number' || (item | 0) !== item)
        throw new FieldError(path, `expected a number of the enum, got ${describe(item)}`);
      const name = value.type.nameOf.get(item);
      if (name === undefined && value.type.isClosed)
        throw new FieldError(path, `expected a number of ${value.type.fullName}, got ${item}`);
      if (value.type.fullName === 'google.protobuf.NullValue') return null;
      return name ?? item;
    }
    case 'scalar':
      return scalarToJson(value.type, item, path);
    default:
      return value satisfies never;
  }
}

function scalarToJson(type: ScalarType, item: unknown, path: string): unknown {
  if (isLong(type)) return toLong(item, SIGNED.has(type), path).toString();
  switch (type) {
    case 'string':
      if (typeof item !== 'string') throw wrong(path, 'a string', item);
      if (!(item as string & { isWellFormed(): boolean }).isWellFormed())
        throw new FieldError(path, 'expected Unicode text, got half of a surrogate pair');
      return item;
    case 'bytes':
      if (!(item instanceof Uint8Array)) throw wrong(path, 'a Uint8Array', item);
      return Buffer.from(item.buffer, item.byteOffset, item.length).toString('base64');
    case 'bool':
      if (typeof item !== 'boolean') throw wrong(path, 'a boolean', item);
      return item;
    case 'double':
    case 'float':
      return numberToJson(checkFloating(type, item, path));
    default:
      return checkInteger(type, item, path);
  }
}

function numberToJson(value: number): number | string {
  if (Object.is(value, -0)) return '-0'; // JSON.stringify would lose the sign
  return Number.isFinite(value) ? value : Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';
}

/**
 * A plain message as the decoder would make it.
 * @throws FieldError
 */
export function messageFromJson(
  schema: MessageSchema,
  json: unknown,
  context: JsonContext,
  depth = 0,
): unknown {
  if (depth > MESSAGE_DEPTH_MAX) throw tooDeep();
  const special = wellKnownFromJson(schema, json, context, depth);
  if (special !== undefined) return special;
  if (!isObject(json)) throw new FieldError('', `expected an object, got ${describe(json)}`);
  const found = new Map<FieldSchema, unknown>();
  for (const [key, value] of Object.entries(json)) {
    const field = fieldsByJsonName(schema).get(key);
    if (field === undefined) {
      if (context.ignoreUnknown) continue;
      throw new FieldError(key, `${schema.fullName} has no such field`);
    }
    if (found.has(field)) throw new FieldError(key, 'given twice, by both of its names');
    if (value === null && !takesNull(field)) continue;
    found.set(field, value);
  }
  const message: Message = {};
  for (const field of schema.fields) {
    const value = found.get(field);
    if (found.has(field)) {
      if (field.shape === 'singular' && field.oneof !== null) {
        const other = field.oneof.fields.find((each) => each !== field && found.has(each));
        if (other !== undefined) throw twoOfOneof(field, other);
      }
      message[field.localName] = fieldFromJson(field, value, context, depth);
    } else if (field.shape === 'list') message[field.localName] = [];
    else if (field.shape === 'map') message[field.localName] = {};
    else if (field.presence === 'required') throw new FieldError(field.localName, 'missing');
    else if (field.presence === 'implicit') message[field.localName] = defaultOf(field.value, context.int64);
  }
  return message;
}

function fieldFromJson(field: FieldSchema, json: unknown, context: JsonContext, depth: number): unknown {
  const name = field.localName;
  if (field.shape === 'list') {
    if (!Array.isArray(json)) throw wrong(name, 'an array', json);
    return json
      .map((item, index) => valueFromJson(field.value, item, context, depth, `${name}[${index}]`))
      .filter((item) => item !== SKIP);
  }
  if (field.shape === 'map') {
    if (!isObject(json)) throw wrong(name, 'an object', json);
    const map: Message = {};
    for (const [key, item] of Object.entries(json)) {
      const path = `${name}[${JSON.stringify(key)}]`;
      checkKey(field.key, key, path);
      const value = valueFromJson(field.value, item, context, depth, path);
      if (value !== SKIP) put(map, key, value);
    }
    return map;
  }
  const value = valueFromJson(field.value, json, context, depth, name);
  if (value !== SKIP) return value;
  return field.presence === 'implicit' ? defaultOf(field.value, context.int64) : undefined;
}

/** An enum's name from a newer .proto, where unknown things are ignored. */
const SKIP = Symbol('skip');

function valueFromJson(
  value: ValueSchema,
  json: unknown,
  context: JsonContext,
  depth: number,
  path: string,
): unknown {
  switch (value.kind) {
    case 'message':
      try {
        return messageFromJson(value.type, json, context, depth + 1);
      } catch (error) {
        throw at(error, path);
      }
    case 'enum':
      return enumFromJson(value.type, json, context, path);
    case 'scalar':
      return scalarFromJson(value.type, json, context.int64, path);
    default:
      return value satisfies never;
  }
}

function enumFromJson(type: EnumSchema, json: unknown, context: JsonContext, path: string): unknown {
  if (json === null && type.fullName === 'google.protobuf.NullValue') return 0;
  if (typeof json === 'string') {
    const number = type.numberOf.get(json);
    if (number !== undefined) return number;
    if (context.ignoreUnknown) return SKIP;
    throw new FieldError(path, `${type.fullName} has no value ${describe(json)}`);
  }
  if (typeof json !== 'number' || (json | 0) !== json) throw wrong(path, `a name of ${type.fullName}`, json);
  if (type.isClosed && !type.nameOf.has(json)) throw wrong(path, `a number of ${type.fullName}`, json);
  return json | 0;
}

function scalarFromJson(type: ScalarType, json: unknown, int64: Int64Mode, path: string): unknown {
  if (isLong(type)) {
    const text = typeof json === 'string' && INTEGER_TEXT.test(json) ? integerText(json) : json;
    const long = toLong(text, SIGNED.has(type), path);
    return int64 === 'string' ? long.toString() : long;
  }
  switch (type) {
    case 'string':
      if (typeof json !== 'string') throw wrong(path, 'a string', json);
      if (!(json as string & { isWellFormed(): boolean }).isWellFormed())
        throw new FieldError(path, 'expected Unicode text, got half of a surrogate pair');
      return json;
    case 'bytes':
      if (typeof json !== 'string' || !BASE64.test(json)) throw wrong(path, 'base64 text', json);
      return Uint8Array.from(Buffer.from(json, 'base64'));
    case 'bool':
      if (typeof json !== 'boolean') throw wrong(path, 'a boolean', json);
      return json;
    case 'double':
    case 'float':
      return checkFloating(type, typeof json === 'string' ? numberFromText(json, path) : json, path);
    default:
      return checkInteger(type, typeof json === 'string' ? numberFromText(json, path) : json, path);
  }
}

/** `1e3` and `1.0` are whole numbers too. */
function integerText(text: string): string | number {
  return /^-?\d+$/.test(text) ? text : Number(text);
}

function numberFromText(text: string, path: string): number {
  if (text === 'NaN' || text === 'Infinity' || text === '-Infinity') return Number(text);
  if (!/^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) throw wrong(path, 'a number', text);
  return Number(text);
}

function checkFloating(type: ScalarType, value: unknown, path: string): number {
  if (typeof value !== 'number') throw wrong(path, 'a number', value);
  if (type === 'float' && Number.isFinite(value) && !Number.isFinite(Math.fround(value)))
    throw wrong(path, 'a number within float', value);
  return value;
}

function checkInteger(type: ScalarType, value: unknown, path: string): number {
  const isUnsigned = type === 'uint32' || type === 'fixed32';
  const isRight = typeof value === 'number' && (isUnsigned ? value >>> 0 === value : (value | 0) === value);
  if (!isRight) throw wrong(path, isUnsigned ? 'an unsigned 32-bit integer' : 'a 32-bit integer', value);
  return value + 0; // never minus zero
}

function checkKey(type: ScalarType, key: string, path: string): void {
  if (type === 'string') return;
  if (type === 'bool') {
    if (key !== 'true' && key !== 'false') throw wrong(path, 'true or false as key', key);
  } else if (isLong(type)) toLong(key, SIGNED.has(type), path);
  else {
    const number = checkInteger(type, numberFromText(key, path), path);
    if (String(number) !== key) throw wrong(path, 'an integer as key', key);
  }
}

function refuseSecond(field: FieldSchema, fields: readonly FieldSchema[], message: Message): void {
  const other = fields.find(
    (each) => each !== field && (propertyOf(message, each.localName) ?? null) !== null,
  );
  if (other !== undefined) throw twoOfOneof(field, other);
}

function twoOfOneof(field: FieldSchema, other: FieldSchema): FieldError {
  const oneof = field.shape === 'singular' ? field.oneof?.name : '';
  return new FieldError(
    field.localName,
    `at most one field of ${oneof} may be set, and there is also ${other.localName}`,
  );
}

function isDefault(value: ValueSchema, item: unknown): boolean {
  if (value.kind !== 'scalar') return item === 0;
  if (isLong(value.type)) return toLong(item, SIGNED.has(value.type), '') === 0n;
  if (value.type === 'bytes') return (item as Uint8Array).length === 0; // checked before
  return item === '' || item === false || Object.is(item, 0);
}

export function defaultOf(value: ValueSchema, int64: Int64Mode): unknown {
  if (value.kind === 'enum') return value.type.values[0]!.number;
  if (value.kind === 'message') return undefined;
  if (isLong(value.type)) return int64 === 'string' ? '0' : 0n;
  switch (value.type) {
    case 'string':
      return '';
    case 'bytes':
      return new Uint8Array(0);
    case 'bool':
      return false;
    default:
      return 0;
  }
}

/** Null in JSON means that a field is not there, but for the types that have a null of their own. */
function takesNull(field: FieldSchema): boolean {
  if (field.shape !== 'singular' || field.value.kind === 'scalar') return false;
  const { fullName } = field.value.type;
  return fullName === 'google.protobuf.Value' || fullName === 'google.protobuf.NullValue';
}

const BY_JSON_NAME = new WeakMap<MessageSchema, ReadonlyMap<string, FieldSchema>>();

function fieldsByJsonName(schema: MessageSchema): ReadonlyMap<string, FieldSchema> {
  let known = BY_JSON_NAME.get(schema);
  if (known === undefined) {
    known = new Map([
      ...schema.fields.map((field): [string, FieldSchema] => [field.name, field]),
      ...schema.fields.map((field): [string, FieldSchema] => [field.jsonName, field]),
    ]);
    BY_JSON_NAME.set(schema, known);
  }
  return known;
}

export function isObject(value: unknown): value is Message {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/** Not what every object inherits: a field may be called `constructor`. */
function propertyOf(message: Message, name: string): unknown {
  return name in Object.prototype && !Object.hasOwn(message, name) ? undefined : message[name];
}

/** A plain property even where the name is `__proto__`. */
function put(target: Message, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}

function wrong(path: string, expected: string, value: unknown): FieldError {
  return new FieldError(path, `expected ${expected}, got ${describe(value)}`);
}
