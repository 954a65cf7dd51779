import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../support/seeded-random.js';
import { type CounterInput, counterModel, type CounterOutput } from './counter-model.js';
import { check, checkKeys } from './linearizability.js';
import type { Model } from './model.js';
import { isPending, type Operation } from './operation.js';
import { isLinearizableByTrying } from './permutations.js';
import {
  mutated,
  randomCounterHistory,
  randomRegisterHistory,
  type RegisterOperation,
} from './random-history.js';
import { type RegisterInput, registerModel, type RegisterOutput } from './register-model.js';

const SEED = Number(process.env['KV_SEED'] ?? 20_261_130);
const register = registerModel();
const unversioned = registerModel('none');

/** Each line: client, call, return (or `?`), input, output. */
function history<Input, Output>(
  ...lines: [client: number, callNs: number, returnNs: number | '?', input: Input, output?: Output][]
): Operation<Input, Output>[] {
  return lines.map(([client, callNs, returnNs, input, output], at) => ({
    id: at + 1,
    client,
    key: 'k',
    input,
    output: returnNs === '?' ? null : output!,
    callNs,
    returnNs: returnNs === '?' ? Infinity : returnNs,
  }));
}

const ofRegister = history<RegisterInput, RegisterOutput>;
const ofCounter = history<CounterInput, CounterOutput>;
const get = { op: 'get' } as const;
const put = (value: string): RegisterInput => ({ op: 'put', value });
const append = (value: string): RegisterInput => ({ op: 'append', value });

