// .proto files to contracts: imports, search paths, what is wrong with a file, descriptors there and back.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import protobufDescriptor from 'protobufjs/ext/descriptor.js';
import { loadDescriptors, loadProto, type MessageType, RpcError } from '../../rpc/index.js';

const ECHO = fileURLToPath(new URL('../../../test/rpc/proto/echo.proto', import.meta.url));
const ALL_TYPES = fileURLToPath(new URL('../../../test/rpc/proto/all-types.proto', import.meta.url));

/** A folder with these files, removed when the test ends. */
function folderOf(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'reactor-net-proto-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  return folder;
}

function roundTrip(type: MessageType, message: unknown): unknown {
  const encoded = type.codec('protobuf').encode(message);
  const bytes = new Uint8Array(encoded.bytes);
  encoded.writeTo(bytes, 0);
  return type.codec('protobuf').decode(bytes);
}

const isProtoInvalid =
  (text: RegExp) =>
  (error: unknown): boolean => {
    assert(error instanceof RpcError);
    assert.equal(error.code, 'RPC_PROTO_INVALID');
    assert.match(error.message, text);
    return true;
  };

const HEAD = 'syntax = "proto3";\npackage p;\n';

test('a service has its methods by local name, each with path, kind and idempotency', () => {
  const { methods, fullName } = loadProto(ECHO).service('demo.Echo');
  assert.equal(fullName, 'demo.Echo');
  assert.deepEqual(
    Object.values(methods).map(({ path, localName, kind, idempotency }) => [
      path,
      localName,
      kind,
      idempotency,
    ]),
    [
      ['/demo.Echo/Say', 'say', 'unary', 'idempotent'],
      ['/demo.Echo/List', 'list', 'server-stream', 'unknown'],
      ['/demo.Echo/Upload', 'upload', 'client-stream', 'unknown'],
      ['/demo.Echo/Chat', 'chat', 'bidi-stream', 'unknown'],
      ['/demo.Echo/Count', 'count', 'unary', 'unknown'],
    ],
  );
  assert.equal(methods['say']?.requestType.fullName, 'demo.SayRequest');
  assert.equal(methods['constructor'], undefined);
});

test('an unknown service or message is refused, and the services there are named', () => {
  const demo = loadProto(ECHO);
  assert.throws(
    () => demo.service('demo.Ecko'),
    isProtoInvalid(/^no service demo\.Ecko: there are demo\.Echo$/),
  );
  assert.throws(() => demo.messageType('demo.Nope'), isProtoInvalid(/^no message demo\.Nope$/));
});

test('imports are found in the import paths, in folders, publicly, and among the well-known', (t) => {
  const folder = folderOf(t, {
    'api/main.proto': `${HEAD}import "common/public.proto"; import "google/protobuf/timestamp.proto";
      message Main { common.Money price = 1; google.protobuf.Timestamp at = 2; }`,
    'shared/common/public.proto': `syntax = "proto3"; import public "common/money.proto";`,
    'shared/common/money.proto': `syntax = "proto3"; package common; message Money { int64 units = 1; }`,
  });
  const { messageType } = {
    messageType: (name: string) =>
      loadProto(path.join(folder, 'api/main.proto'), {
        importPaths: [path.join(folder, 'api'), path.join(folder, 'shared')],
      }).messageType(name),
  };
  const message = { price: { units: 5n }, at: { seconds: 7n, nanos: 8 } };
  assert.deepEqual(roundTrip(messageType('p.Main'), message), message);
});

test("names are found by protobuf's scoping, from the innermost message outwards", (t) => {
  const folder = folderOf(t, {
    'a.proto': `syntax = "proto3"; package x.y;
      message Inner { string outer_one = 1; }
      message Outer {
        message Inner { string inner_one = 1; }
        Inner a = 1;
        .x.y.Inner b = 2;
        y.Inner c = 3;
        map<string, Inner> d = 4;
      }`,
  });
  const type = loadProto(path.join(folder, 'a.proto')).messageType('x.y.Outer');
  const message = {
    a: { innerOne: '1' },
    b: { outerOne: '2' },
    c: { outerOne: '3' },
    d: { k: { innerOne: '4' } },
  };
  assert.deepEqual(roundTrip(type, message), message);
});

