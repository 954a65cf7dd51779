import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../support/seeded-random.js';
import { check } from './linearizability.js';
import { mutated, randomRegisterHistory, type RegisterOperation } from './random-history.js';
import { registerModel } from './register-model.js';
import { asHtml, asText, explain } from './report.js';

const SEED = Number(process.env['KV_SEED'] ?? 20_261_130);
const model = registerModel();

const STALE: readonly RegisterOperation[] = [
  { id: 1, client: 1, key: 'k', input: { op: 'put', value: 'a' }, output: {}, callNs: 0, returnNs: 10 },
  { id: 2, client: 2, key: 'k', input: { op: 'get' }, output: { value: 'a' }, callNs: 12, returnNs: 13 },
  { id: 3, client: 3, key: 'k', input: { op: 'put', value: '<b>' }, output: {}, callNs: 14, returnNs: 16 },
  { id: 4, client: 2, key: 'k', input: { op: 'get' }, output: { value: 'a' }, callNs: 20, returnNs: 30 },
  { id: 5, client: 1, key: 'k', input: { op: 'put', value: 'c' }, output: {}, callNs: 29, returnNs: 40 },
  { id: 6, client: 1, key: 'k', input: { op: 'get' }, output: { value: 'c' }, callNs: 50, returnNs: 60 },
];

test('a violation is shown up to the return that completes it, without reads that do not matter', () => {
  const violation = explain(model, STALE);
  assert(violation !== null);
  assert.deepEqual(
    violation.operations.map(({ id }) => id),
    [1, 3, 4, 5],
  );
  assert.equal(violation.operations.at(-1)!.output, null, 'what had not returned by then is pending');
  assert.equal(violation.stuck.id, 4);
  assert.equal(
    asText(violation),
    [
      'key k: not linearizable. Of 4 operations 3 can be ordered (numbers), and',
      'whatever the order, then comes too late or does not fit: #4 get() → {"value":"a"}',
      '   1 client 1   []       #1 put("a") → {}',
      '   2 client 3     []     #3 put("<b>") → {}',
      '  !! client 2       [-]  #4 get() → {"value":"a"}',
      '   3 client 1        [-- #5 put("c") → unknown',
      '',
    ].join('\n'),
  );
});

test('the page of a violation has a lane for each client and escapes what clients wrote', () => {
  const page = asHtml(explain(model, STALE)!);
  assert.equal(page.match(/<section>/g)?.length, 3);
  assert.match(page, /class="stuck"[^>]*>get\(\) → \{&quot;value&quot;:&quot;a&quot;\}/);
  assert(!page.includes('<b>"'));
});

test('what is legal has nothing to explain', () => {
  assert.equal(explain(model, STALE.slice(0, 3)), null);
});

test('the shown part of a long history is itself no more linearizable, and without its last return it is', () => {
  const random = new SeededRandom(SEED);
  let shown = 0;
  for (let round = 0; round < 30; round += 1) {
    const legal = randomRegisterHistory(random, { clients: 5, operations: 80, lost: 0.05 });
    const wrong = mutated(random, legal, (operation) =>
      operation.input.op === 'get' && operation.output !== null
        ? { ...operation, output: { value: 'nobody' } }
        : null,
    );
    if (wrong === null) continue;
    const violation = explain(model, wrong);
    assert(violation !== null, `seed ${SEED}, round ${round}`);
    shown += 1;
    assert.equal(check(model, violation.operations).kind, 'violation');
    const returns = violation.operations.map(({ returnNs }) => returnNs).filter(Number.isFinite);
    const last = Math.max(...returns);
    const before = violation.operations.map((operation) =>
      operation.returnNs === last ? { ...operation, output: null, returnNs: Infinity } : operation,
    );
    assert.equal(check(model, before).kind, 'linearizable');
    assert([...violation.descriptions.values()].filter((text) => text.startsWith('get')).length <= 2);
  }
  assert(shown > 20);
});