const KNOWN: readonly [title: string, legal: boolean, operations: readonly RegisterOperation[]][] = [
  ['nothing at all', true, []],
  ['a read of nothing', true, ofRegister([1, 0, 1, get, { value: null }])],
  ['a read of what nobody wrote', false, ofRegister([1, 0, 1, get, { value: 'a' }])],
  [
    'a write and then a read of it',
    true,
    ofRegister([1, 0, 1, put('a'), {}], [2, 2, 3, get, { value: 'a' }]),
  ],
  [
    'a read after a write that misses it',
    false,
    ofRegister([1, 0, 1, put('a'), {}], [2, 2, 3, get, { value: null }]),
  ],
  [
    'a read during a write may see it or not',
    true,
    ofRegister([1, 0, 10, put('a'), {}], [2, 1, 2, get, { value: null }], [3, 3, 4, get, { value: 'a' }]),
  ],
  [
    'reads during a write that go back',
    false,
    ofRegister([1, 0, 10, put('a'), {}], [2, 1, 2, get, { value: 'a' }], [3, 3, 4, get, { value: null }]),
  ],
  [
    'overlapping reads during a write may go either way',
    true,
    ofRegister([1, 0, 10, put('a'), {}], [2, 1, 4, get, { value: 'a' }], [3, 4, 5, get, { value: null }]),
  ],
  [
    'two writes at once, seen in one order by everybody',
    true,
    ofRegister(
      [1, 0, 10, put('a'), {}],
      [2, 0, 10, put('b'), {}],
      [3, 1, 2, get, { value: 'b' }],
      [3, 3, 12, get, { value: 'a' }],
    ),
  ],
  [
    'two writes at once, seen in two orders',
    false,
    ofRegister(
      [1, 0, 10, put('a'), {}],
      [2, 0, 10, put('b'), {}],
      [3, 11, 12, get, { value: 'a' }],
      [4, 13, 14, get, { value: 'b' }],
    ),
  ],
  [
    'a lost write seen later',
    true,
    ofRegister(
      [1, 0, '?', put('a')],
      [2, 5, 6, put('b'), {}],
      [3, 7, 8, get, { value: 'b' }],
      [3, 9, 10, get, { value: 'a' }],
    ),
  ],
  [
    'a lost write seen, gone and back',
    false,
    ofRegister(
      [1, 0, '?', put('a')],
      [2, 5, 6, get, { value: 'a' }],
      [2, 7, 8, put('b'), {}],
      [3, 9, 10, get, { value: 'a' }],
    ),
  ],
  [
    'a lost write never seen',
    true,
    ofRegister([1, 0, '?', put('a')], [2, 5, 6, get, { value: null }], [2, 7, 8, get, { value: null }]),
  ],
  [
    'a lost write seen before it was called',
    false,
    ofRegister([2, 0, 1, get, { value: 'a' }], [1, 2, '?', put('a')]),
  ],
  [
    'an append carried out twice',
    false,
    ofRegister([1, 0, 1, append('a'), {}], [2, 2, 3, get, { value: 'aa' }]),
  ],
  [
    'a retried append whose first try was lost and came after all',
    true,
    ofRegister([1, 0, '?', append('a')], [1, 2, 3, append('a'), {}], [2, 4, 5, get, { value: 'aa' }]),
  ],
  [
    'appends in the order of time',
    false,
    ofRegister([1, 0, 1, append('a'), {}], [1, 2, 3, append('b'), {}], [2, 4, 5, get, { value: 'ba' }]),
  ],
  [
    'the length that an append gives',
    false,
    ofRegister([1, 0, 1, append('a'), { length: 1 }], [2, 2, 3, append('bc'), { length: 2 }]),
  ],
  [
    'two compare-and-sets on the same value, both done',
    false,
    ofRegister(
      [1, 0, 1, put('a'), {}],
      [1, 2, 9, { op: 'cas', expected: 'a', value: 'b' }, { swapped: true }],
      [2, 2, 9, { op: 'cas', expected: 'a', value: 'c' }, { swapped: true }],
    ),
  ],
  [
    'two compare-and-sets on the same value, one done',
    true,
    ofRegister(
      [1, 0, 1, put('a'), {}],
      [1, 2, 9, { op: 'cas', expected: 'a', value: 'b' }, { swapped: false }],
      [2, 2, 9, { op: 'cas', expected: 'a', value: 'c' }, { swapped: true }],
      [2, 10, 11, get, { value: 'c' }],
    ),
  ],
  [
    'a compare-and-set refused without a reason',
    false,
    ofRegister(
      [1, 0, 1, put('a'), {}],
      [1, 2, 3, { op: 'cas', expected: 'a', value: 'b' }, { swapped: false }],
    ),
  ],
  [
    'a delete that found what had been deleted',
    false,
    ofRegister(
      [1, 0, 1, put('a'), {}],
      [1, 2, 3, { op: 'delete' }, { existed: true }],
      [2, 4, 5, { op: 'delete' }, { existed: true }],
    ),
  ],
  [
    'a read of what was deleted',
    false,
    ofRegister(
      [1, 0, 1, put('a'), {}],
      [1, 2, 3, { op: 'delete' }, { existed: true }],
      [2, 4, 5, get, { value: 'a' }],
    ),
  ],
  [
    'a version that goes back',
    false,
    ofRegister([1, 0, 1, put('a'), { version: 7 }], [1, 2, 3, put('b'), { version: 6 }]),
  ],
  [
    'the same version after a delete',
    false,
    ofRegister(
      [1, 0, 1, put('a'), { version: 7 }],
      [1, 2, 3, { op: 'delete' }, {}],
      [1, 4, 5, put('a'), { version: 7 }],
    ),
  ],
  [
    'another version of the same write',
    false,
    ofRegister(
      [1, 0, 1, put('a'), {}],
      [1, 2, 3, get, { value: 'a', version: 7 }],
      [1, 4, 5, get, { value: 'a', version: 8 }],
    ),
  ],
  [
    'a write between two reads of the same value shows by its version',
    true,
    ofRegister(
      [1, 0, 1, put('a'), {}],
      [2, 2, '?', put('a')],
      [1, 2, 3, get, { value: 'a', version: 7 }],
      [1, 4, 5, get, { value: 'a', version: 8 }],
    ),
  ],
  [
    'a lost compare-and-set by version that must have been refused',
    true,
    ofRegister(
      [1, 0, '?', put('a')],
      [2, 1, '?', { op: 'cas-version', version: 5, value: 'b' }],
      [3, 2, 3, get, { value: 'a', version: 6 }],
    ),
  ],
  [
    'a compare-and-set by a version that a lost write may have had',
    true,
    ofRegister(
      [1, 0, '?', put('a')],
      [2, 1, 2, { op: 'cas-version', version: 5, value: 'b' }, { swapped: true }],
      [3, 3, 4, get, { value: 'b', version: 6 }],
    ),
  ],
  [
    'a compare-and-set by a version that the key had no more',
    false,
    ofRegister(
      [1, 0, 1, put('a'), { version: 5 }],
      [1, 2, 3, put('b'), { version: 6 }],
      [2, 4, 5, { op: 'cas-version', version: 5, value: 'c' }, { swapped: true }],
    ),
  ],
];

for (const [title, legal, operations] of KNOWN)
  test(`${legal ? 'linearizable' : 'not linearizable'}: ${title}`, () => {
    assert.equal(check(register, operations).kind, legal ? 'linearizable' : 'violation');
    assert.equal(isLinearizableByTrying(register, operations), legal);
  });

test('a version that counts goes up by one with each write and starts again after a delete', () => {
  const counts = registerModel('counts');
  const upTo = (version: number): RegisterOperation[] =>
    ofRegister(
      [1, 0, 1, put('a'), {}],
      [1, 2, 3, put('b'), {}],
      [1, 4, 5, { op: 'delete' }, {}],
      [1, 6, 7, { op: 'cas-version', version: 0, value: 'c' }, { swapped: true }],
      [1, 8, 9, get, { value: 'c', version }],
    );
  assert.equal(check(counts, upTo(1)).kind, 'linearizable');
  assert.equal(check(counts, upTo(3)).kind, 'violation');
});

