import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvError } from '../../../kv/errors.js';
import { ReadLevel } from '../../../kv/proto/kv.js';
import { Machine } from '../../../kv/machine/machine.js';
import { failureOf } from '../../../kv/service/failures.js';
import { RpcError } from '../../../rpc/index.js';
import { LocalBackend } from '../support/local-backend.js';
import { bytes, served, text } from './support.js';

test('commands go through the log and answers say revision, log time and leader', async (t) => {
  const { client, backend } = await served(t);
  const put = await client.execute({ command: { put: { key: bytes('a'), value: bytes('1') } } });
  assert.deepEqual(
    [put.outcome!.put!.isNew, put.outcome!.revision, put.revision, put.timeMs, put.leader!.id, put.isStale],
    [true, 1n, 1n, BigInt(backend.nowMs), 1, false],
  );
  const got = await client.execute({ command: { get: { key: bytes('a') } } });
  assert.equal(text(got.outcome!.get!.kv!.value), '1');
});

test('a stale read is answered at once and marked, even where no other read is', async (t) => {
  const { client, backend } = await served(t);
  await client.execute({ command: { put: { key: bytes('a'), value: bytes('1') } } });
  backend.failure = new KvError('KV_OUTCOME_UNKNOWN', 'nobody answers');
  const command = { get: { key: bytes('a') } };
  const stale = await client.execute({ command, readLevel: ReadLevel.STALE });
  assert.deepEqual([text(stale.outcome!.get!.kv!.value), stale.isStale], ['1', true]);
  for (const readLevel of [ReadLevel.LINEARIZABLE, ReadLevel.LEASE]) {
    await assert.rejects(client.execute({ command, readLevel }), (error) => {
      assert(error instanceof RpcError);
      assert.equal(failureOf(error)!.code, 'KV_OUTCOME_UNKNOWN');
      assert.deepEqual(failureOf(error)!.leader, { id: 1, address: '' });
      return error.executed === 'unknown';
    });
  }
});

test('a session lives through its methods, and retries in it are executed once', async (t) => {
  const { client, backend } = await served(t);
  const { clientId, ttlMs } = await client.openSession({ ttlMs: 5000n });
  assert.equal(ttlMs, 5000n);
  const request = {
    clientId,
    sequence: 1n,
    acknowledged: 1n,
    command: { append: { key: bytes('a'), value: bytes('x') } },
  };
  const answers = await Promise.all([
    client.execute(request),
    client.execute(request),
    client.execute(request),
  ]);
  assert.deepEqual(
    answers.map(({ outcome }) => outcome!.append!.length),
    [1n, 1n, 1n],
  );
  assert.equal((await client.keepAlive({ clientId })).isAlive, true);
  assert.equal((await client.status({})).sessions, 1);
  backend.advance(5000);
  assert.equal((await client.keepAlive({ clientId })).isAlive, false);
  const late = await client.execute({ ...request, sequence: 2n });
  assert.equal(late.outcome!.error!.code, 'KV_SESSION_EXPIRED');
  await client.closeSession({ clientId });
});

test('what cannot be a command is refused before the log', async (t) => {
  const { client, backend } = await served(t);
  const { appliedIndex } = backend.status();
  const codeOf = async (call: Promise<unknown>) => {
    const error = await call.then(
      () => assert.fail('it was accepted'),
      (failed: unknown) => failed,
    );
    return [failureOf(error)?.code, (error as RpcError).executed];
  };
  assert.deepEqual(await codeOf(client.execute({})), ['KV_REQUEST_INVALID', 'no']);
  const value = Buffer.alloc(1_600_000);
  assert.deepEqual(await codeOf(client.execute({ command: { put: { key: bytes('a'), value } } })), [
    'KV_REQUEST_TOO_LARGE',
    'no',
  ]);
  assert.deepEqual(
    await codeOf(client.execute({ clientId: 1n << 60n, command: { put: { key: bytes('a') } } })),
    ['KV_REQUEST_INVALID', 'no'],
  );
  assert.equal(backend.status().appliedIndex, appliedIndex);
});

test('the time a call has left is the time the member is given', async (t) => {
  const given: number[] = [];
  class Observed extends LocalBackend {
    override submit(
      ...[items, done, timeoutMs]: Parameters<LocalBackend['submit']> | [never, never, number]
    ): void {
      given.push(timeoutMs ?? -1);
      super.submit(items, done);
    }
  }
  const { client } = await served(t, new Observed(), { timeoutMs: 1234 });
  const command = { put: { key: bytes('a') } };
  await client.execute({ command }, { timeoutMs: 5000 });
  await client.execute({ command }, { timeoutMs: Number.POSITIVE_INFINITY });
  assert(given[0]! > 1000 && given[0]! <= 5000, `${given[0]} ms`);
  assert.equal(given[1], 1234);
});

test('a backup is a snapshot from which the same machine comes back, whatever was written meanwhile', async (t) => {
  const { client, backend } = await served(t);
  for (let index = 0; index < 300; index += 1) {
    await client.execute({ command: { put: { key: bytes(`k${index}`), value: Buffer.alloc(1000, index) } } });
  }
  const { hash } = await client.hashAt({});
  const revision = backend.machine.revision;
  const chunks: Uint8Array[] = [];
  let end: { bytes: bigint; sha256: string } | undefined;
  for await (const chunk of client.backup({})) {
    if (chunk.head !== undefined) {
      assert.equal(chunk.head.revision, BigInt(revision));
      await client.execute({ command: { put: { key: bytes('meanwhile') } } });
    }
    if (chunk.data.length > 0) chunks.push(chunk.data);
    ({ end } = chunk);
  }
  assert.equal(end!.sha256, hash);
  const machine = Machine.restore(chunks);
  assert.equal(machine.hash(), hash);
  assert.equal(machine.keyspace.size, 300);
});

test('the hash of a mark is that of the state at the mark, and of no other index', async (t) => {
  const { client, backend } = await served(t);
  await client.execute({ command: { put: { key: bytes('a') } } });
  const first = await client.hashAt({});
  const expected = backend.machine.hash();
  await client.execute({ command: { put: { key: bytes('b') } } });
  const again = await client.hashAt({ index: first.index });
  assert.deepEqual([again.hash, again.revision], [first.hash, 1n]);
  assert.equal(first.hash, expected);
  await assert.rejects(
    client.hashAt({ index: first.index + 1n }),
    (error) => failureOf(error)!.code === 'KV_HASH_UNKNOWN',
  );
  await assert.rejects(
    client.hashAt({ index: 1000n }, { timeoutMs: 300 }),
    (error) => error instanceof RpcError && error.status === 'DEADLINE_EXCEEDED',
  );
});

test('status tells what the member knows of itself; what needs a cluster is not implemented without one', async (t) => {
  const { client } = await served(t, undefined, { version: '1.2.3' });
  await client.execute({ command: { put: { key: bytes('a'), value: bytes('1') } } });
  await client.execute({ command: { leaseGrant: { ttlMs: 5000n } } });
  const status = await client.status({});
  assert.deepEqual(
    [status.id, status.role, status.leader!.id, status.revision, status.keys, status.leases, status.version],
    [1, 'leader', 1, 1n, 1n, 1, '1.2.3'],
  );
  await assert.rejects(
    client.memberAdd({ id: 2, address: '127.0.0.1:1' }),
    (error) => error instanceof RpcError && error.status === 'UNIMPLEMENTED',
  );
});
