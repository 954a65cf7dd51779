// The JSON serializer: proto3's mapping, its well-known types, and what it refuses.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type ContractOptions, loadProto, type MessageType, type ProtoPackage } from '../../rpc/index.js';

const ALL_TYPES = fileURLToPath(new URL('../../../test/rpc/proto/all-types.proto', import.meta.url));
const FOLDER = mkdtempSync(path.join(tmpdir(), 'reactor-net-json-'));
after(() => rmSync(FOLDER, { recursive: true, force: true }));
writeFileSync(
  path.join(FOLDER, 'known.proto'),
  `syntax = "proto3"; package known;
  import "google/protobuf/any.proto"; import "google/protobuf/duration.proto"; import "google/protobuf/field_mask.proto";
  import "google/protobuf/struct.proto"; import "google/protobuf/timestamp.proto"; import "google/protobuf/wrappers.proto";
  message Known {
    google.protobuf.Timestamp at = 1;
    google.protobuf.Duration took = 2;
    google.protobuf.Struct data = 3;
    google.protobuf.Value value = 4;
    google.protobuf.Int64Value count = 5;
    google.protobuf.StringValue text = 6;
    google.protobuf.BytesValue blob = 7;
    google.protobuf.FieldMask mask = 8;
    google.protobuf.Any any = 9;
    string named = 10 [json_name = "@name"];
    google.protobuf.NullValue nothing = 11;
    google.protobuf.ListValue list = 12;
    google.protobuf.BoolValue flag = 13;
  }`,
);

function load(options: ContractOptions = {}): ProtoPackage {
  return loadProto([ALL_TYPES, path.join(FOLDER, 'known.proto')], options);
}

const PACKAGE = load();
const SCALARS = PACKAGE.messageType('types.Scalars');
const TREE = PACKAGE.messageType('types.Tree');
const KNOWN = PACKAGE.messageType('known.Known');

const invalid = (text: RegExp): { code: string; message: RegExp } => ({
  code: 'RPC_MESSAGE_INVALID',
  message: text,
});

/** Through JSON text and back, as the serializer does it. */
function through(type: MessageType, message: unknown): unknown {
  const encoded = type.codec('json').encode(message);
  const bytes = new Uint8Array(encoded.bytes + 3);
  encoded.writeTo(bytes, 3);
  return type.codec('json').decode(bytes.subarray(3));
}

test('scalars have the JSON of the specification, and defaults are left out', () => {
  const message = {
    aDouble: Number.NaN,
    aFloat: Number.NEGATIVE_INFINITY,
    anInt32: -1,
    anInt64: -(2n ** 63n),
    aUint64: 2n ** 64n - 1n,
    aBool: true,
    aString: 'é"',
    aBytes: new Uint8Array([0, 255, 254]),
    aMood: 2,
  };
  assert.deepEqual(SCALARS.toJson(message), {
    aDouble: 'NaN',
    aFloat: '-Infinity',
    anInt32: -1,
    anInt64: '-9223372036854775808',
    aUint64: '18446744073709551615',
    aBool: true,
    aString: 'é"',
    aBytes: 'AP/+',
    aMood: 'SAD',
  });
  assert.deepEqual(SCALARS.toJson(SCALARS.fromJson({})), {});
  assert.deepEqual(Object.assign({}, SCALARS.fromJson({}), message), through(SCALARS, message));
});

test('input may use names of the .proto, numbers as text, numbers of enums, and base64 of either alphabet', () => {
  const message = SCALARS.fromJson({
    an_int64: 12,
    a_uint32: '7',
    aDouble: '1.5e3',
    a_mood: 1,
    aBytes: '_-4',
    anInt32: 1e2,
    aUint64: '1e3',
    aString: null,
  }) as Record<string, unknown>;
  assert.equal(message['anInt64'], 12n);
  assert.equal(message['aUint32'], 7);
  assert.equal(message['aDouble'], 1500);
  assert.equal(message['aMood'], 1);
  assert.deepEqual(message['aBytes'], new Uint8Array([0xff, 0xee]));
  assert.equal(message['anInt32'], 100);
  assert.equal(message['aUint64'], 1000n);
  assert.equal(message['aString'], '');
});

test('lists, maps, oneofs and nested messages come back as they were', () => {
  const message = {
    label: 'root',
    children: [TREE.fromJson({ label: 'a' }), TREE.fromJson({ text: '' })],
    weights: [1, -0, Number.POSITIVE_INFINITY],
    ids: [1n, -1n],
    blobs: [new Uint8Array([1])],
    names: ['x'],
    moods: [0, 2, 99],
    byName: { '': TREE.fromJson({}) },
    byNumber: { '-9223372036854775808': new Uint8Array() },
    flags: { true: 1 },
    inner: TREE.fromJson({ maybe: 0 }),
    maybeText: '',
  };
  assert.deepEqual(through(TREE, message), message);
});

