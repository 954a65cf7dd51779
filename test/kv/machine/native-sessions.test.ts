import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SESSIONS_MAX } from '../../../kv/machine/native/native-limits.js';
import { seededRandom } from '../support/seeded-random.js';
import { bytes, type CommandInit, NativeLog, type Told } from './native-harness.js';

const add = (key: string, value: string): CommandInit => ({
  append: { key: bytes(key), value: bytes(value) },
});

test('a write that is sent again in a session is executed once and answered the same', () => {
  const log = new NativeLog();
  const client = log.openSession();
  const first = log.run(add('a', 'x'), { client, sequence: 1 });
  log.put('other', '1');
  const again = log.run(add('a', 'x'), { client, sequence: 1 });
  assert.deepEqual(again, first);
  assert.equal(log.get('a'), 'x');
  log.run(add('a', 'x'));
  log.run(add('a', 'x'));
  assert.equal(log.get('a'), 'xxx', 'outside of a session each is executed');
});

test('a refused write is answered the same again, although it would be accepted by then', () => {
  const log = new NativeLog();
  const client = log.openSession();
  const tree = { treeCreate: { path: bytes('/a/b') } };
  assert.equal(log.run(tree, { client, sequence: 1 }).error.code, 'KV_NO_PARENT');
  log.run({ treeCreate: { path: bytes('/a') } });
  assert.equal(log.run(tree, { client, sequence: 1 }).error.code, 'KV_NO_PARENT');
  assert.equal(log.run(tree, { client, sequence: 2 }).error, undefined);
});

test('pipelined writes are each executed once, whatever order they and their repetitions come in', () => {
  const seed = 20_261;
  const random = seededRandom(seed);
  const log = new NativeLog();
  const client = log.openSession();
  const total = 400;
  const answers = new Map<number, Told>();
  const answered = (): number => {
    let floor = 1;
    while (answers.has(floor)) floor += 1;
    return floor;
  };
  for (let acknowledged = 1; acknowledged <= total; acknowledged = answered()) {
    const sequence = Math.min(total, acknowledged + Math.floor(random() * 64));
    const told = log.run(add(`k${sequence % 7}`, '.'), { client, sequence, acknowledged });
    const before = answers.get(sequence);
    if (before !== undefined) assert.equal(told.append.length, before.append.length, `seed ${seed}`);
    answers.set(sequence, told);
    if (random() < 0.05) log.restart();
  }
  let length = 0;
  for (let key = 0; key < 7; key += 1) length += log.get(`k${key}`)!.length;
  assert.equal(length, total, `seed ${seed}`);
});

test('beyond the window nothing is executed until what is below has been acknowledged', () => {
  const log = new NativeLog();
  const client = log.openSession();
  const beyond = { client, sequence: 65 };
  assert.equal(log.refusal(add('a', 'x'), { ...beyond, acknowledged: 1 }), 'KV_WINDOW_FULL');
  assert.equal(log.get('a'), null);
  assert.equal(log.run(add('a', 'x'), { ...beyond, acknowledged: 2 }).error, undefined);
  assert.equal(log.get('a'), 'x');
});

test('an acknowledged sequence is refused, and so is one of no session', () => {
  const log = new NativeLog();
  const client = log.openSession();
  log.run(add('a', 'x'), { client, sequence: 1 });
  log.run(add('a', 'x'), { client, sequence: 2, acknowledged: 2 });
  assert.equal(log.refusal(add('a', 'x'), { client, sequence: 1, acknowledged: 2 }), 'KV_SEQUENCE_OLD');
  assert.equal(log.refusal(add('a', 'x'), { client, sequence: 1, acknowledged: 0 }), 'KV_SEQUENCE_OLD');
  assert.equal(log.refusal(add('a', 'x'), { client: 77, sequence: 1 }), 'KV_SESSION_EXPIRED');
  assert.equal(log.refusal(add('a', 'x'), { client, sequence: 0 }), 'KV_REQUEST_INVALID');
  assert.equal(log.get('a'), 'xx');
});

test('a session that nothing is heard of ends at its log time, and a later retry executes nothing', () => {
  const log = new NativeLog();
  const client = log.openSession(5000);
  log.run(add('a', 'x'), { client, sequence: 1 });
  log.advance(4999);
  assert.equal(log.run({ sessionKeepAlive: { clientId: BigInt(client) } }).session.ttlMs, 5000n);
  log.advance(4000);
  log.run(add('a', 'x'), { client, sequence: 1 });
  log.advance(4000);
  log.run(add('a', 'x'), { client, sequence: 2 });
  assert.equal(log.machine.nextDeadlineMs(), log.nowMs + 5000);
  log.advance(5000);
  assert.equal(log.refusal(add('a', 'x'), { client, sequence: 2 }), 'KV_SESSION_EXPIRED');
  assert.equal(log.refusal({ sessionKeepAlive: { clientId: BigInt(client) } }), 'KV_SESSION_EXPIRED');
  assert.equal(log.get('a'), 'xx');
  assert.equal(log.machine.nextDeadlineMs(), null);
});