test('what is wrong with a file is said with its name and line', (t) => {
  const cases: readonly [string, RegExp][] = [
    ['message {', /^a\.proto:3: illegal type name '\{'$/],
    ['message A { strin text = 1; }', /^a\.proto:3: no such type: strin$/],
    ['message A {\n\n  B b = 1;\n}', /^a\.proto:5: no such type: B$/],
    ['service S {\n  rpc Get(A) returns (A);\n}', /^a\.proto:4: no such type: A$/],
    [
      'enum E { Z = 0; }\nservice S { rpc Get(E) returns (E); }',
      /^a\.proto:4: E is not a message but an enum$/,
    ],
    ['import "gone.proto";', /^a\.proto:3: cannot find "gone\.proto" in /],
    [
      'import "b.proto";\nmessage A { c.Hidden x = 1; }',
      /^a\.proto:4: c\.Hidden is in c\.proto, which is not imported$/,
    ],
    ['import "loop.proto";', /^loop\.proto:1: files import each other: a\.proto -> loop\.proto -> a\.proto$/],
    ['message A {}\nmessage A {}', /a\.proto.*A/],
    ['message A { string a = 1; string b = 1; }', /a\.proto.*1/],
    [
      'message A { string foo_bar = 1; string fooBar = 2; }',
      /a\.proto: p\.A: .* would both be called fooBar$/,
    ],
    ['message A { string a = 19500; }', /a\.proto: .*19000 to 19999/],
    ['enum E { ONE = 1; }', /a\.proto: p\.E: the first value must be 0$/],
    ['message M {} service S { rpc Get(M) returns (M); rpc get(M) returns (M); }', /both be called get$/],
  ];
  for (const [body, text] of cases) {
    const folder = folderOf(t, {
      'a.proto': HEAD + body,
      'b.proto': 'syntax = "proto3"; import "c.proto";',
      'c.proto': 'syntax = "proto3"; package c; message Hidden {}',
      'loop.proto': 'syntax = "proto3"; import "a.proto";',
    });
    assert.throws(() => loadProto(path.join(folder, 'a.proto')), isProtoInvalid(text), body);
  }
  assert.throws(() => loadProto('/nowhere/a.proto'), isProtoInvalid(/^\/nowhere\/a\.proto: no such file$/));
  assert.throws(() => loadProto([]), isProtoInvalid(/at least one/));
});

test('proto2: presence, required, closed enums, groups, packed only where asked, defaults not filled in', (t) => {
  const folder = folderOf(t, {
    'two.proto': `syntax = "proto2"; package two;
      enum Size { SMALL = 1; LARGE = 2; }
      message Thing {
        required string name = 1;
        optional int32 count = 2 [default = 7];
        optional Size size = 3;
        repeated int32 loose = 4;
        repeated int32 tight = 5 [packed = true];
        optional group Part = 6 { optional string label = 1; }
        repeated group Item = 7 { optional int64 id = 1; }
        extensions 100 to 199;
      }
      extend Thing { optional string note = 100; }`,
  });
  const file = path.join(folder, 'two.proto');
  const type = loadProto(file).messageType('two.Thing');
  const message = {
    name: '',
    count: 0,
    size: 2,
    loose: [1, 2],
    tight: [3],
    part: { label: 'x' },
    item: [{ id: 1n }, { id: 2n }],
  };
  assert.deepEqual(roundTrip(type, message), message);
  assert.deepEqual(roundTrip(type, { name: 'n' }), { name: 'n', loose: [], tight: [], item: [] });
  const peer = protobuf.loadSync(file).lookupType('two.Thing');
  const encoded = type.codec('protobuf').encode(message);
  const bytes = new Uint8Array(encoded.bytes);
  encoded.writeTo(bytes, 0);
  assert.deepEqual(Uint8Array.from(peer.encode(peer.fromObject(message)).finish()), bytes);
  const isMessageInvalid = (text: RegExp) => ({ code: 'RPC_MESSAGE_INVALID', message: text });
  assert.throws(() => roundTrip(type, {}), isMessageInvalid(/encode two\.Thing: name: missing/));
  assert.throws(
    () => roundTrip(type, { name: '', size: 3 }),
    isMessageInvalid(/size: expected a number of two\.Size, got 3/),
  );
  const decode = (...each: number[]): unknown => type.codec('protobuf').decode(Uint8Array.from(each));
  assert.throws(() => decode(), isMessageInvalid(/decode two\.Thing: name: missing/));
  // A number that a closed enum does not have is as if it were not there.
  assert.deepEqual(decode(0x0a, 0, 0x18, 9), { name: '', loose: [], tight: [], item: [] });
});