test('what does not fit is refused and its path named', () => {
  const cases: readonly [unknown, RegExp][] = [
    [{ lable: 'x' }, /Tree: lable: types\.Tree has no such field$/],
    [{ children: [{ label: 5 }] }, /children\[0\]\.label: expected a string, got 5$/],
    [{ byName: { a: [] } }, /byName\["a"\]: expected an object, got an array$/],
    [{ ids: ['9223372036854775808'] }, /ids\[0\]: 9223372036854775808 is outside of int64$/],
    [{ ids: [1.5] }, /ids\[0\]: expected a 64-bit integer/],
    [{ ids: [2 ** 53] }, /ids\[0\]: .*too large to be exact/],
    [{ maybe: 2147483648 }, /maybe: expected a 32-bit integer/],
    [{ moods: ['ANGRY'] }, /moods\[0\]: types\.Mood has no value "ANGRY"$/],
    [{ blobs: ['%'] }, /blobs\[0\]: expected base64 text/],
    [{ text: 'a', number: '1' }, /at most one field of choice may be set/],
    [{ by_name: {}, byName: {} }, /given twice/],
    [{ flags: { yes: 1 } }, /flags\["yes"\]/],
    [{ names: [null] }, /names\[0\]: expected a string, got null/],
    [[], /expected an object, got an array/],
  ];
  for (const [json, text] of cases)
    assert.throws(() => TREE.fromJson(json), invalid(text), JSON.stringify(json));
  assert.throws(() => TREE.toJson({ label: 1 }), invalid(/label: expected a string/));
  assert.throws(() => TREE.toJson({ ids: ['x'] }), invalid(/ids\[0\]: expected a 64-bit integer/));
  assert.throws(() => TREE.codec('json').decode(Buffer.from('{')), invalid(/cannot decode types\.Tree/));
  assert.throws(() => TREE.codec('json').decode(Buffer.from([0x22, 0xff, 0x22])), invalid(/cannot decode/));
});

test('unknown names are ignored where the contract was loaded so', () => {
  const type = load({ ignoreUnknownJson: true }).messageType('types.Tree');
  const message = type.fromJson({ lable: 'x', label: 'y', moods: ['ANGRY', 'SAD'] }) as Record<
    string,
    unknown
  >;
  assert.equal(message['label'], 'y');
  assert.deepEqual(message['moods'], [2]);
});

test('objects nested beyond the limit are refused', () => {
  let json: object = {};
  for (let depth = 0; depth < 101; depth += 1) json = { inner: json };
  assert.throws(() => TREE.fromJson(json), invalid(/nested deeper than 100/));
  const message: Record<string, unknown> = {};
  message['inner'] = message;
  assert.throws(() => TREE.toJson(message), invalid(/nested deeper than 100/));
});

test('well-known types have their own JSON, both ways', () => {
  const any = { '@type': 'type.googleapis.com/types.Scalars', anInt64: '5' };
  const cases: readonly [Record<string, unknown>, Record<string, unknown>][] = [
    [{ at: { seconds: 1706702400n, nanos: 5_000_000 } }, { at: '2024-01-31T12:00:00.005Z' }],
    [{ at: { seconds: -62135596800n, nanos: 0 } }, { at: '0001-01-01T00:00:00Z' }],
    [{ took: { seconds: -1n, nanos: -500_000_000 } }, { took: '-1.500s' }],
    [{ took: { seconds: 0n, nanos: 1 } }, { took: '0.000000001s' }],
    [{ count: { value: 0n } }, { count: '0' }],
    [{ text: { value: 'x' } }, { text: 'x' }],
    [{ flag: { value: false } }, { flag: false }],
    [{ blob: { value: new Uint8Array([1]) } }, { blob: 'AQ==' }],
    [{ mask: { paths: ['a_b', 'c.d_e'] } }, { mask: 'aB,c.dE' }],
    [{ value: { nullValue: 0 } }, { value: null }],
    [{ named: 'n' }, { '@name': 'n' }],
    [
      {
        data: {
          fields: {
            a: { listValue: { values: [{ numberValue: 1 }, { stringValue: 's' }, { boolValue: true }] } },
          },
        },
      },
      { data: { a: [1, 's', true] } },
    ],
    [{ list: { values: [{ nullValue: 0 }] } }, { list: [null] }],
    [{ any: { typeUrl: any['@type'], value: new Uint8Array([0x20, 5]) } }, { any }],
    [
      { any: { typeUrl: 'x/google.protobuf.Duration', value: new Uint8Array([8, 3]) } },
      { any: { '@type': 'x/google.protobuf.Duration', value: '3s' } },
    ],
  ];
  for (const [message, json] of cases) {
    assert.deepEqual(KNOWN.toJson(message), json);
    const back = KNOWN.fromJson(json) as Record<string, unknown>;
    for (const [key, value] of Object.entries(message)) assert.deepEqual(back[key], value);
  }
  // Other forms of the same.
  const at = KNOWN.fromJson({ at: '2024-01-31T13:30:00.000005+01:30' }) as {
    at: { seconds: bigint; nanos: number };
  };
  assert.deepEqual(at.at, { seconds: 1706702400n, nanos: 5000 });
});

test('what well-known types cannot say is refused', () => {
  for (const json of [
    { at: '2024-02-31T00:00:00Z' },
    { at: '2024-01-01' },
    { at: 5 },
    { took: '1.5' },
    { took: '315576000001s' },
    { mask: 'a_b' },
    { any: { '@type': 'x/none.Such' } },
    { any: { anInt64: '5' } },
    { count: '1.5' },
  ]) {
    assert.throws(() => KNOWN.fromJson(json), invalid(/known\.Known: /), JSON.stringify(json));
  }
  for (const message of [
    { at: { seconds: 253402300800n } },
    { took: { seconds: 1n, nanos: -1 } },
    { value: {} },
    { value: { numberValue: Number.NaN } },
    { any: { typeUrl: 'x/types.Scalars', value: new Uint8Array([0xff]) } },
  ]) {
    assert.throws(() => KNOWN.toJson(message), invalid(/known\.Known: /));
  }
});
