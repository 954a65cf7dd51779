// Messages through the protobuf serializer: against protobufjs, at the edges of types, and with bytes that are none.

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import test from 'node:test';
import * as fc from 'fast-check';
import protobuf from 'protobufjs';
import { loadProto, type MessageType, RpcError } from '../../rpc/index.js';

const ALL_TYPES = fileURLToPath(new URL('../../../test/rpc/proto/all-types.proto', import.meta.url));
const PACKAGE = loadProto(ALL_TYPES);
const SCALARS = PACKAGE.messageType('types.Scalars');
const TREE = PACKAGE.messageType('types.Tree');
const PEER = protobuf.loadSync(ALL_TYPES);

function encode(type: MessageType, message: unknown): Uint8Array {
  const encoded = type.codec('protobuf').encode(message);
  const bytes = new Uint8Array(encoded.bytes);
  encoded.writeTo(bytes, 0);
  return bytes;
}

function decode(type: MessageType, bytes: Uint8Array): Record<string, unknown> {
  return type.codec('protobuf').decode(bytes) as Record<string, unknown>; // messages are objects
}

/** Null when it throws. */
function outcome(run: () => Uint8Array): Uint8Array | null {
  try {
    return run();
  } catch {
    return null; // refused, for whatever reason
  }
}

const isInvalid =
  (text: RegExp) =>
  (error: unknown): boolean => {
    assert(error instanceof RpcError);
    assert.equal(error.code, 'RPC_MESSAGE_INVALID');
    assert.match(error.message, text);
    return true;
  };

const INT32 = fc.integer();
const UINT32 = fc.integer({ min: 0, max: 0xffffffff });
const INT64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const UINT64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const TEXT = fc.string({ unit: 'grapheme', maxLength: 200 });
const BYTES = fc.uint8Array({ maxLength: 200 }).map((bytes) => Uint8Array.from(bytes));

const SCALAR_MESSAGE = fc.record({
  aDouble: fc.double(),
  aFloat: fc.float(),
  anInt32: INT32,
  anInt64: INT64,
  aUint32: UINT32,
  aUint64: UINT64,
  aSint32: INT32,
  aSint64: INT64,
  aFixed32: UINT32,
  aFixed64: UINT64,
  aSfixed32: INT32,
  aSfixed64: INT64,
  aBool: fc.boolean(),
  aString: TEXT,
  aBytes: BYTES,
  aMood: fc.oneof(fc.constantFrom(0, 1, 2), INT32),
});

type Drawn = Record<string, unknown>;

const TREE_MESSAGE = fc.memo((depth): fc.Arbitrary<Drawn> => {
  const subtree = depth > 1 ? TREE_MESSAGE(depth - 1) : null;
  const childrenMax = subtree === null ? 0 : 2;
  const child: fc.Arbitrary<Drawn> = subtree ?? fc.constant({});
  return fc
    .record({
      label: TEXT,
      children: fc.array(child, { maxLength: childrenMax }),
      weights: fc.array(fc.double(), { maxLength: 20 }),
      ids: fc.array(INT64, { maxLength: 20 }),
      blobs: fc.array(BYTES, { maxLength: 3 }),
      names: fc.array(TEXT, { maxLength: 3 }),
      moods: fc.array(fc.constantFrom(0, 1, 2), { maxLength: 5 }),
      byName: fc.dictionary(TEXT, child, { maxKeys: childrenMax }),
      byNumber: fc.dictionary(INT64.map(String), BYTES, { maxKeys: 3 }),
      flags: fc.dictionary(fc.constantFrom('true', 'false'), INT32, { maxKeys: 2 }),
      choice: fc.oneof(
        fc.record({ number: INT64 }),
        fc.record({ text: TEXT }),
        subtree === null ? fc.constant({}) : fc.record({ inner: subtree }),
        fc.constant({}),
      ),
      presence: fc.record({ maybe: INT32, maybeText: TEXT }, { requiredKeys: [] }),
    })
    .map(({ choice, presence, ...rest }) => Object.assign(rest, choice, presence));
});

