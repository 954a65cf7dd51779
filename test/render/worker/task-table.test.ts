import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrCode } from '../../../render/index.js';
import { TaskTable } from '../../../render/worker/task-table.js';
import type { TaskTableOptions, WorkerEffect } from '../../../render/worker/render-task.js';
import { SeededRandom, seededRandom } from '../../support/seeded-random.js';

type Send = Extract<WorkerEffect, { kind: 'send' }>;

/** A task table with its effects written down: one result per image, one end per request, one image at a renderer. */
class Bench {
  readonly table: TaskTable;
  now = 0;
  sends: Send[] = [];
  readonly sent: Send[] = [];
  readonly kills: number[] = [];
  readonly abandoned: number[] = [];
  readonly ends: Map<number, { done: number; failed: number }> = new Map();
  readonly results: Map<string, WorkerEffect> = new Map();

  constructor(options: TaskTableOptions = {}) {
    this.table = new TaskTable(seededRandom(3), options);
  }

  ready(...pids: number[]): void {
    for (const pid of pids) this.take(this.table.rendererReady(this.now, pid));
  }

  submit(id: number, count: number, deadlineMs = 1e6): void {
    this.take(this.table.submit(this.now, { id, first: 0, count, imageKind: 'k', deadlineMs }));
  }

  reply(send: Send = this.sends[0]!, code: ErrCode = ErrCode.EC_OK): void {
    this.sends = this.sends.filter((other) => other !== send);
    const { task, version } = send;
    this.take(this.table.replied(this.now, send.pid, { task, version, code, error: 'why' }));
  }

  gone(pid: number): void {
    this.sends = this.sends.filter((send) => send.pid !== pid);
    this.take(this.table.rendererGone(this.now, pid, ErrCode.EC_PEER_DEAD, 'signal 9'));
  }

  advance(ms: number): void {
    const until = this.now + ms;
    for (let next = this.table.nextAt; next !== null && next <= until; next = this.table.nextAt) {
      this.now = next;
      this.take(this.table.tick(next));
    }
    this.now = until;
  }

  finishAll(): void {
    for (;;) {
      while (this.sends.length > 0) this.reply();
      if (this.table.running().length === 0 || this.table.nextAt === null) return;
      this.advance(this.table.nextAt - this.now);
    }
  }

  of(pid: number): Send {
    return this.sends.find((send) => send.pid === pid)!;
  }

  letters(request: number, count: number): string {
    return Array.from(
      { length: count },
      (_, index) => this.results.get(`${request} ${index}`)?.kind[0] ?? '-',
    ).join('');
  }

  take(effects: readonly WorkerEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'send') {
        assert(!this.sends.some(({ pid }) => pid === effect.pid), 'one image in flight at a renderer');
        this.sends.push(effect);
        this.sent.push(effect);
      } else if (effect.kind === 'kill') {
        this.kills.push(effect.pid);
      } else if (effect.kind === 'abandon') {
        this.abandoned.push(effect.pid);
      } else if (effect.kind === 'finished') {
        assert(!this.ends.has(effect.request), 'a request ends once');
        this.ends.set(effect.request, effect);
      } else {
        const key = `${effect.request} ${effect.index}`;
        assert(!this.results.has(key), `${key} has one result`);
        assert(!this.ends.has(effect.request), 'no result after the end');
        this.results.set(key, effect);
      }
    }
  }
}

test('images go to the renderers that have the fewest, in slices, one in flight at each', () => {
  const bench = new Bench();
  bench.ready(10, 11);
  bench.submit(1, 5);
  assert.deepEqual(
    bench.sends.map(({ pid, index }) => [pid, index]),
    [
      [10, 0],
      [11, 3],
    ],
  );
  bench.finishAll();
  assert.equal(bench.letters(1, 5), 'rrrrr');
  assert.deepEqual(bench.ends.get(1), { kind: 'finished', request: 1, done: 5, failed: 0 });
  assert.equal(bench.table.idsInUse, 0);
  assert.equal(bench.table.nextAt, null);
});

test('a renderer that is done takes what waits last at a slow one', () => {
  const bench = new Bench();
  bench.ready(1, 2);
  bench.submit(1, 6);
  for (let reply = 0; reply < 5; reply += 1) bench.reply(bench.of(2));
  assert.equal(bench.letters(1, 6), '-rrrrr');
  assert.equal(bench.table.figures().stolen, 2);
});

test('images that came before there was a renderer wait for one', () => {
  const bench = new Bench();
  bench.submit(1, 3);
  assert.equal(bench.table.figures().queued, 3);
  bench.ready(4);
  bench.finishAll();
  assert.equal(bench.letters(1, 3), 'rrr');
});

