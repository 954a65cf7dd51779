// The messages of google.protobuf that have a JSON form of their own: times, wrappers, Struct, Any, field masks.
// json-mapping.ts asks here first; undefined means that the message is an ordinary one.

import { at, describe, FieldError } from './field-error.js';
import { isObject, type JsonContext, type Message, messageFromJson, messageToJson } from './json-mapping.js';
import type { MessageSchema } from './schema.js';
import { toLong } from './wire-writer.js';

const PREFIX = 'google.protobuf.';
const TIMESTAMP_SECONDS_MIN = -62135596800n; // 0001-01-01T00:00:00Z
const TIMESTAMP_SECONDS_MAX = 253402300799n; // 9999-12-31T23:59:59Z
const DURATION_SECONDS_MAX = 315576000000n; // 10,000 years, as duration.proto says
const NANOS_MAX = 999_999_999;
const TIMESTAMP = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))$/;
const DURATION = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/;
const WRAPPERS: ReadonlySet<string> = new Set([
  'DoubleValue',
  'FloatValue',
  'Int64Value',
  'UInt64Value',
  'Int32Value',
  'UInt32Value',
  'BoolValue',
  'StringValue',
  'BytesValue',
]);
/** Those whose JSON inside an Any stands under `value`. */
const SPECIAL: ReadonlySet<string> = new Set([
  ...WRAPPERS,
  'Timestamp',
  'Duration',
  'FieldMask',
  'Struct',
  'Value',
  'ListValue',
  'Any',
]);

function nameOf(schema: MessageSchema): string {
  return schema.fullName.startsWith(PREFIX) ? schema.fullName.slice(PREFIX.length) : '';
}

/** @throws FieldError */
export function wellKnownToJson(
  schema: MessageSchema,
  message: Message,
  context: JsonContext,
  depth: number,
): unknown {
  const name = nameOf(schema);
  if (WRAPPERS.has(name)) return wrapperToJson(schema, message, context);
  switch (name) {
    case 'Timestamp':
      return timestampToJson(message);
    case 'Duration':
      return durationToJson(message);
    case 'FieldMask':
      return pathsOf(message).map(maskPathToJson).join(',');
    case 'Struct':
      return structToJson(schema, message, context, depth);
    case 'ListValue':
      return listToJson(schema, message, context, depth);
    case 'Value':
      return valueToJson(schema, message, context, depth);
    case 'Any':
      return anyToJson(message, context, depth);
    default:
      return undefined;
  }
}

/** @throws FieldError */
export function wellKnownFromJson(
  schema: MessageSchema,
  json: unknown,
  context: JsonContext,
  depth: number,
): unknown {
  const name = nameOf(schema);
  if (WRAPPERS.has(name)) return wrapperFromJson(schema, json, context);
  switch (name) {
    case 'Timestamp':
      return timestampFromJson(json, context);
    case 'Duration':
      return durationFromJson(json, context);
    case 'FieldMask':
      if (typeof json !== 'string') throw new FieldError('', `expected text, got ${describe(json)}`);
      return { paths: json === '' ? [] : json.split(',').map(maskPathFromJson) };
    case 'Struct':
      return structFromJson(schema, json, context, depth);
    case 'ListValue':
      return listFromJson(schema, json, context, depth);
    case 'Value':
      return valueFromJson(schema, json, context, depth);
    case 'Any':
      return anyFromJson(json, context, depth);
    default:
      return undefined;
  }
}

/** A wrapper is its value. An ordinary message with the same one field says how that looks. */
function wrapperToJson(schema: MessageSchema, message: Message, context: JsonContext): unknown {
  const [field] = schema.fields;
  const explicit = {
    ...schema,
    fullName: '',
    fields: [{ ...field!, presence: 'explicit' }],
  } as MessageSchema;
  const value =
    message['value'] ?? (messageFromJson({ ...schema, fullName: '' }, {}, context) as Message)['value'];
  return (messageToJson(explicit, { value }, context) as Message)['value'];
}

function wrapperFromJson(schema: MessageSchema, json: unknown, context: JsonContext): unknown {
  if (json === null) throw new FieldError('', 'expected a value, got null');
  return messageFromJson({ ...schema, fullName: '' }, { value: json }, context);
}

function secondsOf(message: Message): bigint {
  return toLong(message['seconds'] ?? 0, true, 'seconds');
}

function nanosOf(message: Message): number {
  const nanos = message['nanos'] ?? 0;
  if (typeof nanos !== 'number' || !Number.isInteger(nanos) || Math.abs(nanos) > NANOS_MAX)
    throw new FieldError('nanos', `expected at most ${NANOS_MAX}, got ${describe(nanos)}`);
  return nanos;
}

/** Three, six or nine digits, or none. */
function fraction(nanos: number): string {
  if (nanos === 0) return '';
  const digits = String(nanos).padStart(9, '0');
  return `.${digits.replace(/(000){1,2}$/, '')}`;
}

