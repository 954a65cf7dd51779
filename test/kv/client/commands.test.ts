import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { nextStep } from '../../../cli/kv-member.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { runKv } from './cli.js';
import { serveCluster } from './support.js';

test('the commands on keys say what they did, and their exit codes whether it was so', async (t) => {
  const { members } = await serveCluster(t);
  const at = ['--endpoints', members[0]!.address, '--timeout', '60s'];
  const run = (...args: string[]) => runKv([...args, ...at]);
  const json = async (...args: string[]) => {
    const { code, lines } = await run(...args, '--json');
    return [code, ...lines];
  };
  assert.deepEqual(await json('put', 'a', 'one'), [
    0,
    { event: 'put', revision: 1, version: 1, isNew: true },
  ]);
  assert.equal((await run('get', 'a')).out, 'one\n');
  assert.equal((await run('append', 'a', ' two')).out, 'revision 2, 7 bytes\n');
  const { code, lines } = await run('get', 'a', '--json', '--level', 'stale');
  assert.deepEqual(
    [code, lines],
    [
      0,
      [
        {
          event: 'value',
          key: 'a',
          value: 'one two',
          createRevision: 1,
          modRevision: 2,
          version: 2,
          revision: 2,
          stale: true,
        },
      ],
    ],
  );
  assert.equal((await run('get', 'missing')).code, 1);
  assert.equal((await run('cas', 'a', 'x', '--expect', 'wrong')).out, 'not done: there is one two\n');
  assert.equal((await run('cas', 'a', 'x', '--expect-version', '1')).code, 1);
  assert.equal((await run('cas', 'a', 'x', '--expect-revision', '2')).code, 0);
  assert.equal((await run('put', 'a', 'y', '--only', 'absent')).code, 1);
  assert.match((await run('put', 'a', 'y', '--only', 'absent')).err, /^reactor-net: KV_EXISTS: /);
  assert.equal((await run('put', '00ff', 'fe', '--hex')).code, 0);
  assert.equal((await run('get', '00ff', '--hex')).out, 'fe\n');
  assert.deepEqual(
    (await run('scan', '--json', '--keys-only')).lines.map(({ key, keyHex }) => key ?? keyHex),
    ['00ff', 'a'],
  );
  assert.equal((await run('scan', '--count')).out, '2\n');
  assert.equal((await run('scan', '--limit', '1', '--reverse')).out, 'a\tx\n');
  assert.equal((await run('del', 'a', 'b')).out, '1 deleted\n');
  assert.equal((await run('del', 'a')).code, 1);
});

test('values come from files and standard input, byte by byte, and go into files', async (t) => {
  const { members } = await serveCluster(t);
  const at = ['--endpoints', members[0]!.address, '--timeout', '60s'];
  const folder = temporaryFolder(t);
  const [from, to] = [path.join(folder, 'from'), path.join(folder, 'to')];
  writeFileSync(from, Buffer.from([0, 1, 254, 255]));
  assert.equal((await runKv(['put', 'a', '--file', from, ...at])).code, 0);
  assert.equal((await runKv(['get', 'a', '--file', to, ...at])).code, 0);
  assert.deepEqual([...readFileSync(to)], [0, 1, 254, 255]);
  assert.equal((await runKv(['put', 'b', '--file', '-', ...at], 'piped')).code, 0);
  assert.equal((await runKv(['get', 'b', ...at])).out, 'piped\n');
});

test('where nobody is reached the exit code is 3, and standard output stays empty', async () => {
  const { code, out, err } = await runKv([
    'get',
    'a',
    '--endpoints',
    '127.0.0.1:1',
    '--timeout',
    '1s',
    '--json',
  ]);
  assert.deepEqual([code, out, JSON.parse(err).code], [3, '', 'KV_UNREACHABLE']);
});

for (const [line, message] of [
  ['get a', /--endpoints: name members/],
  ['get a --endpoints localhost', /--endpoints: "localhost" should be HOST:PORT/],
  ['put a --endpoints h:1', /name a VALUE after the KEY, or --file/],
  ['put a b c --endpoints h:1', /name one KEY and one VALUE/],
  ['cas a b --endpoints h:1', /--expect: say what must be there/],
  ['cas a b --expect x --expect-absent --endpoints h:1', /--expect: say what must be there/],
  ['scan a --start b --endpoints h:1', /--start: takes no PREFIX/],
  ['member grow --endpoints h:1', /"grow" should be list, add, promote or remove/],
  ['member add 4 --endpoints h:1', /add: "4" should be ID=HOST:PORT/],
  ['move --from 3 --to 3=h:1 --endpoints h:1', /--to: needs a new id/],
  ['restore f --data d --id 4 --cluster 1=h:1', /--cluster: has no address for member 4/],
] as const) {
  test(`kv ${line} says what would be right`, async () => {
    const { code, err } = await runKv(line.split(' '));
    assert.equal(code, 2);
    assert.match(err, message);
  });
}

test('the next step of a move follows from who belongs to the cluster', () => {
  const voter = (id: number, isLeader = false) => ({ id, role: 'voter', isLeader });
  const learner = { id: 4, role: 'learner', isLeader: false };
  assert.equal(nextStep([voter(1), voter(3)], 3, 4), 'add');
  assert.equal(nextStep([voter(1), voter(3), learner], 3, 4), 'promote');
  assert.equal(nextStep([voter(1), voter(3, true), voter(4)], 3, 4), 'transfer');
  assert.equal(nextStep([voter(1, true), voter(3), voter(4)], 3, 4), 'remove');
  assert.equal(nextStep([voter(1), voter(4)], 3, 4), 'done');
  assert.equal(nextStep([voter(1), learner], 3, 4), 'promote');
  assert.throws(() => nextStep([voter(1)], 3, 4), { code: 'KV_MEMBER_INVALID' });
});
