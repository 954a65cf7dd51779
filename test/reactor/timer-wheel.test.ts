// The timer wheel against a plain sorted list, and each of its promises alone. No clock: time is a number.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TimerNode, TimerWheel } from '../../reactor/timer-wheel.js';
import { seededRandom } from '../support/seeded-random.js';

class Timer extends TimerNode {
  readonly name: string;
  action: (() => void) | null = null;

  constructor(name: string) {
    super();
    this.name = name;
  }

  override onTimer(): void {
    this.action?.();
  }
}

/** Advances and returns the names that fired, in order. */
function advance(wheel: TimerWheel, nowMs: number, firesMax?: number): string[] {
  const fired: string[] = [];
  const fire = (node: TimerNode): void => {
    fired.push((node as Timer).name);
    node.onTimer();
  };
  wheel.advance(nowMs, fire, firesMax);
  return fired;
}

test('a timer never fires early and at most one tick late', () => {
  for (let delayMs = 0; delayMs <= 45; delayMs += 1) {
    const wheel = new TimerWheel(1000, { tickMs: 20 });
    wheel.schedule(new Timer('a'), delayMs, 1003);
    let firedMs = 0;
    for (let nowMs = 1003; firedMs === 0; nowMs += 1) if (advance(wheel, nowMs).length > 0) firedMs = nowMs;
    assert.ok(firedMs >= 1003 + delayMs, `${delayMs} ms`);
    assert.ok(firedMs <= 1003 + delayMs + 20, `${delayMs} ms`);
  }
});

test('a delay of many revolutions fires once, in the right one', () => {
  const wheel = new TimerWheel(0, { tickMs: 1, slotCount: 8 });
  wheel.schedule(new Timer('long'), 8 * 5 + 3, 0);
  wheel.schedule(new Timer('short'), 3, 0);
  const firedAt: Record<string, number> = {};
  for (let nowMs = 0; nowMs < 100; nowMs += 1)
    for (const name of advance(wheel, nowMs)) firedAt[name] = nowMs;
  assert.deepEqual(firedAt, { short: 3, long: 43 });
  assert.equal(wheel.size, 0);
});

test('what fires after a long pause fires in the order of deadlines', () => {
  const wheel = new TimerWheel(0, { tickMs: 1, slotCount: 8 });
  for (const delayMs of [30, 2, 17, 9, 25, 1]) wheel.schedule(new Timer(String(delayMs)), delayMs, 0);
  assert.deepEqual(advance(wheel, 1000), ['1', '2', '9', '17', '25', '30']);
});

test('scheduling a waiting timer again moves it', () => {
  const wheel = new TimerWheel(0, { tickMs: 1 });
  const timer = new Timer('a');
  wheel.schedule(timer, 5, 0);
  wheel.schedule(timer, 50, 0);
  assert.equal(wheel.size, 1);
  assert.deepEqual(advance(wheel, 49), []);
  assert.deepEqual(advance(wheel, 50), ['a']);
});

test('a cancelled timer does not fire and can be scheduled again', () => {
  const wheel = new TimerWheel(0, { tickMs: 1 });
  const timer = new Timer('a');
  wheel.schedule(timer, 5, 0);
  assert.equal(wheel.cancel(timer), true);
  assert.equal(wheel.cancel(timer), false);
  assert.deepEqual(advance(wheel, 10), []);
  wheel.schedule(timer, 5, 10);
  assert.deepEqual(advance(wheel, 15), ['a']);
});

test('a timer cancelled by one that fires in the same tick does not fire', () => {
  const wheel = new TimerWheel(0, { tickMs: 20 });
  const [first, second, third] = [new Timer('first'), new Timer('second'), new Timer('third')];
  for (const timer of [first, second, third]) wheel.schedule(timer, 5, 0);
  first.action = (): void => void wheel.cancel(second);
  assert.deepEqual(advance(wheel, 20), ['first', 'third']);
});

test('a timer that schedules itself with no delay waits for the next advance', () => {
  const wheel = new TimerWheel(0, { tickMs: 20 });
  const timer = new Timer('again');
  timer.action = (): void => void wheel.schedule(timer, 0, 40);
  wheel.schedule(timer, 0, 0);
  assert.deepEqual(advance(wheel, 40), ['again']);
  assert.deepEqual(advance(wheel, 40), []);
  assert.deepEqual(advance(wheel, 60), ['again']);
});

test('an advance with a limit leaves the rest due at once', () => {
  const wheel = new TimerWheel(0, { tickMs: 1 });
  for (const name of ['a', 'b', 'c']) wheel.schedule(new Timer(name), 5, 0);
  assert.deepEqual(advance(wheel, 5, 2), ['a', 'b']);
  assert.equal(wheel.nextDueMs(), 5);
  assert.deepEqual(advance(wheel, 5, 2), ['c']);
  assert.equal(wheel.nextDueMs(), null);
});

test('a timer that throws leaves the others to the next advance', () => {
  const wheel = new TimerWheel(0, { tickMs: 1 });
  const [bad, good] = [new Timer('bad'), new Timer('good')];
  bad.action = (): never => assert.fail('thrown by a timer');
  wheel.schedule(bad, 1, 0);
  wheel.schedule(good, 1, 0);
  assert.throws(() => advance(wheel, 1), /thrown by a timer/);
  assert.deepEqual(advance(wheel, 1), ['good']);
});

test('nextDueMs after a cancel is early at most once', () => {
  const wheel = new TimerWheel(0, { tickMs: 1, slotCount: 8 });
  const [near, far] = [new Timer('near'), new Timer('far')];
  wheel.schedule(near, 2, 0);
  wheel.schedule(far, 2 + 8 * 4, 0); // the same slot, four revolutions later
  wheel.cancel(near);
  assert.equal(wheel.nextDueMs(), 2);
  assert.deepEqual(advance(wheel, 2), []);
  assert.equal(wheel.nextDueMs(), 34);
});

test('random schedules, moves and cancels fire like a sorted list', () => {
  const seed = Date.now() >>> 0;
  const random = seededRandom(seed);
  const wheel = new TimerWheel(0, { tickMs: 4, slotCount: 16 });
  const timers = Array.from({ length: 200 }, (_, index) => new Timer(String(index)));
  const expected = new Map<string, number>();
  let nowMs = 0;
  for (let step = 0; step < 5000; step += 1) {
    const timer = timers[Math.floor(random() * timers.length)]!;
    const choice = random();
    if (choice < 0.5) {
      const delayMs = Math.floor(random() * random() * 500);
      wheel.schedule(timer, delayMs, nowMs);
      expected.set(timer.name, nowMs + delayMs);
    } else if (choice < 0.7) {
      assert.equal(wheel.cancel(timer), expected.delete(timer.name), `seed ${seed} step ${step}`);
    } else {
      nowMs += Math.floor(random() * 30);
      for (const name of advance(wheel, nowMs)) {
        assert.ok(expected.get(name)! <= nowMs, `seed ${seed} step ${step}: ${name} early`);
        expected.delete(name);
      }
      for (const [name, dueMs] of expected)
        assert.ok(dueMs > nowMs - 8, `seed ${seed} step ${step}: ${name} late`);
    }
    assert.equal(wheel.size, expected.size, `seed ${seed} step ${step}`);
  }
});