function timestampToJson(message: Message): string {
  const seconds = secondsOf(message);
  const nanos = nanosOf(message);
  if (seconds < TIMESTAMP_SECONDS_MIN || seconds > TIMESTAMP_SECONDS_MAX)
    throw new FieldError('seconds', `${seconds} is outside of the years 1 to 9999`);
  if (nanos < 0) throw new FieldError('nanos', 'expected 0 or more in a timestamp');
  const text = new Date(Number(seconds) * 1000).toISOString();
  return `${text.slice(0, -'.000Z'.length)}${fraction(nanos)}Z`;
}

function timestampFromJson(json: unknown, context: JsonContext): unknown {
  const match = typeof json === 'string' ? TIMESTAMP.exec(json) : null;
  if (match === null)
    throw new FieldError('', `expected a time such as 2024-01-31T12:00:00Z, got ${describe(json)}`);
  const [, year, month, day, hour, minute, second, digits = '', sign, zoneHours = '0', zoneMinutes = '0'] =
    match;
  const text = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const time = new Date(text);
  // Date rolls 31 February over instead of refusing it.
  if (Number.isNaN(time.getTime()) || time.toISOString() !== text)
    throw new FieldError('', `there is no time ${describe(json)}`);
  const zone = (Number(zoneHours) * 60 + Number(zoneMinutes)) * 60 * (sign === '-' ? -1 : 1);
  const seconds = BigInt(time.getTime() / 1000 - zone);
  if (seconds < TIMESTAMP_SECONDS_MIN || seconds > TIMESTAMP_SECONDS_MAX)
    throw new FieldError('', `${describe(json)} is outside of the years 1 to 9999`);
  return { seconds: long(seconds, context), nanos: Number(digits.padEnd(9, '0')) };
}

function durationToJson(message: Message): string {
  const seconds = secondsOf(message);
  const nanos = nanosOf(message);
  if (seconds > DURATION_SECONDS_MAX || seconds < -DURATION_SECONDS_MAX)
    throw new FieldError('seconds', `${seconds} is more than ${DURATION_SECONDS_MAX}`);
  if ((seconds > 0n && nanos < 0) || (seconds < 0n && nanos > 0))
    throw new FieldError('nanos', 'expected the same sign as seconds');
  const sign = seconds < 0n || nanos < 0 ? '-' : '';
  return `${sign}${seconds < 0n ? -seconds : seconds}${fraction(Math.abs(nanos))}s`;
}

function durationFromJson(json: unknown, context: JsonContext): unknown {
  const match = typeof json === 'string' ? DURATION.exec(json) : null;
  if (match === null) throw new FieldError('', `expected a duration such as 1.5s, got ${describe(json)}`);
  const [, sign, whole, digits = ''] = match;
  const seconds = BigInt(whole!);
  if (seconds > DURATION_SECONDS_MAX) throw new FieldError('', `${describe(json)} is more than 10,000 years`);
  const nanos = Number(digits.padEnd(9, '0'));
  const isNegative = sign === '-';
  return {
    seconds: long(isNegative ? -seconds : seconds, context),
    nanos: isNegative && nanos > 0 ? -nanos : nanos,
  };
}

function long(value: bigint, context: JsonContext): bigint | string {
  return context.int64 === 'string' ? value.toString() : value;
}

function pathsOf(message: Message): readonly unknown[] {
  const paths = message['paths'] ?? [];
  if (!Array.isArray(paths)) throw new FieldError('paths', `expected an array, got ${describe(paths)}`);
  return paths;
}

function maskPathToJson(path: unknown): string {
  const camel =
    typeof path === 'string' ? path.replace(/_([a-z])/g, (_, next: string) => next.toUpperCase()) : null;
  // Only what comes back the same has a JSON form.
  if (camel === null || maskPathFromJson(camel) !== path || camel.includes(','))
    throw new FieldError('paths', `${describe(path)} has no JSON form`);
  return camel;
}

function maskPathFromJson(path: string): string {
  if (path.includes('_'))
    throw new FieldError('', `expected lowerCamelCase in a field mask, got ${describe(path)}`);
  return path.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** The message types that Struct, Value and ListValue are made of, by the field that leads there. */
function typeBehind(schema: MessageSchema, fieldName: string): MessageSchema {
  const value = schema.fields.find(({ name }) => name === fieldName)?.value;
  if (value?.kind !== 'message') throw new FieldError('', `${schema.fullName} is not the well-known type`);
  return value.type;
}

function structToJson(schema: MessageSchema, message: Message, context: JsonContext, depth: number): unknown {
  const valueType = typeBehind(schema, 'fields');
  const fields = message['fields'] ?? {};
  if (!isObject(fields)) throw new FieldError('fields', `expected an object, got ${describe(fields)}`);
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => {
      try {
        return [key, messageToJson(valueType, value, context, depth + 1)];
      } catch (error) {
        throw at(error, `fields[${JSON.stringify(key)}]`);
      }
    }),
  );
}

