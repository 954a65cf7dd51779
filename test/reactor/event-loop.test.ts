// The local half of an event loop: turns, budget, timers. Timers run on a clock that the test moves.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ReactorError } from '../../reactor/errors.js';
import { EventLoop, type EventLoopOptions } from '../../reactor/event-loop.js';
import { TIMER_TICK_MS } from '../../reactor/limits.js';
import { LoopTimers, systemClock } from '../../reactor/loop-timers.js';
import { ThreadMesh } from '../../reactor/thread-mesh.js';
import { TimerNode } from '../../reactor/timer-wheel.js';
import { testPool } from '../support/loop-threads.js';
import { until } from '../support/until.js';

function loopFor(context: TestContext, options: EventLoopOptions = {}): EventLoop {
  const mesh = ThreadMesh.create();
  const loop = new EventLoop(mesh.seat, testPool(), systemClock, options);
  context.after(() => {
    loop.close();
    mesh.close();
  });
  return loop;
}

/** A clock and Node's timers, moved together. */
class FakeTime {
  nowMs: number = 1000;
  readonly #context: TestContext;

  constructor(context: TestContext) {
    context.mock.timers.enable({ apis: ['setTimeout'] });
    this.#context = context;
  }

  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += 1) {
      this.nowMs += 1;
      this.#context.mock.timers.tick(1);
    }
  }
}

function timedLoop(
  context: TestContext,
  options: EventLoopOptions = {},
): { loop: EventLoop; time: FakeTime } {
  const time = new FakeTime(context);
  const mesh = ThreadMesh.create();
  const loop = new EventLoop(mesh.seat, testPool(), { nowMs: () => time.nowMs }, options);
  context.after(() => {
    loop.close();
    mesh.close();
  });
  return { loop, time };
}

test('runInLoop runs at once, queueInLoop after the caller has returned', async (context) => {
  const loop = loopFor(context);
  const order: string[] = [];
  loop.queueInLoop(() => order.push('queued'));
  loop.runInLoop(() => void order.push('run'));
  order.push('returned');
  await until(() => order.length === 3);
  assert.deepEqual(order, ['run', 'returned', 'queued']);
});

test('a task queued during a turn waits for the next one', async (context) => {
  const loop = loopFor(context);
  const turns: number[] = [];
  loop.queueInLoop(() => {
    turns.push(loop.stats.turns);
    loop.queueInLoop(() => turns.push(loop.stats.turns));
  });
  await until(() => turns.length === 2);
  assert.equal(turns[1], turns[0]! + 1);
});

test('a turn stops at its budget and lets other work in before it goes on', async (context) => {
  const loop = loopFor(context, { tasksPerTurnMax: 100, turnMsMax: 10_000 });
  let ran = 0;
  for (let count = 0; count < 1000; count += 1) loop.queueInLoop(() => (ran += 1));
  const seenBetween: number[] = [];
  await until(() => {
    seenBetween.push(ran);
    return ran === 1000;
  });
  assert.ok(seenBetween.length >= 10, `${seenBetween.length} turns for 1000 tasks`);
  for (const [index, count] of seenBetween.entries()) assert.ok(count - (seenBetween[index - 1] ?? 0) <= 100);
});

test('a turn stops when its time is spent', async (context) => {
  const { loop, time } = timedLoop(context, { turnMsMax: 4 });
  let ran = 0;
  for (let count = 0; count < 10; count += 1) {
    loop.queueInLoop(() => {
      ran += 1;
      time.nowMs += 1;
    });
  }
  const { turns } = loop.stats;
  await until(() => ran === 10);
  assert.ok(loop.stats.turns - turns >= 3, 'tasks of this thread have three quarters of a turn');
});

test('each source of work advances in every turn, however slow the others are', async (context) => {
  const { loop, time } = timedLoop(context, { turnMsMax: 2 });
  const ran: Record<string, number> = { urgent: 0, local: 0, normal: 0 };
  const slow = (source: string): void => {
    time.nowMs += 50;
    ran[source]! += 1;
  };
  loop.register('slow', (source) => slow(source as string));
  for (let count = 0; count < 5; count += 1) {
    loop.post('main', 'slow', 'urgent', { priority: 'urgent' });
    loop.post('main', 'slow', 'normal');
    loop.queueInLoop(() => slow('local'));
  }
  await until(() => ran['urgent']! >= 3);
  assert.deepEqual(ran, { urgent: 3, local: 3, normal: 3 });
});