test('editions: presence, enums and encodings follow the features', (t) => {
  const folder = folderOf(t, {
    'e.proto': `edition = "2023"; package e;
      option features.field_presence = IMPLICIT;
      enum Open { ZERO = 0; ONE = 1; }
      message M {
        int32 implicit = 1;
        int32 explicit = 2 [features.field_presence = EXPLICIT];
        repeated int32 expanded = 3 [features.repeated_field_encoding = EXPANDED];
        M delimited = 4 [features.message_encoding = DELIMITED];
        Open open = 5;
      }`,
  });
  const type = loadProto(path.join(folder, 'e.proto')).messageType('e.M');
  assert.deepEqual(roundTrip(type, { explicit: 0, open: 9 }), {
    implicit: 0,
    explicit: 0,
    expanded: [],
    open: 9,
  });
  const encoded = type.codec('protobuf').encode({ expanded: [1, 2], delimited: { implicit: 3 } });
  const bytes = new Uint8Array(encoded.bytes);
  encoded.writeTo(bytes, 0);
  assert.deepEqual([...bytes], [0x18, 1, 0x18, 2, 0x23, 0x08, 3, 0x24]);
});

test('descriptors hold file names, syntax and packages, dependencies first, and make the same contract again', (t) => {
  const folder = folderOf(t, {
    'api/v1/main.proto': `${HEAD}import "api/v1/types.proto"; import "google/protobuf/empty.proto";
      service S { rpc Get(types.T) returns (google.protobuf.Empty) { option idempotency_level = NO_SIDE_EFFECTS; } }`,
    'api/v1/types.proto': `syntax = "proto3"; package types;
      message T { repeated int64 ids = 1; optional string note = 2; map<string, T> more = 3; oneof pick { bool a = 4; T b = 5; } }`,
  });
  const first = loadProto(path.join(folder, 'api/v1/main.proto'), { importPaths: [folder] });
  const bytes = first.service('p.S').fileDescriptors();
  const files = bytes.map((each) => protobufDescriptor.FileDescriptorProto.decode(each).toJSON());
  assert.deepEqual(
    files.map(({ name, package: scope, syntax, dependency }) => [name, scope, syntax, dependency]),
    [
      ['api/v1/types.proto', 'types', 'proto3', undefined],
      ['google/protobuf/empty.proto', 'google.protobuf', 'proto3', undefined],
      ['api/v1/main.proto', 'p', 'proto3', ['api/v1/types.proto', 'google/protobuf/empty.proto']],
    ],
  );
  const again = loadDescriptors([...bytes].toReversed());
  assert.equal(again.service('p.S').methods['get']?.idempotency, 'no-side-effects');
  const message = {
    ids: [1n, -2n],
    note: '',
    more: { x: { ids: [], more: {} } },
    b: { ids: [3n], more: {} },
  };
  assert.deepEqual(roundTrip(again.messageType('types.T'), message), message);
  assert.deepEqual(again.service('p.S').fileDescriptors(), bytes);
  // Another implementation understands them too.
  const root = protobuf.Root.fromDescriptor(
    protobufDescriptor.FileDescriptorSet.create({
      file: bytes.map((each) => protobufDescriptor.FileDescriptorProto.decode(each)),
    }) as never,
  );
  root.resolveAll();
  const peer = root.lookupType('types.T');
  const encoded = again.messageType('types.T').codec('protobuf').encode(message);
  const wire = new Uint8Array(encoded.bytes);
  encoded.writeTo(wire, 0);
  assert.deepEqual(Uint8Array.from(peer.encode(peer.decode(wire)).finish()), wire);
});

