// Incompatible changes of a .proto: a table of before and after, and what is said of it.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { type Change, compareProtos, type ProtoFiles, readProtoFiles } from '../../rpc/index.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const HEAD = 'syntax = "proto3"; package p;\n';

function read(t: TestContext, text: string): ProtoFiles {
  const file = path.join(temporaryFolder(t), 'a.proto');
  writeFileSync(file, text);
  return readProtoFiles(file);
}

function compare(t: TestContext, before: string, after: string): Change[] {
  return compareProtos(read(t, before), read(t, after));
}

/** Before, after, and each change as `severity kind name: message`. */
const TABLE: readonly [title: string, before: string, after: string, changes: readonly string[]][] = [
  ['nothing changed', 'message A { string a = 1; }', 'message A { string a = 1; }', []],
  [
    'added things',
    'message A { string a = 1; }',
    'message A { string a = 1; int32 b = 2; } message B {} enum E { Z = 0; } service S {}',
    [],
  ],
  [
    'a message gone',
    'message A {}',
    'message B {}',
    ['incompatible message-removed p.A: message p.A is gone'],
  ],
  [
    'a number reused with another type and name',
    'message A { string a = 1; }',
    'message A { int64 b = 1; }',
    ['incompatible field-type-changed p.A.a: number 1 was string and is now int64, called b'],
  ],
  [
    'a type changed',
    'message A { int32 a = 1; }',
    'message A { sint32 a = 1; }',
    ['incompatible field-type-changed p.A.a: number 1 was int32 and is now sint32'],
  ],
  [
    'a type widened',
    'message A { int32 a = 1; }',
    'message A { int64 a = 1; }',
    [
      'warning field-type-widened p.A.a: number 1 was int32 and is now int64: the same bytes, but values may be cut',
    ],
  ],
  [
    'another message type',
    'message X {} message Y {} message A { X a = 1; }',
    'message X {} message Y {} message A { Y a = 1; }',
    ['incompatible field-type-changed p.A.a: number 1 was p.X and is now p.Y'],
  ],
  [
    'a field removed',
    'message A { string a = 1; string b = 2; }',
    'message A { string b = 2; }',
    ['incompatible field-removed p.A.a: is gone, and its number 1 is not reserved'],
  ],
  [
    'a field renumbered',
    'message A { string a = 1; }',
    'message A { string a = 2; }',
    ['incompatible field-removed p.A.a: now has number 2, and its number 1 is not reserved'],
  ],
  [
    'a field removed and reserved',
    'message A { string a = 1; }',
    'message A { reserved 1; reserved "a"; }',
    [],
  ],
  [
    'a field removed, its name free',
    'message A { string a = 1; }',
    'message A { reserved 1 to 5; }',
    ['warning field-name-free p.A.a: is gone: its number is reserved, its name is not'],
  ],
  [
    'a field renamed',
    'message A { string a = 1; }',
    'message A { string b = 1; }',
    ['warning field-renamed p.A.a: is now b: JSON and code call it otherwise'],
  ],
  [
    'a json name changed',
    'message A { string a = 1; }',
    'message A { string a = 1 [json_name = "x"]; }',
    ['warning json-name-changed p.A.a: JSON called it a and now x'],
  ],
  [
    'one to many',
    'message A { string a = 1; }',
    'message A { repeated string a = 1; }',
    ['incompatible field-shape-changed p.A.a: number 1 was one string and is now repeated string'],
  ],
  [
    'many to map',
    'message A { repeated string a = 1; }',
    'message A { map<string, string> a = 1; }',
    ['incompatible field-shape-changed p.A.a: number 1 was repeated string and is now map<string, string>'],
  ],
  [
    'a map with other keys',
    'message A { map<string, bytes> a = 1; }',
    'message A { map<int32, bytes> a = 1; }',
    ['incompatible field-type-changed p.A.a: number 1 was map<string, bytes> and is now map<int32, bytes>'],
  ],
  [
    'optional added',
    'message A { int32 a = 1; }',
    'message A { optional int32 a = 1; }',
    ['warning field-presence-changed p.A.a: is now optional'],
  ],
  [
    'into a oneof',
    'message A { int32 a = 1; int32 b = 2; }',
    'message A { oneof o { int32 a = 1; int32 b = 2; } }',
    [
      'incompatible field-oneof-changed p.A.a: was in no oneof and is now in oneof o',
      'incompatible field-oneof-changed p.A.b: was in no oneof and is now in oneof o',
    ],
  ],
  [
    'out of a oneof',
    'message A { oneof o { int32 a = 1; int32 b = 2; } }',
    'message A { int32 a = 1; oneof o { int32 b = 2; } }',
    ['incompatible field-oneof-changed p.A.a: was in oneof o and is now in no oneof'],
  ],
  [
    'a oneof renamed',
    'message A { oneof o { int32 a = 1; int32 b = 2; } }',
    'message A { oneof u { int32 a = 1; int32 b = 2; int32 c = 3; } }',
    [],
  ],
  [
    'a reserved number used',
    'message A { reserved 3, 5 to max; reserved "x"; }',
    'message A { int32 x = 7; }',
    [
      'incompatible reserved-number-used p.A: x takes number 7, which was reserved',
      'warning reserved-name-used p.A: x is a name that was reserved',
    ],
  ],
  ['an enum gone', 'enum E { Z = 0; }', 'message E2 {}', ['incompatible enum-removed p.E: enum p.E is gone']],
  [
    'an enum value renumbered',
    'enum E { Z = 0; A = 1; }',
    'enum E { Z = 0; A = 2; }',
    ['incompatible enum-value-renumbered p.E.A: was 1 and is now 2'],
  ],
  [
    'an enum value removed',
    'enum E { Z = 0; A = 1; }',
    'enum E { Z = 0; }',
    ['incompatible enum-value-removed p.E.A: is gone, and its number 1 is not reserved'],
  ],
  ['an enum value removed and reserved', 'enum E { Z = 0; A = 1; }', 'enum E { Z = 0; reserved 1; }', []],
  [
    'an enum value renamed',
    'enum E { Z = 0; A = 1; }',
    'enum E { Z = 0; B = 1; }',
    ['warning enum-value-renamed p.E.A: is now B: JSON has other text'],
  ],
  [
    'a reserved enum number used',
    'enum E { Z = 0; reserved 4 to 6; }',
    'enum E { Z = 0; B = 6; }',
    ['incompatible reserved-number-used p.E: B takes number 6, which was reserved'],
  ],
  [
    'a service gone',
    'message A {} service S { rpc G(A) returns (A); }',
    'message A {}',
    ['incompatible service-removed p.S: service p.S is gone'],
  ],
  [
    'a method gone',
    'message A {} service S { rpc G(A) returns (A); }',
    'message A {} service S { rpc H(A) returns (A); }',
    ['incompatible method-removed p.S.G: method G is gone'],
  ],
  [
    'a method streams',
    'message A {} service S { rpc G(A) returns (A); }',
    'message A {} service S { rpc G(A) returns (stream A); }',
    ['incompatible method-streaming-changed p.S.G: was unary and is now a stream of responses'],
  ],
  [
    'a method takes another message',
    'message A {} message B {} service S { rpc G(A) returns (A); }',
    'message A {} message B {} service S { rpc G(B) returns (A); }',
    ['incompatible method-type-changed p.S.G: its request was p.A and is now p.B'],
  ],
  [
    'a method loses its idempotency',
    'message A {} service S { rpc G(A) returns (A) { option idempotency_level = IDEMPOTENT; } }',
    'message A {} service S { rpc G(A) returns (A); }',
    ['warning method-idempotency-lost p.S.G: is no longer idempotent: clients stop trying it again'],
  ],
];

