import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompareOperator, PutCondition } from '../../../kv/proto/kv.js';
import { bytes, type CommandInit, NativeLog, text } from './native-harness.js';

const { EQUAL, NOT_EQUAL, LESS, GREATER } = CompareOperator;
const put = (key: string, value: string): CommandInit => ({ put: { key: bytes(key), value: bytes(value) } });

test('a transaction does one list or the other, at one revision', () => {
  const log = new NativeLog();
  log.put('a', '1');
  const txn = (value: string) =>
    log.run({
      txn: {
        compares: [{ key: bytes('a'), operator: EQUAL, value: bytes(value) }],
        success: [put('a', '2'), put('b', '2'), { get: { key: bytes('b') } }],
        failure: [{ get: { key: bytes('a') } }],
      },
    });
  const done = txn('1');
  assert.deepEqual([done.txn.succeeded, done.revision], [true, 2n]);
  assert.equal(text(done.txn.outcomes[2]!.get!.kv!.value), '2');
  assert.deepEqual(
    log.query({ range: {} }).range.kvs.map((kv) => [text(kv.key), kv.modRevision]),
    [
      ['a', 2n],
      ['b', 2n],
    ],
  );
  const other = txn('1');
  assert.deepEqual([other.txn.succeeded, other.revision], [false, 2n]);
  assert.equal(text(other.txn.outcomes[0]!.get!.kv!.value), '2');
});

test('every comparison does what it says, for keys that are there and that are not', () => {
  const log = new NativeLog();
  log.put('before', 'x');
  log.put('a', 'm');
  log.put('a', 'm');
  const key = bytes('a');
  const none = bytes('none');
  const holds = (compare: object) => log.run({ txn: { compares: [compare] } }).txn.succeeded;
  const table: [object, boolean][] = [
    [{ key, operator: EQUAL, value: bytes('m') }, true],
    [{ key, operator: NOT_EQUAL, value: bytes('m') }, false],
    [{ key, operator: LESS, value: bytes('n') }, true],
    [{ key, operator: GREATER, value: bytes('l') }, true],
    [{ key, operator: GREATER, value: bytes('m') }, false],
    [{ key, operator: EQUAL, version: 2n }, true],
    [{ key, operator: GREATER, version: 2n }, false],
    [{ key, operator: EQUAL, modRevision: 3n }, true],
    [{ key, operator: LESS, modRevision: 3n }, false],
    [{ key, operator: EQUAL, createRevision: 2n }, true],
    [{ key, operator: EQUAL, lease: 0n }, true],
    [{ key, operator: EQUAL, exists: true }, true],
    [{ key, operator: NOT_EQUAL, exists: true }, false],
    [{ key: none, operator: EQUAL, exists: false }, true],
    [{ key: none, operator: EQUAL, version: 0n }, true],
    [{ key: none, operator: EQUAL, createRevision: 0n }, true],
    [{ key: none, operator: EQUAL, value: bytes('') }, false],
    [{ key: none, operator: LESS, value: bytes('') }, true],
  ];
  for (const [compare, expected] of table)
    assert.equal(holds(compare), expected, JSON.stringify(compare, shown));
  assert.equal(
    log.refusal({ txn: { compares: [{ key, operator: LESS, exists: true }] } }),
    'KV_REQUEST_INVALID',
  );
  assert.equal(
    log.refusal({ txn: { compares: [{ key, operator: 9 as 0, version: 1n }] } }),
    'KV_REQUEST_INVALID',
  );
  assert.equal(log.refusal({ txn: { compares: [{ key }] } }), 'KV_REQUEST_INVALID');
});

test('a transaction of which one command cannot be done does none', () => {
  const log = new NativeLog();
  log.put('a', '1');
  log.run({ txn: { success: [put('z', '1')] } });
  const bad: [CommandInit, string][] = [
    [{ put: { key: bytes('a'), condition: PutCondition.IF_ABSENT } }, 'KV_EXISTS'],
    [{ put: { key: bytes('none'), condition: PutCondition.IF_PRESENT } }, 'KV_NOT_FOUND'],
    [{ put: { key: bytes('b'), lease: 7n } }, 'KV_LEASE_NOT_FOUND'],
    [{ put: { key: new Uint8Array(0) } }, 'KV_REQUEST_INVALID'],
    [{ touch: { key: bytes('a'), ttlMs: 1n << 60n } }, 'KV_REQUEST_INVALID'],
    [{ range: { limit: 1_000_000 } }, 'KV_REQUEST_INVALID'],
    [{ deleteRange: { limit: 1 } }, 'KV_REQUEST_INVALID'],
    [{ txn: {} }, 'KV_REQUEST_INVALID'],
    [{ leaseGrant: { ttlMs: 5000n } }, 'KV_REQUEST_INVALID'],
    [{ putSequential: { prefix: bytes('q'), lease: 7n } }, 'KV_LEASE_NOT_FOUND'],
    [{ append: { key: bytes('long'), value: Buffer.alloc(2 ** 21) } }, 'KV_VALUE_TOO_LARGE'],
  ];
  for (const [command, code] of bad) {
    const success = [put('before', 'x'), put('long', 'x'), command, put('after', 'x')];
    assert.equal(log.refusal({ txn: { success } }), code);
  }
  assert.deepEqual(log.keys(), ['a', 'z']);
});

test('commands of a transaction see what those before them did', () => {
  const log = new NativeLog();
  log.put('a', '1');
  log.put('b', '1');
  const { txn } = log.run({
    txn: {
      success: [
        { deleteRange: { range: { prefix: bytes('a') } } },
        { put: { key: bytes('a'), value: bytes('new'), condition: PutCondition.IF_ABSENT } },
        { append: { key: bytes('a'), value: bytes('er') } },
        { delete: { key: bytes('b') } },
        { put: { key: bytes('b'), value: bytes('2'), condition: PutCondition.IF_ABSENT } },
        { putSequential: { prefix: bytes('q') } },
        { putSequential: { prefix: bytes('q') } },
        { range: {} },
      ],
    },
  });
  assert.deepEqual(
    txn.outcomes[7]!.range!.kvs.map((kv) => [text(kv.key), text(kv.value)]),
    [
      ['a', 'newer'],
      ['b', '2'],
      ['q0000000001', ''],
      ['q0000000002', ''],
    ],
  );
  assert.equal(log.machine.revision, 3);
});

test('a transaction that only reads is answered without the log', () => {
  const log = new NativeLog();
  log.put('a', '1');
  const { txn } = log.query({
    txn: { compares: [{ key: bytes('a'), version: 1n }], success: [{ get: { key: bytes('a') } }] },
  });
  assert.equal(text(txn.outcomes[0]!.get!.kv!.value), '1');
  assert.equal(log.query({ txn: { failure: [put('a', '2')] } }).error.code, 'KV_REQUEST_INVALID');
});

test('above the quota only what cannot grow is done', () => {
  const log = new NativeLog();
  log.put('a', '1');
  log.machine.settings.set('quota-bytes', '1');
  for (const command of [
    put('b', '1'),
    { txn: { success: [put('b', '1')] } },
    { leaseGrant: { ttlMs: 5000n } },
  ]) {
    assert.equal(log.refusal(command), 'KV_QUOTA');
  }
  assert.equal(log.get('a'), '1');
  assert.equal(log.run({ delete: { key: bytes('a') } }).delete.deleted, 1n);
});

function shown(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