test('a counter whose sums fit no order is refused, one whose additions crossed is not', () => {
  const add = (by: number): CounterInput => ({ op: 'add', by });
  const crossed = ofCounter([1, 0, 9, add(1), { value: 3 }], [2, 0, 9, add(2), { value: 2 }]);
  const apart = ofCounter([1, 0, 1, add(1), { value: 3 }], [2, 2, 9, add(2), { value: 2 }]);
  const lostOne = ofCounter([1, 0, '?', add(1)], [2, 2, 3, { op: 'get' }, { value: 1 }]);
  const twice = ofCounter([1, 0, '?', add(1)], [2, 2, 3, { op: 'get' }, { value: 2 }]);
  assert.deepEqual(
    [crossed, apart, lostOne, twice].map((operations) => check(counterModel, operations).kind),
    ['linearizable', 'violation', 'linearizable', 'violation'],
  );
});

test('the order that is found respects time and gives every answer again', () => {
  const random = new SeededRandom(SEED);
  for (let round = 0; round < 50; round += 1) {
    const operations = randomRegisterHistory(random, { clients: 4, operations: 60, lost: 0.1 });
    const verdict = check(register, operations);
    assert(verdict.kind === 'linearizable', `seed ${SEED}, round ${round}`);
    assertExplains(register, operations, verdict.order);
  }
});

function assertExplains<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  order: readonly Operation<Input, Output>[],
): void {
  let states: readonly State[] = [model.initial];
  for (const { input, output } of order) states = states.flatMap((state) => model.step(state, input, output));
  assert.notEqual(states.length, 0);
  const latestCall = order.map((_, at) => Math.max(...order.slice(0, at + 1).map(({ callNs }) => callNs)));
  for (const [at, operation] of order.entries()) assert(operation.returnNs >= latestCall[at]!);
  const ordered = new Set(order);
  assert.equal(ordered.size, order.length);
  for (const operation of operations) assert(isPending(operation) || ordered.has(operation));
}

test('small histories, legal and changed ones, are judged as by trying every order', (t) => {
  const random = new SeededRandom(SEED);
  const counts = { legal: 0, illegal: 0 };
  for (let round = 0; round < 3000; round += 1) {
    const size = { clients: random.integer(1, 4), operations: random.integer(1, 7), lost: 0.2 };
    const legal = randomRegisterHistory(random, size);
    const values: (string | null)[] = [null, ...legal.flatMap(({ output }) => output?.value ?? [])];
    const changed = mutated(random, legal, (operation) => changeAnything(random, operation, values)) ?? legal;
    for (const operations of [legal, changed]) {
      const expected = isLinearizableByTrying(register, operations);
      assert(expected || operations !== legal, `seed ${SEED}, round ${round}: made legal`);
      const { kind } = check(register, operations);
      assert.equal(kind, expected ? 'linearizable' : 'violation', `seed ${SEED}, round ${round}`);
      counts[expected ? 'legal' : 'illegal'] += 1;
    }
    const ofCounter = randomCounterHistory(random, size);
    const wrong =
      mutated(random, ofCounter, (operation) =>
        isPending(operation) ? null : { ...operation, output: { value: random.integer(-3, 5) } },
      ) ?? ofCounter;
    const expected = isLinearizableByTrying(counterModel, wrong);
    assert.equal(check(counterModel, wrong).kind, expected ? 'linearizable' : 'violation');
  }
  t.diagnostic(`seed ${SEED}: ${counts.legal} linearizable, ${counts.illegal} not`);
  assert(counts.illegal > 500);
});

/** Another value read, another version, the other result of a condition, or another time. */
function changeAnything(
  random: SeededRandom,
  operation: RegisterOperation,
  values: readonly (string | null)[],
): RegisterOperation | null {
  const { output } = operation;
  if (output === null) return null;
  if (random.chance(0.3)) {
    const callNs = Math.max(0, operation.callNs + random.integer(-20, 20));
    return { ...operation, callNs, returnNs: callNs + random.integer(0, 5) };
  }
  if (output.swapped !== undefined) return { ...operation, output: { swapped: !output.swapped } };
  if (output.existed !== undefined) return { ...operation, output: { existed: !output.existed } };
  if (output.value === undefined) return { ...operation, output: { version: random.integer(0, 12) } };
  return { ...operation, output: { value: values[random.integer(0, values.length - 1)] ?? null } };
}

