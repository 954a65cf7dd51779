// A message as JSON to fill in: every field with a value of its type, lists and maps with one entry, of a oneof the first
// field. What it makes is accepted as the message. `rpc describe --template` prints it. Pure.

import type { FieldSchema, MessageSchema, ScalarType, ValueSchema } from '../rpc/index.js';

/** Well-known types whose JSON is not an object of their fields. */
const SPECIAL: Readonly<Record<string, unknown>> = {
  'google.protobuf.Timestamp': '1970-01-01T00:00:00Z',
  'google.protobuf.Duration': '0s',
  'google.protobuf.FieldMask': '',
  'google.protobuf.Struct': {},
  'google.protobuf.Value': null,
  'google.protobuf.ListValue': [],
  'google.protobuf.Any': {},
  'google.protobuf.DoubleValue': 0,
  'google.protobuf.FloatValue': 0,
  'google.protobuf.Int64Value': '0',
  'google.protobuf.UInt64Value': '0',
  'google.protobuf.Int32Value': 0,
  'google.protobuf.UInt32Value': 0,
  'google.protobuf.BoolValue': false,
  'google.protobuf.StringValue': '',
  'google.protobuf.BytesValue': '',
};

/** Messages that contain themselves end at the second turn. */
export function messageTemplate(message: MessageSchema): unknown {
  return templateOf(message, new Set());
}

/** @returns undefined where the message is inside itself already */
function templateOf(message: MessageSchema, open: ReadonlySet<MessageSchema>): unknown {
  if (Object.hasOwn(SPECIAL, message.fullName)) return SPECIAL[message.fullName];
  if (open.has(message)) return undefined;
  const inner = new Set(open).add(message);
  const template: Record<string, unknown> = {};
  for (const field of message.fields) {
    if (field.shape === 'singular' && field.oneof !== null && field.oneof.fields[0] !== field) continue;
    const value = fieldTemplate(field, inner);
    if (value !== undefined) template[field.jsonName] = value;
  }
  return template;
}

function fieldTemplate(field: FieldSchema, open: ReadonlySet<MessageSchema>): unknown {
  const value = valueTemplate(field.value, open);
  switch (field.shape) {
    case 'list':
      return value === undefined ? [] : [value];
    case 'map':
      return value === undefined ? {} : { [keyTemplate(field.key)]: value };
    case 'singular':
      return value;
    default:
      return field satisfies never;
  }
}

function valueTemplate(value: ValueSchema, open: ReadonlySet<MessageSchema>): unknown {
  switch (value.kind) {
    case 'message':
      return templateOf(value.type, open);
    case 'enum':
      return value.type.fullName === 'google.protobuf.NullValue' ? null : value.type.values[0]?.name;
    case 'scalar':
      return scalarTemplate(value.type);
    default:
      return value satisfies never;
  }
}

function scalarTemplate(type: ScalarType): unknown {
  switch (type) {
    case 'string':
    case 'bytes':
      return '';
    case 'bool':
      return false;
    case 'int64':
    case 'uint64':
    case 'sint64':
    case 'fixed64':
    case 'sfixed64':
      return '0'; // 64 bits do not fit a number of JSON
    default:
      return 0;
  }
}

function keyTemplate(type: ScalarType): string {
  if (type === 'string') return '';
  return type === 'bool' ? 'false' : '0';
}