/** Dictionaries of fast-check may have no prototype, ours always have one. */
const plain = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    Object.defineProperty(copy, key, {
      value: plain(item),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return copy;
};

test('any message of scalars comes back as it was, and protobufjs reads and writes the same bytes', () => {
  const peer = PEER.lookupType('types.Scalars');
  fc.assert(
    fc.property(SCALAR_MESSAGE, (drawn) => {
      const message = plain(drawn) as Record<string, unknown>; // of a record
      const bytes = encode(SCALARS, message);
      assert.deepEqual(decode(SCALARS, bytes), message);
      const read = peer.toObject(peer.decode(bytes), { longs: BigInt, defaults: true, bytes: Uint8Array });
      assert.deepEqual({ ...read, aBytes: Uint8Array.from(read['aBytes'] as Uint8Array) }, message);
      assert.deepEqual(Uint8Array.from(peer.encode(peer.fromObject(message)).finish()), bytes);
    }),
  );
});

test('any message with lists, maps, oneofs and messages comes back as it was, and protobufjs reads the same', () => {
  const peer = PEER.lookupType('types.Tree');
  fc.assert(
    fc.property(TREE_MESSAGE(3), (drawn) => {
      const message = plain(drawn);
      const bytes = encode(TREE, message);
      assert.deepEqual(decode(TREE, bytes), message);
      // What protobufjs makes of it and writes again is for us the same message.
      assert.deepEqual(decode(TREE, peer.encode(peer.decode(bytes)).finish()), message);
    }),
  );
});

test('64-bit integers are exact to their last value and refused beyond it', () => {
  for (const [name, smallest, largest] of [
    ['anInt64', -(2n ** 63n), 2n ** 63n - 1n],
    ['aSint64', -(2n ** 63n), 2n ** 63n - 1n],
    ['aSfixed64', -(2n ** 63n), 2n ** 63n - 1n],
    ['aUint64', 0n, 2n ** 64n - 1n],
    ['aFixed64', 0n, 2n ** 64n - 1n],
  ] as const) {
    for (const value of [smallest, largest, 0n, 1n, 9007199254740993n]) {
      assert.equal(decode(SCALARS, encode(SCALARS, { [name]: value }))[name], value);
    }
    for (const value of [smallest - 1n, largest + 1n, 0.5, Number.NaN, 2 ** 53, '1.5', '', {}, true]) {
      assert.throws(() => encode(SCALARS, { [name]: value }), isInvalid(new RegExp(`Scalars: ${name}: `)));
    }
    assert.equal(decode(SCALARS, encode(SCALARS, { [name]: '12' }))[name], 12n);
    assert.equal(decode(SCALARS, encode(SCALARS, { [name]: 12 }))[name], 12n);
  }
});

test('with int64 as strings, decoding gives decimal text', () => {
  const type = loadProto(ALL_TYPES, { int64: 'string' }).messageType('types.Scalars');
  const message = decode(type, encode(type, { anInt64: '-9223372036854775808', aUint64: 7n }));
  assert.equal(message['anInt64'], '-9223372036854775808');
  assert.equal(message['aUint64'], '7');
  assert.equal(message['aSint64'], '0');
});

test('decoded bytes survive the overwriting of what they were decoded from', () => {
  const bytes = encode(TREE, { blobs: [new Uint8Array([1, 2, 3]), new Uint8Array(100).fill(7)], label: 'x' });
  const message = decode(TREE, bytes);
  bytes.fill(0xff);
  assert.deepEqual(message['blobs'], [new Uint8Array([1, 2, 3]), new Uint8Array(100).fill(7)]);
});

test('a value of the wrong type is refused and its path named', () => {
  const wrong: readonly [unknown, RegExp][] = [
    [{ label: 1 }, /label: expected a string, got 1$/],
    [{ children: {} }, /children: expected an array, got an object$/],
    [{ children: [{}, { label: false }] }, /children\[1\]\.label: expected a string, got false$/],
    [{ children: [null] }, /children\[0\]: expected an object, got null$/],
    [{ weights: [1, '2'] }, /weights\[1\]: expected a number, got "2"$/],
    [{ ids: [0.5] }, /ids: expected a 64-bit integer, got 0\.5$/],
    [{ blobs: ['aGk='] }, /blobs\[0\]: expected a Uint8Array, got "aGk="$/],
    [{ byName: { a: { label: 2 } } }, /byName\["a"\]\.label: expected a string, got 2$/],
    [{ byName: new Map() }, /byName: expected an object/],
    [{ byNumber: { x: new Uint8Array() } }, /byNumber\["x"\]: expected a 64-bit integer, got "x"$/],
    [{ flags: { yes: 1 } }, /flags\["yes"\]: expected true or false as key/],
    [{ moods: ['HAPPY'] }, /moods\[0\]: expected a number of the enum, got "HAPPY"$/],
    [{ number: 1n, text: 'x' }, /at most one field of choice may be set, and there is also number/],
    [{ inner: { inner: { maybe: 2 ** 31 } } }, /inner\.inner\.maybe: expected a 32-bit integer/],
    ...['\ud800', 'a\udc00', '\ud800a', '\udc00\ud800', '\ud800\ud800'].map((label): [unknown, RegExp] => [
      { label },
      /label: expected Unicode text/,
    ]),
    [{ label: `${'x'.repeat(100)}\udfff` }, /label: expected Unicode text/],
    ['text', /expected an object, got "text"$/],
    [[], /expected an object, got an array$/],
  ];
  for (const [message, text] of wrong) assert.throws(() => encode(TREE, message), isInvalid(text));
  assert.throws(
    () => encode(SCALARS, { aFloat: 1e300 }),
    isInvalid(/aFloat: expected a number within float/),
  );
  assert.throws(() => encode(SCALARS, { aBool: 0 }), isInvalid(/aBool: expected a boolean, got 0/));
});

test('an object that contains itself is refused', () => {
  const message: Record<string, unknown> = {};
  message['inner'] = message;
  assert.throws(() => encode(TREE, message), isInvalid(/nested deeper than 100/));
});

test('messages nested deeper than the limit are refused, and those at the limit are not', () => {
  const nested = (depth: number): Uint8Array => {
    let bytes = new Uint8Array();
    for (let level = 0; level < depth; level += 1) {
      const outer = new protobuf.Writer();
      outer.uint32((13 << 3) | 2).bytes(bytes); // Tree.inner
      bytes = Uint8Array.from(outer.finish());
    }
    return bytes;
  };
  decode(TREE, nested(100));
  assert.throws(() => decode(TREE, nested(101)), isInvalid(/nested deeper than 100/));
  assert.throws(() => decode(TREE, nested(5000)), isInvalid(/nested deeper than 100/));
  // Groups of a field that nobody knows, opened without end.
  assert.throws(
    () => decode(TREE, new Uint8Array(100_000).fill((15 << 3) | 3)),
    isInvalid(/nested deeper than 100/),
  );
});

test('bytes cut anywhere give a message or a coded error, never another error', () => {
  const whole = encode(TREE, {
    label: 'root é',
    children: [{ label: 'child', ids: [1n, -1n], weights: [1.5] }],
    byName: { a: { label: 'b' } },
    byNumber: { '-7': new Uint8Array([1]) },
    inner: { text: 'x', maybe: -1 },
  });
  for (let length = 0; length < whole.length; length += 1) {
    try {
      decode(TREE, whole.subarray(0, length));
    } catch (error) {
      isInvalid(/cannot decode types\.Tree/)(error);
    }
  }
});

test('random bytes give a message or a coded error, never another error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      for (const type of [TREE, SCALARS]) {
        try {
          decode(type, bytes);
        } catch (error) {
          isInvalid(/cannot decode types\./)(error);
        }
      }
    }),
    { numRuns: 3000 },
  );
});

