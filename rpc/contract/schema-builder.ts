// Builds the schema of a set of descriptors, which must name every type in full: parsed files after name resolution,
// what generated code embeds, or what a reflection service sent. The last are not to be trusted: all is checked here.

import { RpcError } from '../errors.js';
import {
  camelCase,
  type EnumProto,
  type FeatureSet,
  FIELD_TYPE_NAMES,
  type FieldProto,
  type FileProto,
  LABEL_REPEATED,
  LABEL_REQUIRED,
  type MessageProto,
  type ServiceProto,
} from './descriptor.js';
import {
  type EnumSchema,
  FIELD_NUMBER_MAX,
  type FieldSchema,
  type MessageSchema,
  type MethodSchema,
  type OneofSchema,
  type ScalarType,
  type Schema,
  type ServiceSchema,
  type ValueSchema,
} from './schema.js';

/** Messages declared inside messages. */
const NESTING_MAX = 100;
const NAME = /^[A-Za-z_]\w*$/;
const PACKAGE = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/;
const MAP_KEYS: ReadonlySet<string> = new Set([
  'int32',
  'int64',
  'uint32',
  'uint64',
  'sint32',
  'sint64',
  'fixed32',
  'fixed64',
  'sfixed32',
  'sfixed64',
  'bool',
  'string',
]);
/** Local names with a meaning of their own: a client that had `then` would be taken for a promise. */
const METHODS_RENAMED: ReadonlySet<string> = new Set(['constructor', 'then', 'catch', 'finally', 'caller']);

type Features = Required<FeatureSet>;

const PROTO2: Features = { fieldPresence: 1, enumType: 2, repeatedFieldEncoding: 2, messageEncoding: 1 };
const PROTO3: Features = { fieldPresence: 2, enumType: 1, repeatedFieldEncoding: 1, messageEncoding: 1 };
const EDITION_2023: Features = {
  fieldPresence: 1,
  enumType: 1,
  repeatedFieldEncoding: 1,
  messageEncoding: 1,
};

/**
 * @param files dependencies first
 * @throws RpcError RPC_PROTO_INVALID
 */
