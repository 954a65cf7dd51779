import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { KvError, mayHaveRun, op, when } from '../../../kv/index.js';
import { RpcError } from '../../../rpc/index.js';
import { serveCluster } from './support.js';

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => assert.fail('it succeeded'),
    (failed: unknown) => failed,
  );
  assert(error instanceof KvError, String(error));
  return error.code;
};

test('what was put is read back, with its revisions', async (t) => {
  const clerk = (await serveCluster(t)).clerk();
  assert.equal(await clerk.get('a'), null);
  assert.deepEqual(await clerk.put('a', 'one'), { revision: 1, version: 1, isNew: true, previous: null });
  const second = await clerk.put('a', Buffer.from([0, 255]), { wantPrevious: true });
  assert.deepEqual([second.version, second.previous!.text], [2, 'one']);
  const pair = (await clerk.get('a'))!;
  assert.deepEqual([...pair.value], [0, 255]);
  assert.deepEqual([pair.keyText, pair.createRevision, pair.modRevision, pair.version], ['a', 1, 2, 2]);
  assert.equal(await clerk.append('a', 'x'), 3);
  assert.equal(await clerk.delete('a'), true);
  assert.equal(await clerk.delete('a'), false);
});

test('a compare-and-set says what is there when it is not as expected', async (t) => {
  const clerk = (await serveCluster(t)).clerk();
  const made = await clerk.compareAndSet('a', 'absent', '1');
  assert.deepEqual([made.succeeded, made.current!.version], [true, 1]);
  const refused = await clerk.compareAndSet('a', { value: '2' }, '3');
  assert.deepEqual([refused.succeeded, refused.current!.text], [false, '1']);
  assert.equal((await clerk.compareAndSet('a', { modRevision: made.revision }, '3')).succeeded, true);
  assert.equal((await clerk.compareAndSet('a', { version: 2 }, null)).succeeded, true);
  assert.equal(await clerk.get('a'), null);
});

test('a transaction does one of two lists, and its answers have the types of their operations', async (t) => {
  const clerk = (await serveCluster(t)).clerk();
  const commit = () =>
    clerk
      .txn()
      .if(when.absent('lock'))
      .do(op.put('lock', 'me'), op.putSequential('log/', 'taken'))
      .else(op.get('lock'))
      .commit();
  const first = await commit();
  assert.equal(first.succeeded, true);
  assert.equal((first.answers[1] as { key: Buffer }).key.toString(), 'log/0000000001');
  const second = await commit();
  assert.deepEqual([second.succeeded, (second.answers[0] as { text: string }).text], [false, 'me']);
  assert.equal(
    await codeOf(
      clerk
        .txn()
        .do(op.put('b', '1'), op.put('c', '1', { only: 'present' }))
        .commit(),
    ),
    'KV_NOT_FOUND',
  );
  assert.equal(await clerk.get('b'), null);
});

test('a scan pages through all keys of a prefix, either way', async (t) => {
  const clerk = (await serveCluster(t)).clerk();
  const keys = Array.from({ length: 25 }, (_, index) => `k/${String(index).padStart(2, '0')}`);
  await Promise.all([...keys, 'j', 'l'].map((key) => clerk.put(key, key)));
  const found: string[] = [];
  for await (const pair of clerk.scan({ prefix: 'k/' }, { limit: 10 })) found.push(pair.text);
  assert.deepEqual(found, keys);
  const back: string[] = [];
  for await (const pair of clerk.scan({ start: 'k/05', end: 'k/20' }, { limit: 4, reverse: true }))
    back.push(pair.text);
  assert.deepEqual(back, keys.slice(5, 20).toReversed());
  assert.equal(await clerk.count({ prefix: 'k/' }), 25);
  assert.equal((await clerk.deleteRange({ prefix: 'k/1' })).deleted, 10);
  assert.equal(await clerk.count('all'), 17);
});

test('a stale answer is marked, and comes from a member that nobody leads', async (t) => {
  const { clerk: make, members } = await serveCluster(t);
  const clerk = make();
  await clerk.put('a', '1');
  members[0]!.onExecute = (next, request) => {
    if (request.readLevel !== 2) throw new RpcError('RPC_UNAVAILABLE', 'no leader', { executed: 'no' });
    return next();
  };
  const stale = await clerk.inquire(op.get('a'), { level: 'stale' });
  assert.deepEqual([stale.answer!.text, stale.isStale], ['1', true]);
  assert.equal(await codeOf(clerk.get('a', { timeoutMs: 300 })), 'KV_TIMEOUT');
});

test('a write whose answer is lost is sent again and executed once', async (t) => {
  const { clerk: make, members } = await serveCluster(t, 2);
  const clerk = make();
  let lost = 0;
  for (const member of members) {
    member.onExecute = async (next) => {
      const answer = await next();
      lost += 1;
      if (lost <= 3) throw new RpcError('RPC_UNAVAILABLE', 'the answer is lost', { executed: 'unknown' });
      return answer;
    };
  }
  assert.equal(await clerk.append('a', 'x'), 1);
  assert.equal(lost, 4);
  assert.equal((await clerk.get('a'))!.text, 'x');
});

test('when no answer comes in time the outcome of a write is unknown, that of a read is not', async (t) => {
  const { clerk: make, members } = await serveCluster(t);
  const clerk = make();
  await clerk.put('a', '1');
  members[0]!.onExecute = async (next) => {
    await next();
    throw new RpcError('RPC_UNAVAILABLE', 'the answer is lost', { executed: 'unknown' });
  };
  const append = clerk.append('a', '2', { timeoutMs: 2000 });
  assert.equal(await codeOf(append), 'KV_OUTCOME_UNKNOWN');
  assert.equal(mayHaveRun(await append.catch((error: unknown) => error)), true);
  assert.equal(await codeOf(clerk.get('a', { timeoutMs: 300 })), 'KV_TIMEOUT');
  members[0]!.onExecute = null;
  assert.equal((await clerk.get('a'))!.text, '12');
});