test('a crashed renderer’s image goes to another one after a pause, and what waited there at once', () => {
  const bench = new Bench();
  bench.ready(1, 2);
  bench.submit(1, 4);
  const { index } = bench.of(1);
  bench.gone(1);
  assert.equal(bench.table.figures().resting, 1);
  bench.finishAll();
  assert.equal(bench.letters(1, 4), 'rrrr');
  assert.equal(bench.sent.findLast((send) => send.index === index)!.pid, 2);
  assert.equal(bench.table.idsInUse, 0);
});

test('an image that fails on every attempt is told once, with how often and why', () => {
  const bench = new Bench({ retriesMax: 2 });
  bench.ready(1, 2, 3);
  bench.submit(1, 1);
  for (let attempt = 0; attempt < 3; attempt += 1) {
    bench.reply(bench.sends[0], ErrCode.EC_PYTHON_ERROR);
    bench.advance(2000);
  }
  assert.deepEqual(bench.results.get('1 0'), {
    kind: 'failed',
    request: 1,
    index: 0,
    code: ErrCode.EC_PYTHON_ERROR,
    error: 'why',
    attempts: 3,
  });
  assert.deepEqual(
    bench.sent.map(({ pid }) => pid).toSorted((a, b) => a - b),
    [1, 2, 3],
    'each time another renderer',
  );
  assert.deepEqual([bench.ends.get(1)!.failed, bench.table.idsInUse], [1, 0]);
});

test('a full channel costs a pause and no retry', () => {
  const bench = new Bench({ retriesMax: 0 });
  bench.ready(1);
  bench.submit(1, 1);
  for (let round = 0; round < 10; round += 1) {
    const { version } = bench.sends.pop()!;
    bench.take(bench.table.channelFull(bench.now, 1, version));
    assert.equal(bench.sends.length, 0);
    bench.advance(5);
  }
  bench.finishAll();
  assert.equal(bench.letters(1, 1), 'r');
  assert.equal(bench.table.figures().channelsFull, 10);
});

test('an image that takes too long goes to another renderer; its late reply is dropped, its id given again only then', () => {
  const bench = new Bench();
  bench.ready(1, 2);
  bench.submit(1, 1);
  const slow = bench.sends.shift()!;
  bench.advance(300_000 + 2000);
  const again = bench.sends[0]!;
  assert.notEqual(again.pid, slow.pid);
  assert.notEqual(again.task, slow.task);
  bench.reply(again);
  assert.equal(bench.letters(1, 1), 'r');
  assert.equal(bench.table.idsInUse, 1, 'the slow one still has it');
  bench.reply(slow);
  assert.equal(bench.table.idsInUse, 0);
  assert.deepEqual([bench.table.figures().staleReplies, bench.kills], [1, []]);
  bench.submit(2, 2);
  assert.deepEqual(
    bench.sends.map(({ pid }) => pid),
    [1, 2],
    'it works again',
  );
});

test('a renderer that does not come back from an image nobody waits for is killed after a grace', () => {
  const bench = new Bench();
  bench.ready(1);
  bench.submit(1, 1);
  bench.take(bench.table.cancel(bench.now, 1));
  assert.equal(bench.letters(1, 1), 'f');
  bench.advance(4999);
  assert.deepEqual(bench.kills, []);
  bench.advance(1);
  assert.deepEqual(bench.kills, [1]);
  bench.gone(1);
  assert.equal(bench.table.idsInUse, 0);
});

test('a canceled request is over at once, whatever its images are doing', () => {
  const bench = new Bench();
  bench.ready(1, 2);
  bench.submit(1, 5);
  bench.reply(bench.of(1));
  bench.reply(bench.of(1), ErrCode.EC_CRASHED);
  bench.take(bench.table.cancel(bench.now, 1));
  bench.take(bench.table.cancel(bench.now, 1));
  assert.deepEqual(
    Array.from(bench.letters(1, 5)).toSorted().join(''),
    'ffffr',
    'queued, resting and running ones have failed',
  );
  for (const send of bench.sends) bench.reply(send);
  assert.deepEqual([bench.table.idsInUse, bench.table.nextAt, bench.table.figures().resting], [0, null, 0]);
});

test('a reply, a cancel and a time-out in one tick make one result, in whatever order', () => {
  for (const order of ['rct', 'rtc', 'crt', 'ctr', 'trc', 'tcr']) {
    const bench = new Bench({ retriesMax: 0 });
    bench.ready(1);
    bench.submit(1, 1);
    const [send] = bench.sends;
    bench.now = 300_000;
    for (const what of order) {
      if (what === 'r') bench.reply(send);
      if (what === 'c') bench.take(bench.table.cancel(bench.now, 1));
      if (what === 't') bench.take(bench.table.tick(bench.now));
    }
    assert.equal(bench.letters(1, 1), order[0] === 'r' ? 'r' : 'f', order);
    assert.deepEqual([bench.ends.size, bench.table.idsInUse, bench.table.nextAt], [1, 0, null], order);
  }
});