export function buildSchema(files: readonly FileProto[]): Schema {
  const builder = new Builder();
  for (const file of files) builder.declare(file);
  builder.link();
  for (const file of files) builder.addServices(file);
  return builder;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface PendingMessage {
  readonly proto: MessageProto;
  readonly schema: Mutable<MessageSchema>;
  readonly features: Features;
  readonly file: FileProto;
}

class Builder implements Schema {
  readonly messages: Map<string, MessageSchema> = new Map();
  readonly enums: Map<string, EnumSchema> = new Map();
  readonly services: Map<string, ServiceSchema> = new Map();
  readonly #pending = new Map<string, PendingMessage>();

  declare(file: FileProto): void {
    const scope = file.package ?? '';
    if (scope !== '' && !PACKAGE.test(scope)) throw invalid(file.name, `"${scope}" is no name of a package`);
    const features = merge(defaultsOf(file), file.options?.features);
    for (const message of file.messageType ?? []) this.#declareMessage(message, scope, features, file, 0);
    for (const each of file.enumType ?? []) this.#declareEnum(each, scope, features, file);
  }

  link(): void {
    for (const { proto, schema, features, file } of this.#pending.values()) {
      const oneofs = (proto.oneofDecl ?? []).map(
        ({ name }): Mutable<OneofSchema> & { fields: FieldSchema[] } => ({
          name,
          localName: camelCase(name),
          fields: [],
        }),
      );
      const fields: FieldSchema[] = [];
      for (const field of proto.field ?? []) {
        const oneof = field.oneofIndex === undefined ? null : (oneofs[field.oneofIndex] ?? null);
        const isSynthetic = field.proto3Optional === true;
        const built = this.#field(field, proto, schema.fullName, features, file, isSynthetic ? null : oneof);
        if (oneof !== null && !isSynthetic) oneof.fields.push(built);
        fields.push(built);
      }
      refuseTwins(fields, schema.fullName, file.name);
      schema.fields = fields;
      schema.oneofs = oneofs.filter((oneof) => oneof.fields.length > 0);
    }
  }

  addServices(file: FileProto): void {
    const scope = file.package ?? '';
    for (const service of file.service ?? []) {
      const fullName = this.#name(scope, service.name, file);
      if (this.services.has(fullName)) throw invalid(file.name, `${fullName} is defined twice`);
      this.services.set(fullName, {
        fullName,
        fileName: file.name,
        methods: this.#methods(service, fullName, file),
      });
    }
  }

  #declareMessage(proto: MessageProto, scope: string, outer: Features, file: FileProto, depth: number): void {
    const fullName = this.#name(scope, proto.name, file);
    if (depth > NESTING_MAX) throw invalid(file.name, `${fullName} is nested too deep`);
    const features = merge(outer, proto.options?.features);
    const schema: Mutable<MessageSchema> = {
      fullName,
      fileName: file.name,
      fields: [],
      oneofs: [],
      isMapEntry: proto.options?.mapEntry === true,
    };
    this.messages.set(fullName, schema);
    this.#pending.set(fullName, { proto, schema, features, file });
    for (const nested of proto.nestedType ?? [])
      this.#declareMessage(nested, fullName, features, file, depth + 1);
    for (const nested of proto.enumType ?? []) this.#declareEnum(nested, fullName, features, file);
  }

  #declareEnum(proto: EnumProto, scope: string, outer: Features, file: FileProto): void {
    const fullName = this.#name(scope, proto.name, file);
    const numberOf = new Map<string, number>();
    const nameOf = new Map<number, string>();
    const values = (proto.value ?? []).map(({ name, number = 0 }) => ({ name, number }));
    for (const { name, number } of values) {
      if (!NAME.test(name) || numberOf.has(name))
        throw invalid(file.name, `${fullName}: bad value name "${name}"`);
      if ((number | 0) !== number)
        throw invalid(file.name, `${fullName}.${name}: ${number} is outside of int32`);
      numberOf.set(name, number);
      if (!nameOf.has(number)) nameOf.set(number, name);
    }
    const isClosed = merge(outer, proto.options?.features).enumType === 2;
    if (values.length === 0) throw invalid(file.name, `${fullName}: an enum needs at least one value`);
    if (!isClosed && values[0]!.number !== 0)
      throw invalid(file.name, `${fullName}: the first value must be 0`);
    this.enums.set(fullName, { fullName, fileName: file.name, values, numberOf, nameOf, isClosed });
  }

  #name(scope: string, name: string, file: FileProto): string {
    if (typeof name !== 'string' || !NAME.test(name)) throw invalid(file.name, `bad name "${name}"`);
    const fullName = scope === '' ? name : `${scope}.${name}`;
    if (this.messages.has(fullName) || this.enums.has(fullName))
      throw invalid(file.name, `${fullName} is defined twice`);
    return fullName;
  }

  #field(
    proto: FieldProto,
    parent: MessageProto,
    scope: string,
    outer: Features,
    file: FileProto,
    oneof: OneofSchema | null,
  ): FieldSchema {
    const { name, number } = proto;
    const fullName = `${scope}.${name}`;
    if (!NAME.test(name)) throw invalid(file.name, `${scope}: bad field name "${name}"`);
    if (!Number.isInteger(number) || number < 1 || number > FIELD_NUMBER_MAX)
      throw invalid(file.name, `${fullName}: field numbers are 1 to ${FIELD_NUMBER_MAX}, not ${number}`);
    if (number >= 19000 && number <= 19999)
      throw invalid(file.name, `${fullName}: field numbers 19000 to 19999 belong to protobuf itself`);
    const localName = camelCase(name);
    const features = merge(outer, proto.options?.features);
    const value = this.#value(proto, features, fullName, file);
    const base = {
      name,
      localName,
      jsonName: proto.jsonName ?? localName,
      number,
      value,
      isDeprecated: proto.options?.deprecated === true,
    };
    if (proto.label === LABEL_REPEATED) {
      const entry = value.kind === 'message' ? this.#pending.get(value.type.fullName) : undefined;
      const isOurs = parent.nestedType?.includes(entry?.proto as MessageProto) === true;
      if (entry?.schema.isMapEntry === true && isOurs) return { ...base, ...this.#map(entry, fullName) };
      const isPackable = value.kind === 'enum' || (value.kind === 'scalar' && !isBlob(value.type));
      const isPacked = proto.options?.packed ?? features.repeatedFieldEncoding === 1;
      return { ...base, shape: 'list', isPacked: isPackable && isPacked };
    }
    const isExplicit =
      value.kind === 'message' ||
      oneof !== null ||
      proto.proto3Optional === true ||
      features.fieldPresence === 1;
    const isRequired = proto.label === LABEL_REQUIRED || features.fieldPresence === 3;
    const presence = isRequired && oneof === null ? 'required' : isExplicit ? 'explicit' : 'implicit';
    return { ...base, shape: 'singular', presence, oneof };
  }

  #value(proto: FieldProto, features: Features, fullName: string, file: FileProto): ValueSchema {
    const type = FIELD_TYPE_NAMES[proto.type ?? 0] ?? '';
    switch (type) {
      case '':
        throw invalid(file.name, `${fullName}: type ${proto.type} is not known`);
      case 'enum': {
        const found = this.enums.get(typeNameOf(proto.typeName));
        if (found === undefined) throw invalid(file.name, `${fullName}: no such enum: ${proto.typeName}`);
        return { kind: 'enum', type: found };
      }
      case 'group':
      case 'message': {
        const found = this.#pending.get(typeNameOf(proto.typeName))?.schema;
        if (found === undefined) throw invalid(file.name, `${fullName}: no such message: ${proto.typeName}`);
        const isDelimited = type === 'group' || (features.messageEncoding === 2 && !found.isMapEntry);
        return { kind: 'message', type: found, isDelimited };
      }
      default:
        return { kind: 'scalar', type };
    }
  }

  #map(entry: PendingMessage, fullName: string): { shape: 'map'; key: ScalarType; value: ValueSchema } {
    const { proto, features, file } = entry;
    const key = proto.field?.find(({ number }) => number === 1);
    const value = proto.field?.find(({ number }) => number === 2);
    const keyType = FIELD_TYPE_NAMES[key?.type ?? 0] ?? '';
    if (value === undefined || !MAP_KEYS.has(keyType)) throw invalid(file.name, `${fullName}: not a map`);
    return {
      shape: 'map',
      key: keyType as ScalarType, // MAP_KEYS has no others
      value: this.#value(value, { ...features, messageEncoding: 1 }, fullName, file),
    };
  }

  #methods(service: ServiceProto, scope: string, file: FileProto): MethodSchema[] {
    const methods = (service.method ?? []).map((proto): MethodSchema => {
      const fullName = `${scope}.${proto.name}`;
      if (!NAME.test(proto.name)) throw invalid(file.name, `${scope}: bad method name "${proto.name}"`);
      const request = this.messages.get(typeNameOf(proto.inputType));
      const response = this.messages.get(typeNameOf(proto.outputType));
      if (request === undefined) throw invalid(file.name, `${fullName}: no such message: ${proto.inputType}`);
      if (response === undefined)
        throw invalid(file.name, `${fullName}: no such message: ${proto.outputType}`);
      return {
        name: proto.name,
        localName: methodLocalName(proto.name),
        request,
        response,
        clientStreams: proto.clientStreaming === true,
        serverStreams: proto.serverStreaming === true,
        idempotency:
          (['unknown', 'no-side-effects', 'idempotent'] as const)[proto.options?.idempotencyLevel ?? 0] ??
          'unknown',
        isDeprecated: proto.options?.deprecated === true,
      };
    });
    const seen = new Map<string, string>();
    for (const { name, localName } of methods) {
      const twin = seen.get(localName);
      if (twin !== undefined)
        throw invalid(file.name, `${scope}: ${twin} and ${name} would both be called ${localName}`);
      seen.set(localName, name);
    }
    return methods;
  }
}

