import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Autoscaler,
  type AutoscalerAction,
  type AutoscalerOptions,
  type AutoscalerSample,
} from '../../../render/worker/autoscaler.js';

const GIB = 2 ** 30;

/** Renderers that come and go as the autoscaler says, one sample a second. */
class Host {
  readonly scaler: Autoscaler;
  pids: { pid: number; tasks: number; idleSince: number; isDraining: boolean }[] = [];
  now = 0;
  readonly actions: string[] = [];
  #lastPid = 0;

  constructor(options: AutoscalerOptions) {
    this.scaler = new Autoscaler(options);
  }

  second(sample: Partial<AutoscalerSample> = {}): AutoscalerAction | null {
    this.now += 1000;
    const action = this.scaler.decide(this.now, {
      queued: 0,
      renderers: this.pids,
      starting: 0,
      cpu: 1,
      cpuOthers: 0.5,
      memory: 0.4,
      gpu: 0,
      availableBytes: 4 * GIB,
      rendererBytes: GIB / 4,
      ...sample,
    });
    if (action?.kind === 'start') {
      this.#lastPid += 1;
      this.pids.push({ pid: this.#lastPid, tasks: 0, idleSince: this.now, isDraining: false });
    } else if (action !== null) {
      this.pids = this.pids.filter(({ pid }) => pid !== action.pid);
    }
    if (action !== null) this.actions.push(`${this.now / 1000} ${action.kind}`);
    return action;
  }

  seconds(count: number, sample: Partial<AutoscalerSample> = {}): void {
    for (let second = 0; second < count; second += 1) this.second(sample);
  }
}

test('the least number is there at once', () => {
  const host = new Host({ min: 3, max: 5 });
  host.seconds(5);
  assert.deepEqual(host.actions, ['1 start', '2 start', '3 start']);
});

test('one more is started after three seconds of waiting images, then one per cool-down, never above the most', () => {
  const host = new Host({ min: 1, max: 3 });
  host.seconds(20);
  host.actions.length = 0;
  const from = host.now / 1000;
  host.seconds(60, { queued: 50 });
  assert.deepEqual(
    host.actions.map((action) => Number.parseInt(action, 10) - from),
    [4, 14],
  );
  assert.equal(host.pids.length, 3);
});

test('a short queue, or one that is gone within three seconds, starts none', () => {
  const host = new Host({ min: 2, max: 4 });
  host.seconds(20);
  host.actions.length = 0;
  host.seconds(30, { queued: 1 });
  for (let round = 0; round < 10; round += 1) {
    host.seconds(2, { queued: 9 });
    host.second();
  }
  assert.deepEqual(host.actions, []);
});

test('a CPU that is busy with rendering does not hold back, unless the guard is strict', () => {
  const demand = new Host({ min: 1, max: 2 });
  demand.seconds(20, { queued: 9, cpu: 1 });
  assert.equal(demand.pids.length, 2);
  const strict = new Host({ min: 1, max: 2, guard: 'strict' });
  strict.seconds(20, { queued: 9, cpu: 0.9 });
  assert.equal(strict.pids.length, 1);
  assert.match(strict.scaler.heldBack, /CPU is at 90 %/);
  strict.seconds(20, { queued: 9, cpu: 0.7 });
  assert.equal(strict.pids.length, 2);
});

test('memory, GPU and the CPU use of others hold back in either way', () => {
  const cases: [Partial<AutoscalerSample>, RegExp][] = [
    [{ memory: 0.85 }, /memory is at 85 %/],
    [{ gpu: 0.81 }, /GPU is at 81 %/],
    [{ cpuOthers: 0.9 }, /CPU is at 90 %/],
    [{ availableBytes: GIB / 3 }, /too little memory/],
  ];
  for (const [sample, reason] of cases) {
    const host = new Host({ min: 1, max: 2 });
    host.seconds(20, { queued: 9, ...sample });
    assert.equal(host.pids.length, 1);
    assert.match(host.scaler.heldBack, reason);
  }
});

test('renderers without work go one by one, the idlest first, down to the least number', () => {
  const host = new Host({ min: 1, max: 3 });
  host.seconds(60, { queued: 50 });
  assert.equal(host.pids.length, 3);
  host.actions.length = 0;
  for (const renderer of host.pids) renderer.idleSince = host.now;
  host.pids[0]!.tasks = 1;
  const [busy] = host.pids;
  host.seconds(59);
  assert.deepEqual(host.actions, []);
  host.seconds(30);
  assert.deepEqual(host.pids, [busy]);
});

test('when the machine is quiet, an idle renderer goes after the cool-down already', () => {
  const host = new Host({ min: 1, max: 2 });
  host.seconds(20, { queued: 9 });
  for (const renderer of host.pids) renderer.idleSince = host.now;
  host.seconds(11, { cpuOthers: 0.05 });
  assert.equal(host.pids.length, 1);
});

test('a load that comes and goes does not make it start and stop all the time', () => {
  const host = new Host({ min: 1, max: 4 });
  for (let round = 0; round < 30; round += 1) {
    host.seconds(5, { queued: 20 });
    for (const renderer of host.pids) renderer.idleSince = host.now;
    host.seconds(5, { cpuOthers: 0.1 });
  }
  assert(
    host.actions.every((action) => action.endsWith('start')),
    host.actions.join(),
  );
});

test('lasting shortage of memory drains one, busy or not, but never below the least number', () => {
  const host = new Host({ min: 1, max: 3 });
  host.seconds(60, { queued: 50 });
  for (const renderer of host.pids) renderer.tasks = 2;
  host.actions.length = 0;
  const from = host.now / 1000;
  host.seconds(60, { queued: 50, memory: 0.95 });
  assert.deepEqual(
    host.actions.map((action) => `${Number.parseInt(action, 10) - from} ${action.split(' ')[1]}`),
    ['11 drain', '21 drain'],
  );
});

test('impossible numbers are refused', () => {
  for (const options of [{ min: 0 }, { min: 3, max: 2 }, { min: 1.5 }])
    assert.throws(() => new Autoscaler(options), { code: 'RENDER_OPTION_INVALID' });
});