test('a task that throws or rejects is reported and the next one runs', async (context) => {
  const errors: ReactorError[] = [];
  const loop = loopFor(context, { onTaskError: (error) => void errors.push(error) });
  const cause = new Error('thrown');
  let ran = false;
  loop.queueInLoop(() => {
    throw cause;
  });
  loop.queueInLoop(() => Promise.reject(new Error('rejected')));
  loop.queueInLoop(() => (ran = true));
  await until(() => ran && errors.length === 2);
  assert.deepEqual(
    errors.map((error) => error.code),
    ['REACTOR_TASK_FAILED', 'REACTOR_TASK_FAILED'],
  );
  assert.equal(errors[0]!.cause, cause);
});

test('more tasks than localTasksMax are refused', (context) => {
  const loop = loopFor(context, { localTasksMax: 2 });
  loop.queueInLoop(() => {});
  loop.queueInLoop(() => {});
  assert.throws(() => loop.queueInLoop(() => {}), { code: 'REACTOR_QUEUE_FULL' });
});

test('runAfter fires once, never early, late by at most a tick', (context) => {
  for (const delayMs of [0, 1, 19, 20, 21, 1000, 60_000]) {
    context.mock.timers.reset();
    const { loop, time } = timedLoop(context);
    const began = time.nowMs;
    const fired: number[] = [];
    loop.runAfter(delayMs, () => fired.push(time.nowMs - began));
    time.pass(delayMs + TIMER_TICK_MS + 1);
    assert.equal(fired.length, 1, `${delayMs} ms`);
    assert.ok(fired[0]! >= delayMs && fired[0]! <= delayMs + TIMER_TICK_MS + 1, `${delayMs} ms: ${fired[0]}`);
  }
});

test('runEvery keeps its average and leaves out runs it missed', (context) => {
  const { loop, time } = timedLoop(context);
  const began = time.nowMs;
  const fired: number[] = [];
  const timer = loop.runEvery(50, () => fired.push(time.nowMs - began));
  time.pass(1020);
  assert.equal(fired.length, 20);
  time.nowMs += 500; // the thread was busy
  time.pass(100);
  assert.ok(fired.length <= 24, `${fired.length} runs`);
  assert.equal(loop.cancel(timer), true);
  const count = fired.length;
  time.pass(500);
  assert.equal(fired.length, count);
});

test('a periodic timer may cancel itself, and a failing one goes on', (context) => {
  const errors: ReactorError[] = [];
  const { loop, time } = timedLoop(context, { onTaskError: (error) => void errors.push(error) });
  let ran = 0;
  const timer = loop.runEvery(20, () => {
    ran += 1;
    if (ran === 3) loop.cancel(timer);
    throw new Error('each time');
  });
  time.pass(1000);
  assert.equal(ran, 3);
  assert.equal(errors.length, 3);
  assert.equal(loop.stats.timersWaiting, 0);
});

test('a cancelled timer does not fire', (context) => {
  const { loop, time } = timedLoop(context);
  const timer = loop.runAfter(30, () => assert.fail('it was cancelled'));
  assert.equal(loop.cancel(timer), true);
  assert.equal(loop.cancel(timer), false);
  time.pass(200);
});

test('one Node timer serves all timers, and none ticks while none is due', (context) => {
  const time = new FakeTime(context);
  let calls = 0;
  const counted = { nowMs: (): number => ((calls += 1), time.nowMs) };
  const timers = new LoopTimers(counted, (error) => assert.fail(String(error)));
  class Node extends TimerNode {
    fired = 0;
    override onTimer(): void {
      this.fired += 1;
    }
  }
  const nodes = Array.from({ length: 100 }, () => new Node());
  for (const node of nodes) timers.schedule(node, 60_000);
  calls = 0;
  time.pass(59_990);
  assert.equal(calls, 0, 'nothing looked at the clock');
  time.pass(50);
  assert.ok(nodes.every((node) => node.fired === 1));
  timers.close();
});

test('closing forgets tasks and timers, and refuses more', async (context) => {
  const loop = loopFor(context);
  loop.queueInLoop(() => assert.fail('forgotten'));
  loop.runAfter(0, () => assert.fail('forgotten'));
  loop.close();
  loop.close();
  assert.equal(loop.isClosed, true);
  assert.throws(() => loop.queueInLoop(() => {}), { code: 'REACTOR_CLOSED' });
  await nextTurn();
  await nextTurn();
});

test('a loop keeps its process alive only when asked to', { timeout: 30_000 }, async () => {
  const program = fileURLToPath(new URL('./fixtures/idle-loop.js', import.meta.url));
  const run = (...args: string[]): Promise<{ stdout: string }> =>
    promisify(execFile)(process.execPath, [program, ...args], { timeout: 20_000 });
  assert.equal((await run()).stdout, '');
  assert.equal((await run('ref')).stdout, 'kept alive');
});