test('damaged messages are taken or refused just as protobufjs does, and mean the same', () => {
  const peer = PEER.lookupType('types.Tree');
  const damage = fc.array(
    fc.record({ how: fc.constantFrom('change', 'insert', 'cut'), where: fc.nat(), byte: fc.nat(255) }),
    { minLength: 1, maxLength: 3 },
  );
  fc.assert(
    fc.property(TREE_MESSAGE(2), damage, (message, steps) => {
      let bytes = Buffer.from(encode(TREE, message));
      for (const { how, where, byte } of steps) {
        const index = where % (bytes.length + 1);
        const rest = how === 'insert' ? bytes.subarray(index) : bytes.subarray(index + 1);
        bytes =
          how === 'cut'
            ? bytes.subarray(0, index)
            : Buffer.concat([bytes.subarray(0, index), Buffer.of(byte), rest]);
      }
      const ours = outcome(() => encode(TREE, decode(TREE, bytes)));
      const theirs = outcome(() => encode(TREE, decode(TREE, peer.encode(peer.decode(bytes)).finish())));
      assert.deepEqual(ours, theirs, bytes.toString('hex'));
    }),
    { numRuns: 1000 },
  );
});

test('malformed bytes are told apart', () => {
  const cases: readonly [number[], RegExp][] = [
    [[0x0a, 5, 1], /the bytes end too early/],
    [[0x0a, 1, 0xff], /text that is not UTF-8/],
    [[0x0a, 3, 0xed, 0xa0, 0x80], /text that is not UTF-8/],
    [[0x00, 1], /a field numbered 0/],
    [[0x0f], /wire type 7/],
    [[0x0c], /the end of a group that never began/],
    [[0x7b, 0x74], /groups that overlap/],
    [[0x78, ...Array.from({ length: 11 }, () => 0x80)], /more than 10 bytes/],
    [[0x12, 2, 0x0a, 9], /children\[0\]: the bytes end too early/],
  ];
  for (const [bytes, text] of cases)
    assert.throws(() => decode(TREE, Uint8Array.from(bytes)), isInvalid(text));
});

