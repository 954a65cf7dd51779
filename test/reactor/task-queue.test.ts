// Tasks between real threads: values, order, refusal, every way a call can fail, and threads that die.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ReactorError } from '../../reactor/errors.js';
import type { ThreadMeshOptions } from '../../reactor/thread-mesh.js';
import { LoopThreads, wakeKinds } from '../support/loop-threads.js';
import { until } from '../support/until.js';

const OPTIONS = { timeout: 60_000 };

function start(context: TestContext, options: ThreadMeshOptions): Promise<LoopThreads> {
  return new LoopThreads(context, options).ready();
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof ReactorError && error.code === code;
}

for (const wake of wakeKinds()) {
  test(`a call gives back what was sent, of any kind and size (${wake})`, OPTIONS, async (context) => {
    const { loop } = await start(context, { threads: 1, wake });
    const values = [
      undefined,
      null,
      '',
      'größe',
      12,
      12n,
      { nested: [1, new Map([['a', new Date(0)]])] },
      Buffer.from('bytes'),
      Buffer.alloc(4096, 1),
      Buffer.alloc(4097, 2),
      Buffer.alloc(1024 * 1024, 3),
      'long'.repeat(100_000),
    ];
    for (const value of values) assert.deepEqual(await loop.call(0, 'echo', value), value);
    assert.deepEqual(await Promise.all(values.map((value) => loop.call(0, 'echo', value))), values);
  });

  test(
    `tasks with small and large payloads run in the order they were posted (${wake})`,
    OPTIONS,
    async (context) => {
      const { loop } = await start(context, { threads: 1, wake });
      const sent = Array.from({ length: 60 }, (_, index) => String(index).repeat(index % 3 === 0 ? 5000 : 3));
      for (const text of sent) loop.post(0, 'note', text);
      assert.deepEqual(await loop.call(0, 'seen'), sent);
    },
  );

  test(`urgent tasks overtake the normal ones that wait (${wake})`, OPTIONS, async (context) => {
    const threads = await start(context, { threads: 1, wake });
    await threads.block(0);
    for (let count = 0; count < 10; count += 1) threads.loop.post(0, 'note', 'normal');
    threads.loop.post(0, 'note', 'urgent', { priority: 'urgent' });
    assert.equal(threads.loop.depth(0), 11);
    threads.unblock();
    const seen = (await threads.loop.call(0, 'seen')) as string[];
    assert.deepEqual(seen, ['urgent', ...Array.from({ length: 10 }, () => 'normal')]);
  });

  test(`every thread reaches every thread, itself included (${wake})`, OPTIONS, async (context) => {
    const { loop } = await start(context, { threads: 2, wake });
    loop.register('from', (_payload, from) => from);
    for (const from of [0, 1]) {
      for (const thread of [0, 1, 'main'] as const) {
        assert.equal(
          await loop.call(from, 'call-on', { thread, name: 'from' }),
          from,
          `${from} to ${thread}`,
        );
      }
    }
    assert.equal(await loop.call('main', 'from'), 'main');
  });

  test(`a full queue refuses with a code and runs everything it took (${wake})`, OPTIONS, async (context) => {
    const threads = await start(context, { threads: 1, wake });
    await threads.block(0);
    let posted = 0;
    assert.throws(() => {
      for (; posted < 10_000; posted += 1) threads.loop.post(0, 'note', 'x'.repeat(100));
    }, hasCode('REACTOR_QUEUE_FULL'));
    assert.ok(posted > 300);
    assert.equal(threads.loop.depth(0), posted);
    assert.deepEqual(threads.loop.broadcast('note', 'y'.repeat(200)), [0]);
    await assert.rejects(threads.loop.call(0, 'echo', 'x'.repeat(200)), hasCode('REACTOR_QUEUE_FULL'));
    assert.equal(threads.loop.stats.refused, 3);
    threads.unblock();
    await until(() => threads.loop.depth(0) === 0);
    assert.equal(((await threads.loop.call(0, 'seen')) as unknown[]).length, posted);
  });

  test(`an answer that finds a full ring arrives all the same (${wake})`, OPTIONS, async (context) => {
    const { loop } = await start(context, { threads: 1, wake });
    const patiently = { timeoutMs: 20_000 }; // 60 MB on a machine that may be busy
    const answers = Array.from({ length: 500 }, () => loop.call(0, 'bytes', 4000, patiently));
    const big = Array.from({ length: 20 }, () => loop.call(0, 'bytes', 3_000_000, patiently));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300); // this thread takes nothing meanwhile
    for (const bytes of await Promise.all(answers)) assert.equal((bytes as Buffer).length, 4000);
    for (const bytes of await Promise.all(big)) assert.equal((bytes as Buffer).length, 3_000_000);
    const { repliesWaiting, repliesDropped } = (await loop.call(0, 'stats')) as typeof loop.stats;
    assert.deepEqual({ repliesWaiting, repliesDropped }, { repliesWaiting: 0, repliesDropped: 0 });
  });

  test(
    `calls end with the loss of their thread, and its successor runs what was not begun (${wake})`,
    OPTIONS,
    async (context) => {
      const threads = await start(context, { threads: 2, wake });
      const { loop } = threads;
      await threads.block(0);
      const fromMain = assert.rejects(loop.call(0, 'echo', 1), hasCode('REACTOR_THREAD_LOST'));
      const fromPeer = assert.rejects(
        loop.call(1, 'call-on', { thread: 0, name: 'echo' }),
        hasCode('REACTOR_THREAD_LOST'),
      );
      loop.post(0, 'note', 'kept');
      loop.post(0, 'note', Buffer.alloc(5000)); // beside the ring: lost with the thread
      await loop.call(1, 'echo');
      await threads.kill(0);
      await Promise.all([fromMain, fromPeer]);
      await assert.rejects(loop.call(0, 'echo', 1), hasCode('REACTOR_THREAD_LOST'));
      assert.throws(() => loop.post(0, 'note', Buffer.alloc(5000)), hasCode('REACTOR_THREAD_LOST'));
      loop.post(0, 'note', 'posted while it was down');
      threads.start(0);
      await threads.ready();
      assert.deepEqual(await loop.call(0, 'seen'), ['kept', 'posted while it was down']);
      assert.deepEqual(await loop.call(0, 'errors'), ['REACTOR_THREAD_LOST']);
      assert.equal(((await loop.call(0, 'stats')) as typeof loop.stats).stale, 2);
      assert.equal(await loop.call(1, 'call-on', { thread: 0, name: 'from' }), 1);
      assert.equal(
        ((await loop.call(1, 'call-on', { thread: 0, name: 'bytes', argument: 9000 })) as Buffer).length,
        9000,
      );
    },
  );
}

