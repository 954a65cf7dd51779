// The .proto files that every compiler of protobuf knows: found by `import "google/protobuf/…"` without a search path.
// The small ones are written here; the ones about descriptors are read from protobufjs, which ships them.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const PREFIX = 'google/protobuf/';
const HEAD = 'syntax = "proto3";\npackage google.protobuf;\n';

const wrapper = (name: string, type: string): string => `message ${name}Value { ${type} value = 1; }\n`;

const SOURCES: Readonly<Record<string, string>> = {
  any: 'message Any { string type_url = 1; bytes value = 2; }\n',
  duration: 'message Duration { int64 seconds = 1; int32 nanos = 2; }\n',
  empty: 'message Empty {}\n',
  field_mask: 'message FieldMask { repeated string paths = 1; }\n',
  struct: `message Struct { map<string, Value> fields = 1; }
message Value {
  oneof kind {
    NullValue null_value = 1;
    double number_value = 2;
    string string_value = 3;
    bool bool_value = 4;
    Struct struct_value = 5;
    ListValue list_value = 6;
  }
}
enum NullValue { NULL_VALUE = 0; }
message ListValue { repeated Value values = 1; }
`,
  timestamp: 'message Timestamp { int64 seconds = 1; int32 nanos = 2; }\n',
  wrappers: [
    wrapper('Double', 'double'),
    wrapper('Float', 'float'),
    wrapper('Int64', 'int64'),
    wrapper('UInt64', 'uint64'),
    wrapper('Int32', 'int32'),
    wrapper('UInt32', 'uint32'),
    wrapper('Bool', 'bool'),
    wrapper('String', 'string'),
    wrapper('Bytes', 'bytes'),
  ].join(''),
};

const SHIPPED: ReadonlySet<string> = new Set(['api', 'descriptor', 'source_context', 'type']);

/** The text of a well-known file, by the name under which it is imported; undefined when there is none such. */
export function wellKnownSource(name: string): string | undefined {
  if (!name.startsWith(PREFIX) || !name.endsWith('.proto')) return undefined;
  const base = name.slice(PREFIX.length, -'.proto'.length);
  if (Object.hasOwn(SOURCES, base)) return HEAD + SOURCES[base];
  if (!SHIPPED.has(base)) return undefined;
  return readFileSync(createRequire(import.meta.url).resolve(`protobufjs/${name}`), 'utf8');
}

export function isWellKnown(name: string): boolean {
  return wellKnownSource(name) !== undefined;
}