test('the deadline of a request ends it with what it has', () => {
  const bench = new Bench();
  bench.ready(1);
  bench.submit(1, 3, 1000);
  bench.reply();
  bench.advance(1000);
  assert.equal(bench.letters(1, 3), 'rff');
});

test('the same request again is the same work, and too much or while draining is refused', () => {
  const bench = new Bench({ tasksMax: 4 });
  bench.ready(1);
  bench.submit(1, 3);
  bench.submit(1, 3);
  assert.throws(() => bench.submit(2, 2), { code: 'RENDER_OVERLOAD', retryAfterMs: 200 });
  bench.submit(3, 1);
  bench.table.drain();
  bench.finishAll();
  assert.throws(() => bench.submit(4, 1), { code: 'RENDER_OVERLOAD' });
  assert.equal(bench.letters(1, 3) + bench.letters(3, 1), 'rrrr');
});

test('a draining renderer finishes its image and gives the others away', () => {
  const bench = new Bench();
  bench.ready(1, 2);
  bench.submit(1, 6);
  bench.take(bench.table.rendererDraining(bench.now, 1));
  bench.finishAll();
  assert.equal(bench.sent.filter(({ pid }) => pid === 1).length, 1);
  assert.equal(bench.letters(1, 6), 'rrrrrr');
  assert.deepEqual(
    bench.table.loads().map(({ pid, tasks, isDraining }) => [pid, tasks, isDraining]),
    [
      [1, 0, true],
      [2, 0, false],
    ],
  );
});

test('whatever crashes, hangs and is canceled, every image has one result and no id is lost', () => {
  for (let seed = 1; seed <= 150; seed += 1) {
    const random = new SeededRandom(seed);
    const bench = new Bench({
      tasksMax: 60,
      retriesMax: 2,
      timeoutUnknownMs: 400,
      timeoutMinMs: 400,
      graceMs: 300,
    });
    let pid = 0;
    const alive = new Set<number>();
    const late: Send[] = [];
    const sizes = new Map<number, number>();
    const start = () => {
      pid += 1;
      alive.add(pid);
      bench.ready(pid);
    };
    start();
    for (let step = 0; step < 300; step += 1) {
      const send = bench.sends[random.integer(0, bench.sends.length)];
      const what = random.integer(0, 11);
      if (what === 0 && alive.size < 4) start();
      else if (what === 1 && random.chance(0.5)) {
        for (const victim of [...alive].slice(0, 1)) {
          alive.delete(victim);
          bench.gone(victim);
        }
      } else if (what === 2) {
        const count = random.integer(1, 12);
        try {
          bench.submit(step + 1, count, random.integer(500, 5000));
          sizes.set(step + 1, count);
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'RENDER_OVERLOAD');
        }
      } else if (what === 3 && sizes.size > 0)
        bench.take(bench.table.cancel(bench.now, [...sizes.keys()].at(-1)!));
      else if (what === 4) bench.advance(random.integer(1, 200));
      else if (what === 5 && send !== undefined) {
        bench.sends = bench.sends.filter((other) => other !== send);
        bench.take(bench.table.channelFull(bench.now, send.pid, send.version));
      } else if (what === 6 && send !== undefined) bench.reply(send, ErrCode.EC_CRASHED);
      else if (what === 7 && send !== undefined) {
        // It hangs: perhaps it answers one day, perhaps twice.
        bench.sends = bench.sends.filter((other) => other !== send);
        late.push(send);
      } else if (what === 8 && late.length > 0) bench.reply(late[random.integer(0, late.length - 1)]);
      else if (send !== undefined) bench.reply(send);
      for (const victim of bench.kills.splice(0)) {
        if (alive.delete(victim)) bench.gone(victim);
      }
    }
    start();
    bench.advance(1e6);
    for (let round = 0; round < 200 && bench.table.running().length > 0; round += 1) {
      while (bench.sends.length > 0) bench.reply();
      bench.advance(500);
    }
    for (const victim of alive) bench.gone(victim);
    for (const [request, count] of sizes) {
      assert(!bench.letters(request, count).includes('-'), `seed ${seed}, request ${request}`);
      assert(bench.ends.has(request));
    }
    assert.deepEqual([bench.table.idsInUse, bench.table.figures().resting], [0, 0], `seed ${seed}`);
  }
});