test('a call that fails rejects with the code of what went wrong', OPTIONS, async (context) => {
  const { loop } = await start(context, { threads: 1 });
  await assert.rejects(loop.call(0, 'nobody'), hasCode('REACTOR_UNKNOWN_TASK'));
  await assert.rejects(loop.call(1, 'echo'), hasCode('REACTOR_UNKNOWN_THREAD'));
  assert.throws(() => loop.post(-1, 'echo'), hasCode('REACTOR_UNKNOWN_THREAD'));
  await assert.rejects(loop.call(0, 'throw'), {
    code: 'REACTOR_TASK_FAILED',
    message: 'ENOENT: no such thing',
  });
  await assert.rejects(loop.call(0, 'reject'), { code: 'REACTOR_TASK_FAILED', message: /later/ });
  await assert.rejects(loop.call(0, 'throw-reactor'), {
    code: 'REACTOR_POOL_EXHAUSTED',
    message: 'no buffers',
  });
  await assert.rejects(loop.call(0, 'uncloneable'), hasCode('REACTOR_OPTION_INVALID'));
  await assert.rejects(
    loop.call(0, 'echo', () => {}),
    hasCode('REACTOR_OPTION_INVALID'),
  );
  await assert.rejects(
    loop.call(0, 'echo', Buffer.alloc(17 * 1024 * 1024)),
    hasCode('REACTOR_BODY_TOO_LARGE'),
  );
  await assert.rejects(loop.call(0, 'bytes', 17 * 1024 * 1024), hasCode('REACTOR_BODY_TOO_LARGE'));
  await assert.rejects(loop.call(0, 'n'.repeat(300)), hasCode('REACTOR_OPTION_INVALID'));
  assert.equal(await loop.call(0, 'slowly'), 'done');
  assert.equal(loop.stats.callsWaiting, 0);
});

test('a call that is never answered ends at its deadline or with its signal', OPTIONS, async (context) => {
  const { loop } = await start(context, { threads: 1 });
  await assert.rejects(loop.call(0, 'never', undefined, { timeoutMs: 30 }), hasCode('REACTOR_TIMEOUT'));
  const abort = new AbortController();
  const call = loop.call(0, 'never', undefined, { signal: abort.signal });
  abort.abort(new Error('changed my mind'));
  await assert.rejects(
    call,
    (error) => hasCode('REACTOR_ABORTED')(error) && /mind/.test(String((error as Error).cause)),
  );
  await assert.rejects(loop.call(0, 'echo', 1, { signal: abort.signal }), hasCode('REACTOR_ABORTED'));
  assert.equal(loop.stats.callsWaiting, 0);
});

test('calls beyond callsMax are refused', OPTIONS, async (context) => {
  const threads = await new LoopThreads(context, { threads: 1 }, { callsMax: 2 }).ready();
  const waiting = [threads.loop.call(0, 'slowly'), threads.loop.call(0, 'slowly')];
  await assert.rejects(threads.loop.call(0, 'slowly'), hasCode('REACTOR_QUEUE_FULL'));
  assert.deepEqual(await Promise.all(waiting), ['done', 'done']);
});