test('outside of sessions a write is not sent again once it may have been carried out', async (t) => {
  const { clerk: make, members } = await serveCluster(t);
  const clerk = make({ session: false });
  let sent = 0;
  members[0]!.onExecute = () => {
    sent += 1;
    throw new RpcError('RPC_UNAVAILABLE', 'nobody knows', { executed: sent === 1 ? 'no' : 'unknown' });
  };
  assert.equal(await codeOf(clerk.append('a', '2')), 'KV_OUTCOME_UNKNOWN');
  assert.equal(sent, 2);
});

test('a session that ended while nothing was under way is replaced without a word', async (t) => {
  const { clerk: make, backend } = await serveCluster(t);
  const clerk = make({ sessionTtlMs: 1000 });
  assert.equal(await clerk.append('a', 'x'), 1);
  backend.advance(5000);
  assert.equal(await clerk.append('a', 'x'), 2);
});

test('a write that may have been carried out is not made again in a new session', async (t) => {
  const { clerk: make, backend, members } = await serveCluster(t);
  const clerk = make({ sessionTtlMs: 1000 });
  await clerk.put('b', '1');
  let isFirst = true;
  members[0]!.onExecute = async (next) => {
    const answer = await next();
    if (!isFirst) return answer;
    isFirst = false;
    backend.advance(5000);
    throw new RpcError('RPC_UNAVAILABLE', 'the answer is lost', { executed: 'unknown' });
  };
  assert.equal(await codeOf(clerk.append('a', 'x')), 'KV_SESSION_EXPIRED');
  assert.equal((await clerk.get('a'))!.text, 'x');
});

test('writes are pipelined, and wait for room when the windows of all sessions are full', async (t) => {
  const { clerk: make, members, backend } = await serveCluster(t);
  const clerk = make();
  let underWay = 0;
  let most = 0;
  members[0]!.onExecute = async (next) => {
    underWay += 1;
    most = Math.max(most, underWay);
    const answer = await next();
    await new Promise(setImmediate);
    underWay -= 1;
    return answer;
  };
  const lengths = await Promise.all(Array.from({ length: 400 }, () => clerk.append('a', 'x')));
  assert.deepEqual(
    lengths.toSorted((a, b) => a - b),
    Array.from({ length: 400 }, (_, index) => index + 1),
  );
  assert(most > 64 && most <= 256, `${most} were under way together`);
  await clerk.close();
  assert.equal((await serveStatus(backend)).sessions, 0);
});

test('a member that stops is left for another, and asked again when it is back', async (t) => {
  const { clerk: make, members } = await serveCluster(t, 3);
  const clerk = make();
  await clerk.put('a', '0');
  await members[0]!.stop();
  await members[1]!.stop();
  for (let index = 1; index <= 20; index += 1) await clerk.put('a', String(index));
  assert.equal((await clerk.get('a'))!.text, '20');
  await members[2]!.stop();
  assert.equal(await codeOf(clerk.put('a', 'x', { timeoutMs: 1_000 })), 'KV_UNREACHABLE');
});

test('an answer that names the leader sends the next request there', async (t) => {
  const { clerk: make, members } = await serveCluster(t, 3);
  const clerk = make();
  const counts = members.map(() => 0);
  for (const [index, member] of members.entries()) {
    member.onExecute = async (next) => {
      counts[index]! += 1;
      return { ...(await next()), leader: { id: 3, address: members[2]!.address } };
    };
  }
  for (let index = 0; index < 10; index += 1) await clerk.get('a');
  assert(counts[2]! >= 9, String(counts));
  assert.equal(clerk.leader, members[2]!.address);
});

test('cancelling a request says whether it may have been carried out', async (t) => {
  const { clerk: make, members } = await serveCluster(t);
  const clerk = make();
  await clerk.put('a', '1');
  const abort = new AbortController();
  members[0]!.onExecute = async (_next, _request, call) => {
    abort.abort();
    await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
    throw new RpcError('RPC_CANCELLED', 'cancelled');
  };
  assert.equal(await codeOf(clerk.put('a', '2', { signal: abort.signal })), 'KV_OUTCOME_UNKNOWN');
  assert.equal(await codeOf(clerk.put('a', '2', { signal: abort.signal })), 'KV_CANCELLED');
});

test('a closed clerk refuses, and what waits for it ends', async (t) => {
  const { clerk: make, members } = await serveCluster(t);
  const clerk = make();
  await members[0]!.stop();
  const waiting = codeOf(clerk.get('a'));
  await clerk.close();
  assert.equal(await waiting, 'KV_CLOSED');
  assert.equal(await codeOf(clerk.get('a')), 'KV_CLOSED');
});

async function serveStatus(backend: { machine: { native: unknown } }): Promise<{ sessions: number }> {
  return { sessions: (backend.machine.native as { sessionCount: number }).sessionCount };
}

test('members that take longer than an attempt are heard: they are given twice as long when all were asked in vain', async (t) => {
  const { members, clerk: newClerk } = await serveCluster(t, 2);
  let attempts = 0;
  for (const member of members) {
    member.onExecute = async (next) => {
      attempts += 1;
      await pause(700);
      return next();
    };
  }
  const clerk = newClerk({ attemptTimeoutMs: 100 });
  assert.equal((await clerk.put('a', '1')).version, 1);
  assert(attempts > 2, 'the first round was in vain');
  assert.equal((await clerk.get('a'))?.version, 1, 'it was executed once');
});
