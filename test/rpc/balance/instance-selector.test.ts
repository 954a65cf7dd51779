// Who may get a call and who may not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Balancer,
  type Candidate,
  createBalancer,
  InstanceSelector,
  type RpcError,
  type SelectorOptions,
} from '../../../rpc/index.js';
import { failure, idOf, instance, request, success } from './candidates.js';

const NO_OUTLIERS: SelectorOptions = { outlier: false };

function create(ids: string, options: SelectorOptions = {}): InstanceSelector {
  const selector = new InstanceSelector(
    'demo.Greeter',
    createBalancer('round-robin', () => 0),
    options,
  );
  selector.update(Array.from(ids, (id) => instance(id)));
  return selector;
}

/** All that are picked in some rounds, in alphabetical order. */
function picked(selector: InstanceSelector, nowMs = 0, excluded?: ReadonlySet<string>): string {
  const ids = Array.from({ length: 30 }, () => idOf(selector.pick(request(nowMs), excluded)));
  return [...new Set(ids)].toSorted().join('');
}

/** The one candidate with this id. */
function candidate(selector: InstanceSelector, id: string, nowMs = 0): Candidate {
  for (let pick = 0; pick < 100; pick += 1) {
    const found = selector.pick(request(nowMs));
    if (found.instance.id === id) return found;
  }
  throw new Error(`${id} is not picked`);
}

function call(selector: InstanceSelector, on: Candidate, outcome: ReturnType<typeof success>): void {
  selector.started(on);
  selector.finished(on, outcome);
}

function fail(selector: InstanceSelector, on: Candidate, count: number, nowMs = 0): void {
  for (let each = 0; each < count; each += 1) call(selector, on, failure(nowMs));
}

function refusal(selector: InstanceSelector, nowMs = 0): { code: string; message: string; executed: string } {
  try {
    selector.pick(request(nowMs));
  } catch (error) {
    const { code, message, executed } = error as RpcError;
    return { code, message, executed };
  }
  throw new Error('it picked one');
}

test('no list, an empty list and a list that matches nothing are RPC_NO_INSTANCE', () => {
  const selector = create('');
  assert.deepEqual(refusal(selector), {
    code: 'RPC_NO_INSTANCE',
    message: 'no instance of demo.Greeter is known',
    executed: 'no',
  });
  selector.update([instance('a'), instance('b')]);
  assert.equal(picked(selector), 'ab');
  selector.setRoute({ version: '2' });
  assert.equal(refusal(selector).code, 'RPC_NO_INSTANCE');
  assert.match(refusal(selector).message, /matches the route \(2 known\)/);
});

test('a new list keeps what is known of those that stay, by id', () => {
  const removed: string[] = [];
  const seen: (readonly Candidate[])[] = [];
  const balancer: Balancer = {
    pick: (candidates) => {
      seen.push(candidates);
      return candidates[0]!;
    },
    removed: (gone) => removed.push(idOf(gone)),
  };
  const selector = new InstanceSelector('demo.Greeter', balancer);
  selector.update([instance('a'), instance('b')]);
  const a = selector.pick(request());
  selector.started(a);
  selector.update([instance('c'), instance('a', { weight: 5 })]);
  selector.pick(request());
  assert.deepEqual(seen.at(-1)!.map(idOf), ['a', 'c']);
  selector.update([instance('a', { weight: 5 })]);
  assert.equal(selector.pick(request()), a);
  assert.equal(a.callsInFlight, 1);
  assert.equal(a.instance.weight, 5);
  assert.deepEqual(removed, ['b', 'c']);
  selector.update([instance('a', { port: 2000 })]); // the same id at another address is another instance
  assert.notEqual(selector.pick(request()), a);
  assert.deepEqual(removed, ['b', 'c', 'a']);
});

test('the balancer sees one array as long as nothing changes, and a new one when something does', () => {
  const arrays: (readonly Candidate[])[] = [];
  const balancer: Balancer = {
    pick: (candidates) => {
      arrays.push(candidates);
      return candidates[0]!;
    },
  };
  const selector = new InstanceSelector('demo.Greeter', balancer);
  selector.update([instance('a'), instance('b'), instance('c')]);
  for (let nowMs = 0; nowMs < 100_000; nowMs += 1000)
    call(selector, selector.pick(request(nowMs)), success(nowMs));
  assert.equal(new Set(arrays).size, 1);
  selector.update([instance('a'), instance('b'), instance('c', { weight: 2 })]);
  selector.pick(request(100_000));
  assert.equal(new Set(arrays).size, 2);
});

test('what ends after its instance was taken off the list is counted nowhere', () => {
  const finished: string[] = [];
  const balancer: Balancer = {
    pick: (candidates) => candidates[0]!,
    finished: (candidate) => finished.push(idOf(candidate)),
  };
  const selector = new InstanceSelector('demo.Greeter', balancer);
  selector.update([instance('a'), instance('b')]);
  const a = selector.pick(request());
  selector.started(a);
  selector.update([instance('b')]);
  selector.finished(a, success());
  assert.equal(a.callsInFlight, 0);
  assert.deepEqual(finished, []);
});

