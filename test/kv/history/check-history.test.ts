import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, told } from './check-history.js';
import type { Recorded } from './recorder.js';

function recorded(...lines: [model: string, key: string, input: unknown, output: unknown][]): Recorded[] {
  return lines.map(([model, key, input, output], at) => ({
    id: at + 1,
    client: 1,
    model,
    key,
    input,
    output,
    callNs: 10 * at,
    returnNs: 10 * at + 5,
  }));
}

test('each key is judged by its model, the lists together, and what is wrong is told', () => {
  const history = recorded(
    ['register', 'a', { op: 'put', value: 'x' }, {}],
    ['register', 'a', { op: 'get' }, { value: null }],
    ['register-versions', 'b', { op: 'put', value: 'x' }, { version: 3 }],
    ['register-versions', 'b', { op: 'get' }, { value: 'x', version: 3 }],
    ['counter', 'c', { op: 'add', by: 2 }, { value: 2 }],
    ['lists', '', [{ op: 'append', key: 'l', value: 1 }], [null]],
    ['lists', '', [{ op: 'read', key: 'l' }], [[]]],
  );
  const judgement = judge({ history, failed: [] });
  assert.deepEqual(
    [judgement.operations, judgement.keys, judgement.undecided, judgement.violations.map(({ key }) => key)],
    [7, 4, [], ['a']],
  );
  assert.deepEqual(
    judgement.anomalies.map(({ kind }) => kind),
    ['G-single-realtime'],
  );
  assert.match(told(judgement), /key a: not linearizable[^]*G-single-realtime on l, transactions 7, 6/);
});

test('an append that surely did not happen and is read all the same is told as such', () => {
  const [aborted, read] = recorded(
    ['lists', '', [{ op: 'append', key: 'l', value: 1 }], null],
    ['lists', '', [{ op: 'read', key: 'l' }], [[1]]],
  );
  const { anomalies } = judge({ history: [read!], failed: [aborted!] });
  assert.deepEqual(
    anomalies.map(({ kind }) => kind),
    ['aborted-read'],
  );
});

test('a search that is too long is undecided, never fine', () => {
  const history = recorded(
    ['register', 'a', { op: 'put', value: 'x' }, {}],
    ['register', 'a', { op: 'get' }, { value: 'x' }],
  );
  assert.deepEqual(judge({ history, failed: [] }, 1).undecided, ['a']);
});

test('a model that nobody knows is refused', () => {
  assert.throws(() => judge({ history: recorded(['queue', 'q', {}, {}]), failed: [] }), /no model queue/);
});