test('in long histories a read changed to a value nobody wrote or one surely overwritten is always caught', (t) => {
  const random = new SeededRandom(SEED);
  const tried = { foreign: 0, stale: 0, other: 0 };
  const caught = { foreign: 0, stale: 0, other: 0 };
  for (let round = 0; round < 300; round += 1) {
    const legal = randomRegisterHistory(random, { clients: 6, operations: 150, lost: 0.03 }, false);
    assert.equal(check(unversioned, legal).kind, 'linearizable', `seed ${SEED}, round ${round}`);
    const values = legal.flatMap(({ output }) => output?.value ?? []);
    const readAs = (value: string | null | undefined) => (operation: RegisterOperation) =>
      operation.input.op !== 'get' ||
      operation.output === null ||
      value === undefined ||
      value === operation.output.value
        ? null
        : { ...operation, output: { value } };
    const changed = {
      foreign: mutated(random, legal, readAs('nobody')),
      stale: mutated(random, legal, (operation) => readAs(overwrittenBefore(legal, operation))(operation)),
      other: mutated(random, legal, readAs(values[random.integer(0, values.length - 1)])),
    };
    for (const kind of ['foreign', 'stale', 'other'] as const) {
      const operations = changed[kind];
      if (operations === null) continue;
      tried[kind] += 1;
      const verdict = check(unversioned, operations);
      assert.notEqual(verdict.kind, 'unknown');
      if (verdict.kind === 'violation') caught[kind] += 1;
    }
  }
  t.diagnostic(`seed ${SEED}, caught: ${JSON.stringify(caught)} of ${JSON.stringify(tried)}`);
  assert(tried.stale > 200 && tried.foreign > 200);
  assert.deepEqual([caught.foreign, caught.stale], [tried.foreign, tried.stale]);
  // The rest may be right after all: another value may have been there at the time.
  assert(caught.other > 0.9 * tried.other);
});

/** A value that was put and whose successor had been put, both surely, before the read was called. */
function overwrittenBefore(
  operations: readonly RegisterOperation[],
  read: RegisterOperation,
): string | undefined {
  const puts = operations.filter(({ input, returnNs }) => input.op === 'put' && returnNs < read.callNs);
  const over = puts.find((first) => puts.some((second) => second.callNs > first.returnNs));
  return over?.input.op === 'put' ? over.input.value : undefined;
}

test('a hundred lost increments take few steps: equal ones are not told apart', () => {
  const lost = Array.from({ length: 100 }, (_, at): Parameters<typeof ofCounter>[0] => [
    at,
    at,
    '?',
    { op: 'add', by: 1 },
  ]);
  const reads = Array.from({ length: 20 }, (_, at): Parameters<typeof ofCounter>[0] => [
    1000,
    200 + 2 * at,
    201 + 2 * at,
    { op: 'get' },
    { value: 3 * at },
  ]);
  const verdict = check(counterModel, ofCounter(...lost, ...reads));
  assert.equal(verdict.kind, 'linearizable');
  assert(verdict.steps < 20_000, `${verdict.steps} steps`);
  const tooMany = check(
    counterModel,
    ofCounter(...lost, ...reads, [1000, 300, 301, { op: 'get' }, { value: 101 }]),
  );
  assert.equal(tooMany.kind, 'violation');
});

test('a search that would take too long ends with `unknown`, never with a guess', () => {
  const writes = Array.from({ length: 30 }, (_, at): Parameters<typeof ofRegister>[0] => [
    at,
    0,
    100,
    append(String.fromCharCode(97 + at)),
    {},
  ]);
  const verdict = check(register, ofRegister(...writes, [50, 101, 102, get, { value: 'nobody' }]), {
    stepsMax: 50_000,
  });
  assert.deepEqual(verdict, { kind: 'unknown', steps: 50_000 });
});

test('four thousand operations of one key by ten clients are judged within seconds', (t) => {
  const random = new SeededRandom(SEED);
  const operations = randomRegisterHistory(random, { clients: 10, operations: 4000, lost: 0 });
  const startMs = performance.now();
  const verdict = check(register, operations);
  const ms = performance.now() - startMs;
  t.diagnostic(`${verdict.steps} steps in ${ms.toFixed(0)} ms`);
  assert.equal(verdict.kind, 'linearizable');
});

test('every key is judged alone', () => {
  const fine = ofRegister([1, 0, 1, put('a'), {}], [2, 2, 3, get, { value: 'a' }]);
  const wrong = ofRegister([1, 0, 1, put('a'), {}], [2, 2, 3, get, { value: 'b' }]);
  const both = [
    ...fine,
    ...wrong.map((operation) => Object.assign({}, operation, { id: operation.id + 10, key: 'other' })),
  ];
  const verdicts = checkKeys(register, both);
  assert.deepEqual(
    [...verdicts].map(([key, { kind }]) => [key, kind]),
    [
      ['k', 'linearizable'],
      ['other', 'violation'],
    ],
  );
});