test('versions, groups and tags select, preferred tags only as long as there are some', () => {
  const selector = create('', NO_OUTLIERS);
  selector.update([
    instance('a', { version: '1', group: 'x', tags: { zone: 'n' } }),
    instance('b', { version: '2', group: 'x', tags: { zone: 'n', disk: 'ssd' } }),
    instance('c', { version: '3', group: 'y', tags: { zone: 's' } }),
  ]);
  const table = [
    [{}, 'abc'],
    [{ version: '2' }, 'b'],
    [{ version: ['1', '3'] }, 'ac'],
    [{ group: 'x' }, 'ab'],
    [{ group: 'x', version: '1' }, 'a'],
    [{ tags: { zone: 'n' } }, 'ab'],
    [{ tags: { zone: 'n', disk: 'ssd' } }, 'b'],
    [{ preferTags: { zone: 's' } }, 'c'],
    [{ preferTags: { zone: 'nowhere' } }, 'abc'],
    [{ group: 'x', preferTags: { zone: 's' } }, 'ab'],
  ] as const;
  for (const [route, ids] of table) {
    selector.setRoute(route);
    assert.equal(picked(selector), ids, JSON.stringify(route));
  }
  selector.setRoute({ preferTags: { zone: 's' } });
  selector.setConnection('c', 'failed');
  assert.equal(picked(selector), 'ab');
});

test('an instance with weight 0 or nonsense for a weight gets nothing', () => {
  const selector = create('');
  selector.update([instance('a', { weight: 0 }), instance('b'), instance('c', { weight: Number.NaN })]);
  assert.equal(picked(selector), 'b');
});

test('instances that were tried come again only when no other is left', () => {
  const selector = create('abc', NO_OUTLIERS);
  assert.equal(picked(selector, 0, new Set(['a'])), 'bc');
  assert.equal(picked(selector, 0, new Set(['a', 'b'])), 'c');
  assert.equal(picked(selector, 0, new Set(['a', 'b', 'c'])), 'abc');
  assert.equal(picked(selector, 0, new Set(['gone'])), 'abc');
  assert.equal(selector.untriedCount(new Set(['a']), 0), 2);
  assert.equal(selector.untriedCount(new Set(['a', 'b', 'c']), 0), 0);
});

test('one that was tried is left for one outside the preferred zone, or one still connecting', () => {
  const selector = create('', NO_OUTLIERS);
  selector.update([instance('a', { tags: { zone: 'n' } }), instance('b'), instance('c')]);
  selector.setRoute({ preferTags: { zone: 'n' } });
  assert.equal(picked(selector, 0, new Set(['a'])), 'bc');
  selector.setConnection('b', 'failed');
  selector.setConnection('c', 'connecting');
  assert.equal(picked(selector), 'a');
  assert.equal(picked(selector, 0, new Set(['a'])), 'c');
  assert.equal(selector.untriedCount(new Set(['a']), 0), 1);
});

test('connecting instances wait while others are there, failed ones always', () => {
  const selector = create('abc');
  selector.setConnection('a', 'connecting');
  selector.setConnection('b', 'ready');
  assert.equal(picked(selector), 'bc'); // c is idle: a call makes it connect
  selector.setConnection('c', 'failed');
  assert.equal(picked(selector), 'b');
  selector.setConnection('b', 'failed');
  assert.equal(picked(selector), 'a'); // its connection may still come in time
  selector.setConnection('a', 'failed');
  assert.equal(refusal(selector).code, 'RPC_ALL_CONNECTING');
  assert.match(refusal(selector).message, /3 failed/);
  selector.setConnection('c', 'ready');
  assert.equal(candidate(selector, 'c').isConnected, true);
});

test('a draining instance gets nothing until it is back, is listed anew, or the time is over', () => {
  const selector = create('ab');
  selector.markDraining('a', 0);
  assert.equal(picked(selector, 0), 'b');
  selector.markServing('a');
  assert.equal(picked(selector, 0), 'ab');
  selector.markDraining('a', 0);
  selector.update([instance('b')]);
  selector.update([instance('a'), instance('b')]);
  assert.equal(picked(selector, 1), 'ab');
  selector.markDraining('a', 1000);
  assert.equal(picked(selector, 30_999), 'b');
  assert.equal(picked(selector, 31_000), 'ab');
});

test('with all draining they are asked all the same, until one is back', () => {
  const selector = create('ab');
  selector.markDraining('a', 0);
  selector.markDraining('b', 0);
  assert.equal(picked(selector, 0), 'ab');
  selector.markServing('b');
  assert.equal(picked(selector, 0), 'b');
});

test('five failures in a row eject one for 30 s', () => {
  const selector = create('abc');
  const a = candidate(selector, 'a');
  fail(selector, a, 4);
  assert.equal(picked(selector), 'abc');
  fail(selector, a, 1);
  assert.equal(picked(selector), 'bc');
  assert.equal(picked(selector, 29_999), 'bc');
  assert.equal(picked(selector, 30_000), 'abc');
});