test('a posted task that fails is reported where it ran and harms nothing', OPTIONS, async (context) => {
  const { loop } = await start(context, { threads: 1 });
  for (const name of ['throw', 'reject', 'nobody', 'throw-reactor']) loop.post(0, name);
  await loop.call(0, 'echo'); // the rejection is a microtask later than the rest
  const codes = (await loop.call(0, 'errors')) as string[];
  assert.deepEqual(codes.toSorted(), [
    'REACTOR_POOL_EXHAUSTED',
    'REACTOR_TASK_FAILED',
    'REACTOR_TASK_FAILED',
    'REACTOR_UNKNOWN_TASK',
  ]);
});

test('a broadcast reaches every sub-reactor once, the sender too, and not main', OPTIONS, async (context) => {
  const { loop, taskErrors } = await start(context, { threads: 3 });
  assert.deepEqual(await loop.call(1, 'broadcast', 'hello'), []);
  for (const thread of [0, 1, 2]) assert.deepEqual(await loop.call(thread, 'seen'), ['hello']);
  assert.deepEqual(taskErrors, []);
});

test('without sub-reactors main is thread 0', OPTIONS, async (context) => {
  const { loop } = await start(context, { threads: 0 });
  const seen: unknown[] = [];
  loop.register('note', (payload, from) => seen.push([payload, from]));
  loop.post(0, 'note', 'zero');
  loop.post('main', 'note', Buffer.alloc(5000));
  assert.deepEqual(loop.broadcast('note', 'all'), []);
  assert.deepEqual(seen, [], 'a task never runs inside post');
  await loop.call('main', 'note', 'call');
  assert.deepEqual(seen, [
    ['zero', 'main'],
    [Buffer.alloc(5000), 'main'],
    ['all', 'main'],
    ['call', 'main'],
  ]);
});

test('a payload is copied when it is posted', OPTIONS, async (context) => {
  const { loop } = await start(context, { threads: 1 });
  for (const bytes of [Buffer.alloc(10, 1), Buffer.alloc(10_000, 1)]) {
    const call = loop.call(0, 'echo', bytes);
    const before = Buffer.from(bytes);
    bytes.fill(2);
    assert.deepEqual(await call, before);
  }
});

test('closing rejects the calls that wait and refuses new tasks', OPTIONS, async (context) => {
  const { loop } = await start(context, { threads: 1 });
  const call = assert.rejects(loop.call(0, 'never'), hasCode('REACTOR_CLOSED'));
  loop.close();
  await call;
  assert.throws(() => loop.post(0, 'echo'), hasCode('REACTOR_CLOSED'));
  await assert.rejects(loop.call(0, 'echo'), hasCode('REACTOR_CLOSED'));
});

test(
  'threads killed while they flood another lose only what they had not posted',
  OPTIONS,
  async (context) => {
    const threads = new LoopThreads(context, { threads: 1 });
    let expected = 0;
    threads.loop.register('numbered', (payload) => {
      assert.equal((payload as { number: number }).number, expected);
      expected += 1;
    });
    for (let round = 0; round < 10; round += 1) {
      threads.loop.post(0, 'flood', expected);
      const enough = expected + 50 + 317 * (round % 4);
      await until(() => expected >= enough);
      await threads.kill(0);
      await until(() => threads.loop.stats.tasksWaiting === 0);
      threads.start(0);
    }
    assert.deepEqual(threads.taskErrors, []);
  },
);

test(
  'tasks run at most once and in order over many incarnations of their thread',
  OPTIONS,
  async (context) => {
    const threads = new LoopThreads(context, { threads: 1 });
    const kills = 10;
    let posted = 0;
    /** Posts what there is room for, up to `end`. */
    const postUpTo = (end: number): void => {
      try {
        for (; posted < end; posted += 1) threads.loop.post(0, 'log', posted);
      } catch (error) {
        if (!hasCode('REACTOR_QUEUE_FULL')(error)) throw error;
      }
    };
    for (let round = 0; round < kills; round += 1) {
      const end = posted + 1500;
      const enough = threads.logged.length + 100 + 211 * (round % 5);
      await until(() => {
        postUpTo(end);
        return threads.logged.length >= enough;
      });
      await threads.kill(0);
      threads.start(0);
    }
    await until(() => threads.loop.depth(0) === 0);
    await threads.loop.call(0, 'echo');
    const { logged } = threads;
    for (let index = 1; index < logged.length; index += 1) assert.ok(logged[index]! > logged[index - 1]!);
    const missing = posted - logged.length;
    assert.ok(missing <= kills, `${missing} tasks lost by ${kills} kills: only the one that ran may be`);
  },
);