function structFromJson(schema: MessageSchema, json: unknown, context: JsonContext, depth: number): unknown {
  const valueType = typeBehind(schema, 'fields');
  if (!isObject(json)) throw new FieldError('', `expected an object, got ${describe(json)}`);
  const fields = Object.fromEntries(
    Object.entries(json).map(([key, value]) => [key, messageFromJson(valueType, value, context, depth + 1)]),
  );
  return { fields };
}

function listToJson(schema: MessageSchema, message: Message, context: JsonContext, depth: number): unknown {
  const valueType = typeBehind(schema, 'values');
  const values = message['values'] ?? [];
  if (!Array.isArray(values)) throw new FieldError('values', `expected an array, got ${describe(values)}`);
  return values.map((value) => messageToJson(valueType, value, context, depth + 1));
}

function listFromJson(schema: MessageSchema, json: unknown, context: JsonContext, depth: number): unknown {
  const valueType = typeBehind(schema, 'values');
  if (!Array.isArray(json)) throw new FieldError('', `expected an array, got ${describe(json)}`);
  return { values: json.map((value) => messageFromJson(valueType, value, context, depth + 1)) };
}

function valueToJson(schema: MessageSchema, message: Message, context: JsonContext, depth: number): unknown {
  const { nullValue, numberValue, stringValue, boolValue, structValue, listValue } = message;
  const set = [nullValue, numberValue, stringValue, boolValue, structValue, listValue].filter(
    (each) => each !== undefined && each !== null,
  );
  if (set.length !== 1) throw new FieldError('', `expected one kind of value, got ${set.length}`);
  if (structValue !== undefined && structValue !== null)
    return messageToJson(typeBehind(schema, 'struct_value'), structValue, context, depth + 1);
  if (listValue !== undefined && listValue !== null)
    return messageToJson(typeBehind(schema, 'list_value'), listValue, context, depth + 1);
  if (nullValue !== undefined && nullValue !== null) return null;
  const [only] = set;
  const isRight =
    numberValue === only
      ? typeof only === 'number' && Number.isFinite(only)
      : stringValue === only
        ? typeof only === 'string'
        : typeof only === 'boolean';
  if (!isRight) throw new FieldError('', `${describe(only)} has no JSON form`);
  return only;
}

function valueFromJson(schema: MessageSchema, json: unknown, context: JsonContext, depth: number): unknown {
  switch (typeof json) {
    case 'number':
      return { numberValue: json };
    case 'string':
      return { stringValue: json };
    case 'boolean':
      return { boolValue: json };
    default:
      if (json === null) return { nullValue: 0 };
      return Array.isArray(json)
        ? { listValue: messageFromJson(typeBehind(schema, 'list_value'), json, context, depth + 1) }
        : { structValue: messageFromJson(typeBehind(schema, 'struct_value'), json, context, depth + 1) };
  }
}

function anyToJson(message: Message, context: JsonContext, depth: number): unknown {
  const typeUrl = message['typeUrl'] ?? '';
  const value = message['value'] ?? new Uint8Array(0);
  if (typeof typeUrl !== 'string')
    throw new FieldError('typeUrl', `expected a string, got ${describe(typeUrl)}`);
  if (!(value instanceof Uint8Array))
    throw new FieldError('value', `expected a Uint8Array, got ${describe(value)}`);
  if (typeUrl === '' && value.length === 0) return {};
  const schema = typeOfUrl(typeUrl, context);
  const json = messageToJson(schema, context.decode(schema, value), context, depth + 1);
  return SPECIAL.has(nameOf(schema))
    ? { '@type': typeUrl, value: json }
    : { '@type': typeUrl, ...(json as object) };
}

function anyFromJson(json: unknown, context: JsonContext, depth: number): unknown {
  if (!isObject(json)) throw new FieldError('', `expected an object, got ${describe(json)}`);
  const { '@type': typeUrl, ...rest } = json;
  if (typeUrl === undefined && Object.keys(rest).length === 0)
    return { typeUrl: '', value: new Uint8Array(0) };
  if (typeof typeUrl !== 'string')
    throw new FieldError('@type', `expected a string, got ${describe(typeUrl)}`);
  const schema = typeOfUrl(typeUrl, context);
  const body = SPECIAL.has(nameOf(schema)) ? rest['value'] : rest;
  return { typeUrl, value: context.encode(schema, messageFromJson(schema, body, context, depth + 1)) };
}

function typeOfUrl(typeUrl: string, context: JsonContext): MessageSchema {
  const schema = context.messageSchema(typeUrl.slice(typeUrl.lastIndexOf('/') + 1));
  if (schema === undefined) throw new FieldError('@type', `type ${describe(typeUrl)} is not known here`);
  return schema;
}
