// The serialized form of a .proto file, google.protobuf.FileDescriptorProto, as plain objects, and its bytes both ways.
// proto-parser.ts makes them from text, generated code and reflection bring them as bytes; schema-builder.ts reads them.

import protobufDescriptor from 'protobufjs/ext/descriptor.js';
import { RpcError } from '../errors.js';

/** FieldDescriptorProto.Type by number. */
export const FIELD_TYPE_NAMES = [
  '',
  'double',
  'float',
  'int64',
  'uint64',
  'int32',
  'fixed64',
  'fixed32',
  'bool',
  'string',
  'group',
  'message',
  'bytes',
  'uint32',
  'enum',
  'sfixed32',
  'sfixed64',
  'sint32',
  'sint64',
] as const;

export const LABEL_REQUIRED = 2;
export const LABEL_REPEATED = 3;

/** Numbers of google.protobuf.FeatureSet, as editions use them. */
export interface FeatureSet {
  /** 1 explicit, 2 implicit, 3 required. */
  fieldPresence?: number;
  /** 1 open, 2 closed. */
  enumType?: number;
  /** 1 packed, 2 expanded. */
  repeatedFieldEncoding?: number;
  /** 1 length-prefixed, 2 delimited. */
  messageEncoding?: number;
}

export interface OptionsProto {
  deprecated?: boolean;
  packed?: boolean;
  mapEntry?: boolean;
  /** 0 unknown, 1 no side effects, 2 idempotent. */
  idempotencyLevel?: number;
  features?: FeatureSet;
}

export interface FieldProto {
  name: string;
  number: number;
  label?: number;
  type?: number;
  typeName?: string;
  extendee?: string;
  defaultValue?: string;
  oneofIndex?: number;
  jsonName?: string;
  options?: OptionsProto;
  proto3Optional?: boolean;
}

export interface RangeProto {
  /** Inclusive. */
  start: number;
  /** Exclusive in messages, inclusive in enums. */
  end: number;
}

export interface EnumProto {
  name: string;
  value?: { name: string; number?: number; options?: OptionsProto }[];
  options?: OptionsProto;
  reservedRange?: RangeProto[];
  reservedName?: string[];
}

export interface MessageProto {
  name: string;
  field?: FieldProto[];
  extension?: FieldProto[];
  nestedType?: MessageProto[];
  enumType?: EnumProto[];
  extensionRange?: RangeProto[];
  oneofDecl?: { name: string; options?: OptionsProto }[];
  options?: OptionsProto;
  reservedRange?: RangeProto[];
  reservedName?: string[];
}

export interface MethodProto {
  name: string;
  inputType: string;
  outputType: string;
  clientStreaming?: boolean;
  serverStreaming?: boolean;
  options?: OptionsProto;
}

export interface ServiceProto {
  name: string;
  method?: MethodProto[];
  options?: OptionsProto;
}

export interface FileProto {
  /** As imports name it: `demo/echo.proto`. */
  name: string;
  package?: string;
  dependency?: string[];
  publicDependency?: number[];
  messageType?: MessageProto[];
  enumType?: EnumProto[];
  service?: ServiceProto[];
  extension?: FieldProto[];
  options?: OptionsProto;
  syntax?: string;
  /** google.protobuf.Edition, where syntax is `editions`. */
  edition?: number;
}

export function encodeFile(file: FileProto): Uint8Array {
  const type = protobufDescriptor.FileDescriptorProto;
  return Uint8Array.from(type.encode(type.fromObject(file)).finish());
}

/** @throws RpcError RPC_PROTO_INVALID */
export function decodeFile(bytes: Uint8Array): FileProto {
  const type = protobufDescriptor.FileDescriptorProto;
  try {
    // The bytes are protobufjs's own type of this name, whose plain form the interfaces above describe.
    return type.toObject(type.decode(bytes)) as FileProto;
  } catch (error) {
    throw new RpcError('RPC_PROTO_INVALID', `not a serialized FileDescriptorProto: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** protoc's rule for json_name, which is also how TypeScript calls a field: `my_text` is `myText`. */
export function camelCase(name: string): string {
  return name.replace(/_+(.?)/g, (_, next: string) => next.toUpperCase());
}
