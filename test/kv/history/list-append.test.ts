import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../support/seeded-random.js';
import { type AnomalyKind, checkLists, type ListStep, type ListTransaction } from './list-append.js';
import { mutated, randomListHistory } from './random-history.js';

const SEED = Number(process.env['KV_SEED'] ?? 20_261_130);

/** `ax1` appends 1 to x, `rx` reads x with what is given in brackets: `rx[1 2]`. Without brackets: unknown outcome. */
function transactions(
  ...lines: [callNs: number, returnNs: number | '?', steps: string][]
): ListTransaction[] {
  return lines.map(([callNs, returnNs, text], at) => {
    const parts = [...text.matchAll(/([ar])([a-z])(\d+)?(?:\[([\d ]*)\])?/g)];
    const input = parts.map(
      ([, op, key, value]): ListStep =>
        op === 'a' ? { op: 'append', key: key!, value: Number(value) } : { op: 'read', key: key! },
    );
    const output = parts.map(([, op, , , list]) =>
      op === 'a'
        ? null
        : list!
            .split(' ')
            .filter((value) => value !== '')
            .map(Number),
    );
    const isLost = returnNs === '?';
    return {
      id: at + 1,
      client: at,
      key: '',
      input,
      output: isLost ? null : output,
      callNs,
      returnNs: isLost ? Infinity : returnNs,
    };
  });
}

type Case = [
  title: string,
  kinds: readonly AnomalyKind[],
  history: ListTransaction[],
  aborted?: ListTransaction[],
];

const CASES: readonly Case[] = [
  ['nothing', [], []],
  ['appends read in turn', [], transactions([0, 1, 'ax1'], [2, 3, 'ax2 rx[1 2]'], [4, 5, 'rx[1 2]'])],
  ['a lost append seen later', [], transactions([0, '?', 'ax1'], [2, 3, 'rx[]'], [4, 5, 'rx[1]'])],
  ['a lost append never seen', [], transactions([0, '?', 'ax1'], [2, 3, 'rx[]'], [4, 5, 'rx[]'])],
  ['a value that nobody appended', ['garbage'], transactions([0, 1, 'rx[7]'])],
  [
    'a value of a transaction that did not happen',
    ['aborted-read'],
    transactions([0, 1, 'rx[7]']),
    transactions([0, 1, 'ax7']),
  ],
  ['half a transaction', ['intermediate-read', 'G-single'], transactions([0, 9, 'ax1 ax2'], [0, 9, 'rx[1]'])],
  ['a transaction that misses its own append', ['internal'], transactions([0, 1, 'ax1 rx[]'])],
  ['a transaction that reads two things', ['internal'], transactions([0, 1, 'ax1'], [0, 9, 'rx[] rx[1]'])],
  ['an append carried out twice', ['duplicate'], transactions([0, 1, 'ax1'], [2, 3, 'rx[1 1]'])],
  [
    'two orders of two appends',
    ['incompatible-order'],
    transactions([0, 9, 'ax1'], [0, 9, 'ax2'], [0, 9, 'rx[1 2]'], [0, 9, 'rx[2]']),
  ],
  [
    'two transactions that overwrite each other',
    ['G0'],
    transactions([0, 9, 'ax1 ay2'], [0, 9, 'ax3 ay4'], [10, 11, 'rx[1 3] ry[4 2]']),
  ],
  [
    'two transactions that read of each other',
    ['G1c'],
    transactions([0, 9, 'ax1 ry[2]'], [0, 9, 'ay2 rx[1]']),
  ],
  [
    'a transaction that sees one append of another and not the second',
    ['G-single'],
    transactions([0, 9, 'ax1 ay2'], [0, 9, 'rx[1] ry[]'], [10, 11, 'ry[2]']),
  ],
  [
    'write skew: both read before the other wrote',
    ['G2'],
    transactions([0, 9, 'rx[] ay1'], [0, 9, 'ry[] ax2'], [10, 11, 'rx[2] ry[1]']),
  ],
  ['a lost update', ['lost-update', 'G2'], transactions([0, 9, 'rx[] ax1'], [0, 9, 'rx[] ax2'])],
  [
    'a read that misses an append which had returned',
    ['G-single-realtime'],
    transactions([0, 1, 'ax1'], [2, 3, 'rx[]'], [4, 5, 'rx[1]']),
  ],
  [
    'an acknowledged append that nobody ever reads',
    ['G0-realtime'],
    transactions([0, 1, 'ax1'], [2, 3, 'ax2'], [4, 5, 'rx[2]']),
  ],
  [
    'appends in an order against real time',
    ['G0-realtime'],
    transactions([0, 1, 'ax1'], [2, 3, 'ax2'], [2, 9, 'rx[2 1]']),
  ],
  ['a read of the future', ['G1c-realtime'], transactions([0, 1, 'rx[1]'], [2, 3, 'ax1'])],
  [
    'two observers that saw two independent appends in opposite orders',
    ['G2'],
    transactions(
      [0, 9, 'ax1'],
      [0, 9, 'ay2'],
      [0, 9, 'rx[1] ry[]'],
      [0, 9, 'rx[] ry[2]'],
      [9, 9, 'rx[1] ry[2]'],
    ),
  ],
];