test('when too many are ejected all are used again, until enough are back', () => {
  const selector = create('abcd', { outlier: { ejectedMaxPercent: 100, ejectionMs: 1000 } });
  for (const [at, id] of ['a', 'b'].entries()) fail(selector, candidate(selector, id), 5, at);
  assert.equal(picked(selector), 'cd'); // half is not fewer than half
  assert.equal(selector.snapshot(2).isPanicking, false);
  fail(selector, candidate(selector, 'c', 2), 5, 2);
  assert.equal(picked(selector, 2), 'abcd');
  assert.equal(selector.snapshot(2).isPanicking, true);
  assert.equal(picked(selector, 1001), 'abd'); // a and b are back
  assert.equal(selector.snapshot(1001).isPanicking, false);
});

test('without panic, and without a floor, all ejected is a failure of its own', () => {
  const selector = create('ab', { panicPercent: 0, outlier: { ejectedMaxPercent: 100, healthyMin: 0 } });
  const [a, b] = [candidate(selector, 'a'), candidate(selector, 'b')];
  fail(selector, a, 5);
  fail(selector, b, 5);
  assert.equal(refusal(selector).code, 'RPC_ALL_EJECTED');
  assert.match(refusal(selector).message, /2 ejected/);
});

test('an open breaker keeps calls away, half-open lets one probe through, its success lets all back', () => {
  const selector = create('ab', { outlier: false, breaker: { callsMin: 4, isolationMs: 100 } });
  const a = candidate(selector, 'a');
  fail(selector, a, 4, 10);
  assert.equal(picked(selector, 10), 'b');
  assert.equal(picked(selector, 109), 'b');
  assert.equal(candidate(selector, 'a', 110), a);
  selector.started(a); // the probe
  assert.equal(picked(selector, 111), 'b');
  selector.finished(a, success(112, 2));
  assert.equal(picked(selector, 112), 'ab');
});

test('a probe that is given up makes room for another, one that fails doubles the isolation', () => {
  const selector = create('ab', { outlier: false, breaker: { callsMin: 4, isolationMs: 100 } });
  const a = candidate(selector, 'a');
  fail(selector, a, 4, 0);
  assert.equal(picked(selector, 100), 'ab');
  selector.started(a);
  assert.equal(picked(selector, 101), 'b');
  selector.abandoned(a, 100, 102);
  assert.equal(picked(selector, 102), 'ab');
  call(selector, a, failure(103));
  assert.equal(picked(selector, 302), 'b');
  assert.equal(picked(selector, 303), 'ab');
});

test('breakers hold even in panic, and all of them open is RPC_ALL_EJECTED', () => {
  const selector = create('ab', { outlier: false, breaker: { callsMin: 2 } });
  const [a, b] = [candidate(selector, 'a'), candidate(selector, 'b')];
  fail(selector, a, 2);
  fail(selector, b, 2);
  assert.equal(refusal(selector).code, 'RPC_ALL_EJECTED');
  assert.match(refusal(selector).message, /2 breaker-open/);
});

test('the snapshot tells of every instance what keeps it from calls', () => {
  const selector = create('abcdef', { outlier: { consecutiveFailures: 2 }, breaker: { callsMin: 3 } });
  const [a, b] = [candidate(selector, 'a'), candidate(selector, 'b')];
  fail(selector, a, 2, 10);
  selector.started(b);
  selector.markDraining('c', 10);
  selector.setConnection('d', 'connecting');
  selector.setConnection('e', 'failed');
  call(selector, candidate(selector, 'f', 10), success(10, 7));
  const { instances } = selector.snapshot(20);
  assert.deepEqual(
    instances.map(({ id, status }) => `${id} ${status}`),
    ['a ejected', 'b available', 'c draining', 'd connecting', 'e failed', 'f available'],
  );
  assert.deepEqual(instances[0], {
    id: 'a',
    address: '10.0.0.1:1000',
    version: '',
    group: '',
    weight: 1,
    status: 'ejected',
    connection: 'idle',
    breaker: 'closed',
    callsInFlight: 0,
    calls: 2,
    failures: 2,
    lastLatencyMs: 1,
    ejectedForMs: 29_990,
  });
  assert.equal(instances[1]!.callsInFlight, 1);
  assert.equal(instances[5]!.lastLatencyMs, 7);
});

test('a balancer that picks something else is named, not followed', () => {
  const selector = new InstanceSelector('demo.Greeter', { pick: () => undefined as unknown as Candidate });
  selector.update([instance('a')]);
  assert.equal(refusal(selector).code, 'RPC_INTERNAL');
});

test('impossible options are refused with their name', () => {
  const bad: readonly [SelectorOptions, RegExp][] = [
    [{ panicPercent: 101 }, /selector option panicPercent/],
    [{ drainingMs: -1 }, /drainingMs/],
    [{ outlier: { intervalMs: 0 } }, /outlier option intervalMs/],
    [{ breaker: { failureRatio: 0 } }, /circuit breaker option failureRatio/],
    [{ panic: 3 } as SelectorOptions, /panic does not exist/],
  ];
  for (const [options, message] of bad) {
    assert.throws(() => create('', options), { code: 'RPC_OPTION_INVALID', message });
  }
});