for (const [title, before, after, expected] of TABLE) {
  test(`check: ${title}`, (t) => {
    const changes = compare(t, HEAD + before, HEAD + after);
    assert.deepEqual(
      changes.map(({ severity, kind, name, message }) => `${severity} ${kind} ${name}: ${message}`),
      expected,
    );
  });
}

test('check: a renamed package is one change, and what is in it is compared under its new name', (t) => {
  const before =
    'syntax = "proto3"; package p.v1; message A { A a = 1; int32 b = 2; } service S { rpc G(A) returns (A); }';
  const after = 'syntax = "proto3"; package p.v2; message A { A a = 1; } service S { rpc G(A) returns (A); }';
  assert.deepEqual(
    compare(t, before, after).map(({ kind, name }) => `${kind} ${name}`),
    ['package-renamed p.v1', 'field-removed p.v1.A.b'],
  );
});

test('check: proto2 fields that become or cease to be required', (t) => {
  const head = 'syntax = "proto2"; ';
  const before = `${head}message A { optional int32 a = 1; required int32 b = 2; }`;
  const after = `${head}message A { required int32 a = 1; optional int32 b = 2; required int32 c = 3; }`;
  assert.deepEqual(
    compare(t, before, after).map(({ kind, name, message }) => `${kind} ${name}: ${message}`),
    [
      'field-required-changed A.a: is now required',
      'field-required-changed A.b: is no longer required',
      'field-required-changed A: c is new and required: old senders leave it out',
    ],
  );
});

test('check: each change names the old and the new place', (t) => {
  const before = `${HEAD}\nmessage A {\n  string a = 1;\n  message In {\n    int32 x = 1;\n  }\n}\n`;
  const after = `${HEAD}message A {\n  // Moved.\n  message In {\n    string x = 1;\n  }\n}\n`;
  assert.deepEqual(
    compare(t, before, after).map(({ name, oldPlace, newPlace }) => [name, oldPlace.line, newPlace.line]),
    [
      ['p.A.a', 4, 2], // where its message is
      ['p.A.In.x', 6, 5],
    ],
  );
});