function refuseTwins(fields: readonly FieldSchema[], scope: string, fileName: string): void {
  const byNumber = new Map<number, string>();
  const byLocalName = new Map<string, string>();
  for (const { name, number, localName } of fields) {
    const sameNumber = byNumber.get(number);
    if (sameNumber !== undefined)
      throw invalid(fileName, `${scope}: ${sameNumber} and ${name} both have number ${number}`);
    const sameName = byLocalName.get(localName);
    if (sameName !== undefined)
      throw invalid(fileName, `${scope}: ${sameName} and ${name} would both be called ${localName}`);
    byNumber.set(number, name);
    byLocalName.set(localName, name);
  }
}

function defaultsOf(file: FileProto): Features {
  switch (file.syntax ?? '') {
    case '':
    case 'proto2':
      return PROTO2;
    case 'proto3':
      return PROTO3;
    case 'editions':
      return EDITION_2023; // 2024 changes none of what we look at
    default:
      throw invalid(file.name, `syntax "${file.syntax}" is not known`);
  }
}

function merge(outer: Features, own: FeatureSet | undefined): Features {
  if (own === undefined) return outer;
  return {
    fieldPresence: own.fieldPresence || outer.fieldPresence,
    enumType: own.enumType || outer.enumType,
    repeatedFieldEncoding: own.repeatedFieldEncoding || outer.repeatedFieldEncoding,
    messageEncoding: own.messageEncoding || outer.messageEncoding,
  };
}

function isBlob(type: ScalarType): boolean {
  return type === 'string' || type === 'bytes';
}

function typeNameOf(name: string | undefined): string {
  return name?.startsWith('.') === true ? name.slice(1) : (name ?? '');
}

function methodLocalName(name: string): string {
  const camel = camelCase(name);
  const local = camel.charAt(0).toLowerCase() + camel.slice(1);
  return METHODS_RENAMED.has(local) ? `${local}_` : local;
}

function invalid(fileName: string, message: string): RpcError {
  return new RpcError('RPC_PROTO_INVALID', `${fileName}: ${message}`);
}