for (const [title, kinds, history, aborted] of CASES)
  test(`${kinds.length === 0 ? 'nothing wrong' : kinds.join(' and ')}: ${title}`, () => {
    const anomalies = checkLists(history, aborted);
    assert.deepEqual(
      anomalies.map(({ kind }) => kind),
      kinds,
      JSON.stringify(anomalies),
    );
  });

test('a cycle is explained step by step', () => {
  const [anomaly] = checkLists(transactions([0, 1, 'ax1'], [2, 3, 'rx[]'], [4, 5, 'rx[1]']));
  assert.equal(
    anomaly?.explanation,
    'T2 read x without what T1 appended; T1 had returned before T2 was called',
  );
});

test('histories made serializable have no anomaly; a value dropped from a read that saw it in time is caught', (t) => {
  const random = new SeededRandom(SEED);
  let tried = 0;
  let caught = 0;
  for (let round = 0; round < 200; round += 1) {
    const legal = randomListHistory(random, { clients: 6, operations: 200, lost: 0.05 });
    assert.deepEqual(checkLists(legal), [], `seed ${SEED}, round ${round}`);
    const changed = mutated(random, legal, (transaction) => withoutLast(legal, transaction));
    if (changed === null) continue;
    tried += 1;
    if (checkLists(changed).length > 0) caught += 1;
  }
  t.diagnostic(`seed ${SEED}: ${caught} of ${tried} caught`);
  assert(tried > 150);
  assert.equal(caught, tried);
});

/** The transaction with the last value of its first read missing, if that was surely there when it was called. */
function withoutLast(
  history: readonly ListTransaction[],
  transaction: ListTransaction,
): ListTransaction | null {
  const { input, output, callNs } = transaction;
  if (output === null || input.length !== 1 || input[0]!.op !== 'read') return null;
  const list = output[0]!;
  const writer = history.find(({ input }) =>
    input.some((step) => step.op === 'append' && step.value === list.at(-1)),
  );
  if (writer === undefined || writer.returnNs >= callNs) return null;
  return { ...transaction, output: [list.slice(0, -1)] };
}

test('twenty thousand transactions are judged in time linear in their number', (t) => {
  const random = new SeededRandom(SEED);
  const parts = Array.from({ length: 100 }, (_, part) =>
    randomListHistory(random, { clients: 8, operations: 200, lost: 0.02 }).map((transaction) =>
      Object.assign({}, transaction, {
        id: part * 1000 + transaction.id,
        input: transaction.input.map((step) => Object.assign({}, step, { key: `${step.key}${part}` })),
        callNs: transaction.callNs + part * 10_000,
        returnNs: transaction.returnNs + part * 10_000,
      }),
    ),
  );
  const startMs = performance.now();
  assert.deepEqual(checkLists(parts.flat()), []);
  t.diagnostic(`${(performance.now() - startMs).toFixed(0)} ms`);
});
