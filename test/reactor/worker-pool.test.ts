// The worker pool with real threads: growth, fullness, cancellation, crashes, closing. Gates, no sleeps.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { WorkerPool, type WorkerPoolOptions } from '../../reactor/index.js';
import { LoopThreads } from '../support/loop-threads.js';
import { until } from '../support/until.js';

const OPTIONS = { timeout: 30_000 };
const FUNCTIONS = new URL('./fixtures/pool-functions.js', import.meta.url);

function poolFor(context: TestContext, options: Partial<WorkerPoolOptions> = {}): WorkerPool {
  const pool = new WorkerPool({ module: FUNCTIONS, threadsMax: 2, execArgv: [], ...options });
  context.after(() => pool.close({ deadlineMs: 0 }));
  return pool;
}

class Gate {
  readonly words: Int32Array = new Int32Array(new SharedArrayBuffer(8));

  get arrived(): number {
    return Atomics.load(this.words, 0);
  }

  open(): void {
    Atomics.store(this.words, 1, 1);
    Atomics.notify(this.words, 1);
  }
}

test('a job gives its result, and a failing one its code', OPTIONS, async (context) => {
  const pool = poolFor(context);
  assert.equal(await pool.submit('double', 21), 42);
  await assert.rejects(pool.submit('fail'), { code: 'REACTOR_TASK_FAILED', message: 'EPIPE: as told' });
  await assert.rejects(pool.submit('failWithCode'), { code: 'REACTOR_POOL_EXHAUSTED' });
  await assert.rejects(pool.submit('nobody'), { code: 'REACTOR_UNKNOWN_TASK' });
  await assert.rejects(pool.submit('uncloneable'), { code: 'REACTOR_TASK_FAILED' });
  await assert.rejects(
    pool.submit('double', () => {}),
    { code: 'REACTOR_OPTION_INVALID' },
  );
  const { submitted, completed, failed, threads, threadsStarted } = pool.stats();
  assert.deepEqual({ submitted, completed, failed }, { submitted: 6, completed: 1, failed: 5 });
  assert.deepEqual({ threads, threadsStarted }, { threads: 1, threadsStarted: 1 });
});

test('the pool grows to threadsMax under a backlog and shrinks to threadsMin', OPTIONS, async (context) => {
  const pool = poolFor(context, { threadsMin: 1, threadsMax: 3, keepAliveMs: 20 });
  const gate = new Gate();
  const jobs = Array.from({ length: 6 }, () => pool.submit('waitAt', gate.words));
  await until(() => gate.arrived === 3);
  assert.equal(pool.stats().threads, 3);
  assert.equal(pool.stats().queued, 3);
  gate.open();
  assert.equal(new Set(await Promise.all(jobs)).size, 3);
  await until(() => pool.stats().threads === 1);
  assert.equal(await pool.submit('double', 1), 2);
  assert.equal(pool.stats().threadsStarted, 3);
});

test('a full queue refuses one more job', OPTIONS, async (context) => {
  const pool = poolFor(context, { threadsMax: 1, queueMax: 2 });
  const gate = new Gate();
  const running = pool.submit('waitAt', gate.words);
  await until(() => gate.arrived === 1);
  const queued = [pool.submit('double', 1), pool.submit('double', 2)];
  await assert.rejects(pool.submit('double', 3), { code: 'REACTOR_QUEUE_FULL' });
  gate.open();
  assert.deepEqual(await Promise.all(queued), [2, 4]);
  await running;
  assert.equal(pool.stats().refused, 1);
});

test('a full queue may drop its oldest job instead', OPTIONS, async (context) => {
  const pool = poolFor(context, { threadsMax: 1, queueMax: 2, full: 'drop-oldest' });
  const gate = new Gate();
  void pool.submit('waitAt', gate.words);
  await until(() => gate.arrived === 1);
  const dropped = assert.rejects(pool.submit('double', 1), { code: 'REACTOR_QUEUE_FULL' });
  const kept = [pool.submit('double', 2), pool.submit('double', 3)];
  await dropped;
  gate.open();
  assert.deepEqual(await Promise.all(kept), [4, 6]);
});

test('a full queue may let jobs wait, up to a bound, and runs them in order', OPTIONS, async (context) => {
  const pool = poolFor(context, { threadsMax: 1, queueMax: 1, full: 'wait', waitingMax: 2 });
  const gate = new Gate();
  void pool.submit('waitAt', gate.words);
  await until(() => gate.arrived === 1);
  const order: unknown[] = [];
  const jobs = [1, 2, 3].map(async (value) => order.push(await pool.submit('double', value)));
  await assert.rejects(pool.submit('double', 4), { code: 'REACTOR_QUEUE_FULL' });
  assert.equal(pool.stats().waiting, 2);
  gate.open();
  await Promise.all(jobs);
  assert.deepEqual(order, [2, 4, 6]);
});

