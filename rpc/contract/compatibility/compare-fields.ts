// Judges what became of one field: the same number in the old and the new version of a message.

import type { FieldSchema, ScalarType, ValueSchema } from '../schema.js';
import type { ChangeKind } from './change.js';

interface Finding {
  readonly kind: ChangeKind;
  readonly message: string;
}

/** Types that read each other's bytes, though values may be cut. */
const WIRE_FAMILIES: readonly ReadonlySet<string>[] = [
  new Set<ScalarType | 'enum'>(['int32', 'uint32', 'int64', 'uint64', 'bool', 'enum']),
  new Set<ScalarType>(['sint32', 'sint64']),
  new Set<ScalarType>(['fixed32', 'sfixed32']),
  new Set<ScalarType>(['fixed64', 'sfixed64']),
  new Set<ScalarType>(['string', 'bytes']),
];

/** @param nameNow what an old full name is called now */
export function compareField(
  before: FieldSchema,
  after: FieldSchema,
  nameNow: (fullName: string) => string,
): Finding[] {
  const findings: Finding[] = [];
  const find = (kind: ChangeKind, message: string): void => {
    findings.push({ kind, message });
  };
  const isSameType = typeOf(before, nameNow) === typeOf(after);
  const isSameName = before.name === after.name;
  if (before.shape !== after.shape) {
    find(
      'field-shape-changed',
      `number ${before.number} was ${shapeOf(before)} and is now ${shapeOf(after)}`,
    );
  } else if (!isSameType) {
    const change = `number ${before.number} was ${typeOf(before)} and is now ${typeOf(after)}`;
    const reuse = isSameName ? '' : `, called ${after.name}`;
    if (areSameOnWire(before, after))
      find('field-type-widened', `${change}${reuse}: the same bytes, but values may be cut`);
    else find('field-type-changed', `${change}${reuse}`);
  }
  if (!isSameName && isSameType)
    find('field-renamed', `is now ${after.name}: JSON and code call it otherwise`);
  else if (isSameName && before.jsonName !== after.jsonName)
    find('json-name-changed', `JSON called it ${before.jsonName} and now ${after.jsonName}`);
  if (before.shape === 'singular' && after.shape === 'singular') {
    if ((before.presence === 'required') !== (after.presence === 'required'))
      find('field-required-changed', `is ${after.presence === 'required' ? 'now' : 'no longer'} required`);
    const oneofBefore = before.oneof?.name;
    const oneofAfter = after.oneof?.name;
    const isSameOneof = oneofBefore === oneofAfter || isOneofRenamed(before, after);
    if (!isSameOneof)
      find('field-oneof-changed', `was ${inOneof(oneofBefore)} and is now ${inOneof(oneofAfter)}`);
    else if (
      before.presence !== after.presence &&
      before.presence !== 'required' &&
      after.presence !== 'required'
    )
      find('field-presence-changed', `is ${after.presence === 'explicit' ? 'now' : 'no longer'} optional`);
  }
  return findings;
}

function inOneof(name: string | undefined): string {
  return name === undefined ? 'in no oneof' : `in oneof ${name}`;
}

/** A oneof's name is not on the wire: only its members count. */
function isOneofRenamed(
  before: FieldSchema & { shape: 'singular' },
  after: FieldSchema & { shape: 'singular' },
): boolean {
  if (before.oneof === null || after.oneof === null) return false;
  const numbersNow = new Set(after.oneof.fields.map(({ number }) => number));
  return before.oneof.fields.every(({ number }) => numbersNow.has(number));
}

function shapeOf(field: FieldSchema): string {
  switch (field.shape) {
    case 'singular':
      return `one ${typeOf(field)}`;
    case 'list':
      return `repeated ${typeOf(field)}`;
    case 'map':
      return typeOf(field);
    default:
      return field satisfies never;
  }
}

function typeOf(field: FieldSchema, nameNow: (fullName: string) => string = (name) => name): string {
  const value = valueName(field.value, nameNow);
  return field.shape === 'map' ? `map<${field.key}, ${value}>` : value;
}

function valueName(value: ValueSchema, nameNow: (fullName: string) => string): string {
  if (value.kind === 'scalar') return value.type;
  const name = nameNow(value.type.fullName);
  return value.kind === 'message' && value.isDelimited ? `group ${name}` : name;
}

function areSameOnWire(before: FieldSchema, after: FieldSchema): boolean {
  if (before.shape === 'map' && after.shape === 'map' && before.key !== after.key) return false;
  const name = ({ value }: FieldSchema): string =>
    value.kind === 'scalar' ? value.type : value.kind === 'enum' ? 'enum' : '';
  return WIRE_FAMILIES.some((family) => family.has(name(before)) && family.has(name(after)));
}