test('fields with names that every object inherits are fields like any other', (t) => {
  const folder = folderOf(t, {
    'a.proto': `${HEAD}message A { int64 constructor = 1; optional string to_string = 2; A value_of = 3; repeated A has_own_property = 4; }`,
  });
  const type = loadProto(path.join(folder, 'a.proto')).messageType('p.A');
  assert.deepEqual(roundTrip(type, {}), { constructor: 0n, hasOwnProperty: [] });
  assert.deepEqual(type.toJson({}), {});
  const message = {
    constructor: 1n,
    toString: 'x',
    valueOf: { constructor: 2n, hasOwnProperty: [] },
    hasOwnProperty: [],
  };
  assert.deepEqual(Object.entries(roundTrip(type, message) as object).length, 4);
  assert.deepEqual(type.toJson(message), { constructor: '1', toString: 'x', valueOf: { constructor: '2' } });
});

test('groups in groups, and many empty ones, do not outgrow the buffer', (t) => {
  const folder = folderOf(t, {
    'g.proto':
      'syntax = "proto2"; message G { repeated group Inner = 5000 { optional G g = 1; optional group Own = 9999 { optional group Deep = 7777 {} } } }',
  });
  const type = loadProto(path.join(folder, 'g.proto')).messageType('G');
  const message = { inner: Array.from({ length: 500 }, () => ({ own: { deep: {} } })) };
  assert.deepEqual(roundTrip(type, message), message);
});

test('a well-known file that a reflection service leaves out is added', (t) => {
  const folder = folderOf(t, {
    'a.proto': `${HEAD}import "google/protobuf/struct.proto"; message A { google.protobuf.Struct s = 1; } service S { rpc G(A) returns (A); }`,
  });
  const bytes = loadProto(path.join(folder, 'a.proto')).service('p.S').fileDescriptors();
  const again = loadDescriptors([bytes.at(-1)!]);
  const message = { s: { fields: { x: { numberValue: 1 } } } };
  assert.deepEqual(roundTrip(again.messageType('p.A'), message), message);
});

test('descriptors from elsewhere that are wrong are refused, whatever is wrong with them', () => {
  const type = protobufDescriptor.FileDescriptorProto;
  const cases: readonly [object, RegExp][] = [
    [{ name: 'x', messageType: [{ name: 'A"];evil()//' }] }, /bad name/],
    [{ name: 'x', package: 'a b', messageType: [] }, /no name of a package/],
    [{ name: 'x', syntax: 'proto9' }, /syntax "proto9" is not known/],
    [
      { name: 'x', messageType: [{ name: 'A', field: [{ name: 'a-b', number: 1, type: 9, label: 1 }] }] },
      /bad field name/,
    ],
    [
      { name: 'x', messageType: [{ name: 'A', field: [{ name: 'a', number: 0, type: 9, label: 1 }] }] },
      /field numbers are/,
    ],
    [
      {
        name: 'x',
        messageType: [{ name: 'A', field: [{ name: 'a', number: 1, type: 11, typeName: '.B', label: 1 }] }],
      },
      /no such message: \.B/,
    ],
    [{ name: 'x', dependency: ['x'] }, /import each other/],
  ];
  for (const [file, text] of cases) {
    assert.throws(() => loadDescriptors([type.encode(type.fromObject(file)).finish()]), isProtoInvalid(text));
  }
  assert.throws(() => loadDescriptors([new Uint8Array([0xff, 1, 2])]), isProtoInvalid(/not a serialized/));
});

test('an impossible int64 option is refused', () => {
  assert.throws(() => loadProto(ALL_TYPES, { int64: 'number' as never }), { code: 'RPC_OPTION_INVALID' });
});