test('a cancelled job that waits leaves the queue and never runs', OPTIONS, async (context) => {
  const pool = poolFor(context, { threadsMax: 1 });
  const gate = new Gate();
  const running = pool.submit('waitAt', gate.words);
  await until(() => gate.arrived === 1);
  const abort = new AbortController();
  const cancelled = pool.submit('waitAt', gate.words, { signal: abort.signal });
  assert.equal(pool.stats().queued, 1);
  abort.abort();
  await assert.rejects(cancelled, { code: 'REACTOR_ABORTED' });
  assert.equal(pool.stats().queued, 0);
  gate.open();
  await running;
  assert.equal(await pool.submit('double', 1), 2);
  assert.equal(gate.arrived, 1);
  await assert.rejects(pool.submit('double', 1, { signal: abort.signal }), { code: 'REACTOR_ABORTED' });
});

test('cancelling a running job aborts the signal of its function', OPTIONS, async (context) => {
  const pool = poolFor(context, { threadsMax: 1 });
  const gate = new Gate();
  const abort = new AbortController();
  const job = pool.submit('untilCancelled', gate.words, { signal: abort.signal });
  await until(() => pool.stats().threadsBusy === 1);
  abort.abort();
  await assert.rejects(job, { code: 'REACTOR_ABORTED' });
  assert.equal(await pool.submit('double', 1), 2);
  assert.equal(gate.arrived, 1);
  assert.equal(pool.stats().threadsStarted, 1);
});

test('a late job that hears no signal is killed with its thread when asked to', OPTIONS, async (context) => {
  const pool = poolFor(context, { threadsMax: 1 });
  await pool.submit('double', 1); // the thread has started
  const gate = new Gate();
  const late = pool.submit('waitAt', gate.words, { timeoutMs: 50, terminate: true });
  await assert.rejects(late, { code: 'REACTOR_TIMEOUT' });
  assert.equal(await pool.submit('double', 2), 4);
  const { threadsStarted, threadsCrashed, cancelled } = pool.stats();
  assert.deepEqual(
    { threadsStarted, threadsCrashed, cancelled },
    { threadsStarted: 2, threadsCrashed: 0, cancelled: 1 },
  );
});

for (const name of ['exit', 'crash']) {
  test(`a thread lost to ${name} rejects its own job and is replaced`, OPTIONS, async (context) => {
    const pool = poolFor(context, { threadsMax: 1 });
    const lost = assert.rejects(pool.submit(name), { code: 'REACTOR_THREAD_LOST' });
    const next = pool.submit('double', 4);
    await lost;
    assert.equal(await next, 8);
    assert.equal(pool.stats().threadsCrashed, 1);
  });
}

test('a module that cannot be used fails every job instead of letting it wait', OPTIONS, async (context) => {
  for (const file of ['./fixtures/pool-broken.js', './fixtures/there-is-none.js']) {
    const pool = poolFor(context, { module: new URL(file, import.meta.url) });
    const jobs = [pool.submit('double', 1), pool.submit('double', 2), pool.submit('double', 3)];
    for (const job of await Promise.allSettled(jobs)) {
      assert.equal(job.status, 'rejected');
      assert.match(String(job.reason), /no function|ERR_MODULE_NOT_FOUND/);
    }
  }
});

test('a transferred buffer moves', OPTIONS, async (context) => {
  const pool = poolFor(context);
  const bytes = new ArrayBuffer(1000);
  const job = pool.submit('byteLength', bytes, { transfer: [bytes] });
  assert.equal(await job, 1000);
  assert.equal(bytes.byteLength, 0);
});

test('a sub-reactor may have a pool of its own', OPTIONS, async (context) => {
  const { loop } = await new LoopThreads(context, { threads: 1 }).ready();
  assert.equal(await loop.call(0, 'pool', 21), 42);
});

test('closing lets jobs finish and then refuses', OPTIONS, async (context) => {
  const pool = poolFor(context, { threadsMax: 1 });
  const gate = new Gate();
  const jobs = [pool.submit('waitAt', gate.words), pool.submit('double', 2)];
  await until(() => gate.arrived === 1);
  const closed = pool.close();
  await assert.rejects(pool.submit('double', 1), { code: 'REACTOR_CLOSED' });
  gate.open();
  assert.equal((await Promise.all(jobs))[1], 4);
  await closed;
  assert.equal(pool.stats().threads, 0);
});

test('closing gives up on jobs at its deadline', OPTIONS, async (context) => {
  const pool = poolFor(context, { threadsMax: 1 });
  const gate = new Gate();
  const jobs = [pool.submit('waitAt', gate.words), pool.submit('double', 2)];
  await until(() => gate.arrived === 1);
  const ends = jobs.map((job) => assert.rejects(job, { code: 'REACTOR_CLOSED' }));
  await pool.close({ deadlineMs: 10 });
  await Promise.all(ends);
  assert.equal(pool.stats().threads, 0);
});

test('impossible sizes are refused', () => {
  for (const options of [{ threadsMax: 0 }, { threadsMin: 3, threadsMax: 2 }, { queueMax: 0 }]) {
    assert.throws(() => new WorkerPool({ module: FUNCTIONS, ...options }), {
      code: 'REACTOR_OPTION_INVALID',
    });
  }
});
