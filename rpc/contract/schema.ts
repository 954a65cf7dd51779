// The types of .proto files as the serializers see them: resolved, with every rule of syntax or edition already applied.
// schema-builder.ts makes them from descriptors; encoder.ts, decoder.ts, json-mapping.ts and generate/ read them.

export type ScalarType =
  | 'double'
  | 'float'
  | 'int64'
  | 'uint64'
  | 'int32'
  | 'fixed64'
  | 'fixed32'
  | 'bool'
  | 'string'
  | 'bytes'
  | 'uint32'
  | 'sfixed32'
  | 'sfixed64'
  | 'sint32'
  | 'sint64';

/** How 64-bit integers look in JavaScript. */
export type Int64Mode = 'bigint' | 'string';

export interface EnumSchema {
  readonly fullName: string;
  readonly fileName: string;
  /** In the order of the file; of several names of a number, the first is the one it is written by. */
  readonly values: readonly { readonly name: string; readonly number: number }[];
  readonly numberOf: ReadonlyMap<string, number>;
  readonly nameOf: ReadonlyMap<number, string>;
  /** proto2: numbers without a name are not values. */
  readonly isClosed: boolean;
}

export type ValueSchema =
  | { readonly kind: 'scalar'; readonly type: ScalarType }
  | { readonly kind: 'enum'; readonly type: EnumSchema }
  | { readonly kind: 'message'; readonly type: MessageSchema; readonly isDelimited: boolean };

export interface OneofSchema {
  readonly name: string;
  readonly localName: string;
  readonly fields: readonly FieldSchema[];
}

interface FieldBase {
  /** As the .proto has it: `my_text`. */
  readonly name: string;
  /** As JavaScript has it: `myText`. */
  readonly localName: string;
  readonly jsonName: string;
  readonly number: number;
  readonly value: ValueSchema;
  readonly isDeprecated: boolean;
}

export type FieldSchema =
  | (FieldBase & {
      readonly shape: 'singular';
      /** Implicit: its default means that it is not there, and the other way round. */
      readonly presence: 'implicit' | 'explicit' | 'required';
      readonly oneof: OneofSchema | null;
    })
  | (FieldBase & { readonly shape: 'list'; readonly isPacked: boolean })
  | (FieldBase & { readonly shape: 'map'; readonly key: ScalarType });

export interface MessageSchema {
  readonly fullName: string;
  readonly fileName: string;
  /** In the order of the file. */
  readonly fields: readonly FieldSchema[];
  /** Real ones only. */
  readonly oneofs: readonly OneofSchema[];
  readonly isMapEntry: boolean;
}

export interface MethodSchema {
  readonly name: string;
  readonly localName: string;
  readonly request: MessageSchema;
  readonly response: MessageSchema;
  readonly clientStreams: boolean;
  readonly serverStreams: boolean;
  readonly idempotency: 'unknown' | 'idempotent' | 'no-side-effects';
  readonly isDeprecated: boolean;
}

export interface ServiceSchema {
  readonly fullName: string;
  readonly fileName: string;
  readonly methods: readonly MethodSchema[];
}

export interface Schema {
  readonly messages: ReadonlyMap<string, MessageSchema>;
  readonly enums: ReadonlyMap<string, EnumSchema>;
  readonly services: ReadonlyMap<string, ServiceSchema>;
}

const LONG_TYPES: ReadonlySet<string> = new Set(['int64', 'uint64', 'fixed64', 'sfixed64', 'sint64']);

export function isLong(type: ScalarType): boolean {
  return LONG_TYPES.has(type);
}

/** Field numbers end here. */
export const FIELD_NUMBER_MAX = 0x1fffffff;
/** Messages inside messages, both ways; deeper ones are refused. As in other protobuf libraries. */
export const MESSAGE_DEPTH_MAX = 100;