test('text that contains U+FFFD by itself is text', () => {
  const label = 'a\uFFFDb';
  assert.equal(decode(TREE, encode(TREE, { label }))['label'], label);
  const long = label.repeat(30);
  assert.equal(decode(TREE, encode(TREE, { label: long }))['label'], long);
});

test('fields that the type does not know are skipped, of whatever wire type', () => {
  const bytes = Buffer.concat(
    [
      [0x0a, 1, 0x61], // label = 'a'
      [0xf8, 0x07, 5], // 127: varint
      [0xf9, 0x07, 1, 2, 3, 4, 5, 6, 7, 8], // 64 bits
      [0xfa, 0x07, 2, 9, 9], // bytes
      [0xfb, 0x07, 0x08, 1, 0xfc, 0x07], // group
      [0xfd, 0x07, 1, 2, 3, 4], // 32 bits
      [0x70, 3], // maybe = 3
    ].map((part) => Buffer.from(part)),
  );
  const message = decode(TREE, bytes);
  assert.equal(message['label'], 'a');
  assert.equal(message['maybe'], 3);
});

test('of fields given twice the last counts, lists go on, and messages merge', () => {
  const both = Buffer.concat([
    encode(TREE, { label: 'a', ids: [1n], inner: { label: 'x', maybe: 1, ids: [5n] } }),
    encode(TREE, { label: 'b', ids: [2n], inner: { maybe: 2, ids: [6n] } }),
  ]);
  const message = decode(TREE, both);
  assert.equal(message['label'], 'b');
  assert.deepEqual(message['ids'], [1n, 2n]);
  const inner = message['inner'] as Record<string, unknown>; // a Tree
  assert.equal(inner['label'], 'x');
  assert.equal(inner['maybe'], 2);
  assert.deepEqual(inner['ids'], [5n, 6n]);
});

test('of a oneof the last one counts', () => {
  const message = decode(TREE, Buffer.concat([encode(TREE, { text: 'x' }), encode(TREE, { number: 4n })]));
  assert.equal(message['number'], 4n);
  assert(!('text' in message));
});

test('packed and unpacked lists are both read', () => {
  const unpacked = Uint8Array.from([0x20, 1, 0x20, 2]);
  assert.deepEqual(decode(TREE, unpacked)['ids'], [1n, 2n]);
  assert.deepEqual(encode(TREE, { ids: [1n, 2n] }), Uint8Array.from([0x22, 2, 1, 2]));
});

test('typed arrays are lists of numbers', () => {
  const message = decode(
    TREE,
    encode(TREE, { weights: new Float64Array([1, 2.5]), ids: new BigInt64Array([3n]) }),
  );
  assert.deepEqual(message['weights'], [1, 2.5]);
  assert.deepEqual(message['ids'], [3n]);
});

test('a key or a name __proto__ is data like any other', () => {
  const byName = Object.fromEntries([['__proto__', { label: 'x' }]]);
  const message = decode(TREE, encode(TREE, { byName }));
  assert(Object.hasOwn(message['byName'] as object, '__proto__'));
  assert.equal(({} as Record<string, unknown>)['label'], undefined);
});

test('a message larger than the buffer, and a small one after it, are both right', () => {
  for (const size of [1, 200, 70_000, 1, 300_000, 5]) {
    const label = 'é'.repeat(size);
    const { inner } = decode(TREE, encode(TREE, { inner: { label } })) as { inner?: { label?: string } };
    assert.equal(inner?.label, label);
  }
});

test('a codec that a getter uses while it encodes writes both messages right', () => {
  let inner: Uint8Array | null = null;
  const message = {
    label: 'outer',
    get names() {
      inner = encode(TREE, { label: 'inner' });
      return ['a'];
    },
  };
  assert.equal(decode(TREE, encode(TREE, message))['label'], 'outer');
  assert(inner !== null);
  assert.equal(decode(TREE, inner)['label'], 'inner');
});

test('an encoded message that does not fit its target says so', () => {
  const encoded = TREE.codec('protobuf').encode({ label: 'abc' });
  assert.throws(() => encoded.writeTo(new Uint8Array(4), 0), RangeError);
});