test('after a change of leader a session has its whole ttl again', () => {
  const log = new NativeLog();
  const client = log.openSession(5000);
  log.advance(4000);
  log.term += 1;
  log.advance(60_000);
  log.restart();
  log.advance(4999);
  assert.equal(log.run(add('a', 'x'), { client, sequence: 1 }).error, undefined);
  log.advance(5000);
  assert.equal(log.refusal(add('a', 'x'), { client, sequence: 2 }), 'KV_SESSION_EXPIRED');
});

test('of more sessions than are kept the least recently used one goes, and nothing of it is executed twice', () => {
  const log = new NativeLog();
  const first = log.openSession();
  const second = log.openSession();
  log.run(add('a', 'x'), { client: first, sequence: 1 });
  log.run(add('b', 'x'), { client: second, sequence: 1 });
  for (let count = 2; count < SESSIONS_MAX; count += 1) log.openSession();
  log.run(add('a', 'x'), { client: first, sequence: 1 });
  log.restart();
  log.openSession();
  assert.equal(log.refusal(add('b', 'x'), { client: second, sequence: 1 }), 'KV_SESSION_EXPIRED');
  assert.equal(log.get('b'), 'x');
  log.run(add('a', 'x'), { client: first, sequence: 1 });
  assert.equal(log.get('a'), 'x');
});

test('a closed session is over, and its id never comes back', () => {
  const log = new NativeLog();
  const client = log.openSession();
  log.run({ sessionClose: { clientId: BigInt(client) } });
  log.run({ sessionClose: { clientId: BigInt(client) } });
  assert.equal(log.refusal(add('a', 'x'), { client, sequence: 1 }), 'KV_SESSION_EXPIRED');
  log.restart();
  assert.notEqual(log.openSession(), client);
});

test('retries are recognised after a snapshot, with answers of every kind', () => {
  const log = new NativeLog();
  const client = log.openSession();
  const commands: CommandInit[] = [
    { put: { key: bytes('a'), value: bytes('1'), wantPrevious: true } },
    { put: { key: bytes('a'), value: bytes('2'), wantPrevious: true } },
    { compareAndSet: { key: bytes('a'), value: bytes('0'), newValue: bytes('3') } },
    { txn: { compares: [], success: [{ get: { key: bytes('a') } }, { delete: { key: bytes('a') } }] } },
    { putSequential: { prefix: bytes('q/') } },
    { leaseGrant: { ttlMs: 5000n } },
    { treeDelete: { path: bytes('/none') } },
    { deleteRange: {} },
  ];
  const first = commands.map((command, at) => log.run(command, { client, sequence: at + 1 }));
  log.restart();
  const again = commands.map((command, at) => log.run(command, { client, sequence: at + 1 }));
  assert.deepEqual(again.map(plain), first.map(plain));
  log.restart();
});

test('of answers that are too large only the fact is kept, and the retry is not executed', () => {
  const log = new NativeLog();
  const client = log.openSession();
  log.put('big', 'v'.repeat(70_000));
  const swap: CommandInit = { put: { key: bytes('big'), value: bytes('w'), wantPrevious: true } };
  assert.equal(log.run(swap, { client, sequence: 1 }).put.previous!.value.length, 70_000);
  log.put('big', 'other');
  assert.equal(log.refusal(swap, { client, sequence: 1 }), 'KV_REPLY_LOST');
  assert.equal(log.get('big'), 'other');
  // Several that are too much together: the oldest are let go.
  for (let sequence = 2; sequence < 10; sequence += 1) {
    log.put('big', 'v'.repeat(20_000));
    log.run(swap, { client, sequence });
  }
  log.restart();
  assert.equal(log.refusal(swap, { client, sequence: 2 }), 'KV_REPLY_LOST');
  assert.equal(log.run(swap, { client, sequence: 9 }).put.previous!.value.length, 20_000);
});

test('a snapshot with two sessions and a small key stays below 500 bytes', () => {
  const log = new NativeLog();
  for (const client of [log.openSession(), log.openSession()]) {
    for (let sequence = 1; sequence < 50; sequence += 1) {
      log.run(
        { put: { key: bytes('key'), value: bytes('value') } },
        { client, sequence, acknowledged: sequence },
      );
    }
  }
  const size = log.restart();
  assert(size <= 500, `${size} bytes`);
});

/** A message without what has its default, as it would come over a wire. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, item]) => [name, plain(item)] as const)
      .filter(([, item]) => ![undefined, 0n, 0, '', false].includes(item as string))
      .filter(([, item]) => !(Array.isArray(item) && item.length === 0)),
  );
}
