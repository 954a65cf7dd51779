import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { Clerk, Lock } from '../../../kv/index.js';
import { AUTHORITY, SERVER_CERT, SERVER_KEY } from '../../support/certificates.js';
import { Command } from '../../support/command.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { ProcessCluster } from '../node/support/process-cluster.js';
import { runKv } from './cli.js';

const THREE = [1, 2, 3];

test('a clerk appends while leaders are killed, and no append is lost or made twice', async (t) => {
  const cluster = new ProcessCluster(t);
  await cluster.startAll();
  const clerk = new Clerk({ endpoints: THREE.map((id) => cluster.ports.get(id)!.rpc), timeoutMs: 60_000 });
  t.after(() => clerk.close(0));
  const watch = await clerk.watch({ key: 'list' }).ready();
  const seen: number[] = [];
  const watching = (async () => {
    for await (const { pair } of watch) {
      seen.push(pair.value.length);
      if (pair.value.length >= 600) break;
    }
  })();
  const held = await new Lock(clerk, 'lock', { ttlMs: 30_000 }).acquire();
  let killed = 0;
  const appends = Array.from({ length: 300 }, (_, index) => index);
  const append = async (): Promise<void> => {
    for (let index = appends.shift(); index !== undefined; index = appends.shift()) {
      await clerk.append('list', `${String(index % 10)},`);
    }
  };
  const killing = (async () => {
    for (; killed < 2; killed += 1) {
      const leader = await cluster.leader(THREE);
      await cluster.kill(leader);
      await cluster.leader(THREE.filter((id) => id !== leader));
      await cluster.start(leader);
      await cluster.until('it to be ready', () => cluster.isReady(leader));
    }
  })();
  await Promise.all([killing, append(), append(), append(), append()]);
  const list = (await clerk.get('list'))!.text.split(',').slice(0, -1);
  assert.equal(list.length, 300);
  for (let digit = 0; digit < 10; digit += 1)
    assert.equal(list.filter((text) => text === String(digit)).length, 30);
  await watching;
  assert.deepEqual(
    seen,
    Array.from({ length: 300 }, (_, index) => 2 * (index + 1)),
    'the watch told every append, once, in order',
  );
  assert.equal(held.isHeld, true, 'a change of leader takes no lock away');
  await held.release();
});

test('operators look at a cluster, check it, move a member, back it up and restore it', async (t) => {
  const cluster = new ProcessCluster(t);
  await cluster.startAll();
  const endpoints = THREE.map((id) => cluster.ports.get(id)!.rpc).join(',');
  const run = async (...args: string[]) => {
    const printed = await runKv([...args, '--endpoints', endpoints, '--json']);
    assert.equal(printed.code, 0, `${args.join(' ')}: ${printed.err}`);
    return printed.lines;
  };
  for (let index = 0; index < 20; index += 1) await run('put', `k/${index}`, `v${index}`);
  const status = await run('status');
  assert.deepEqual(
    status.map(({ id }) => id),
    THREE,
  );
  assert.equal(status.filter(({ role }) => role === 'leader').length, 1);
  const check = await run('check');
  assert.deepEqual([check.length, check.at(-1)!['same'], check.at(-1)!['complete']], [4, true, true]);
  const snapshots = await run('snapshot');
  assert.equal(snapshots.length, 3);
  assert(
    snapshots.every(
      ({ index, term, bytes }) => Number(index) > 20 && Number(term) > 0 && Number(bytes) > 100,
    ),
  );
  assert(status.every(({ firstIndex }) => firstIndex === 1));

  const leader = await cluster.leader(THREE);
  const next = THREE.find((id) => id !== leader)!;
  assert.deepEqual(await run('transfer', String(next)), [{ event: 'transfer', leader: next }]);

  // Member 4 comes in the place of the leader, as a learner that the move promotes.
  await cluster.join(4, 1, ['--learner']);
  const moved = await run('move', '--from', String(next), '--to', `4=${cluster.ports.get(4)!.rpc}`);
  assert.deepEqual(
    moved.filter(({ event }) => event === 'member').map(({ id, role }) => `${String(id)} ${String(role)}`),
    [1, 2, 3, 4].filter((id) => id !== next).map((id) => `${id} voter`),
  );
  assert.equal(await cluster.commands.get(next)!.exitCode, 0, 'who was taken out stops');

  const file = path.join(cluster.folder, 'backup');
  const [backup] = await runKv(['backup', file, '--endpoints', cluster.ports.get(4)!.rpc, '--json']).then(
    ({ lines }) => lines,
  );
  assert.equal(backup!['event'], 'backup');
  const restored = new ProcessCluster(t);
  await restored.plan(THREE);
  const members = THREE.map((id) => `${id}=${restored.ports.get(id)!.rpc}`).join(',');
  const ids = new Set<unknown>();
  for (const id of THREE) {
    const data = path.join(restored.folder, `member-${id}`);
    const { code, lines, err } = await runKv([
      'restore',
      file,
      '--data',
      data,
      '--id',
      String(id),
      '--cluster',
      members,
      '--json',
    ]);
    assert.equal(code, 0, err);
    ids.add(lines[0]!['newClusterId']);
    const again = await runKv(['restore', file, '--data', data, '--id', String(id), '--cluster', members]);
    assert.match(again.err, /is not empty/);
  }
  assert.equal(ids.size, 1);
  assert.notEqual([...ids][0], Number(backup!['clusterId']));
  for (const id of THREE) restored.spawn(id);
  await Promise.all(THREE.map((id) => restored.commands.get(id)!.ready()));
  await restored.leader(THREE);
  const at = [
    '--endpoints',
    THREE.map((id) => restored.ports.get(id)!.rpc).join(','),
    '--json',
    '--timeout',
    '30s',
  ];
  const { lines: pairs } = await runKv(['scan', 'k/', ...at]);
  assert.equal(pairs.length, 20);
  assert.equal((await runKv(['check', ...at])).code, 0);
  const { lines: list } = await runKv(['member', 'list', ...at]);
  assert.deepEqual(
    list.map(({ address }) => address),
    THREE.map((id) => restored.ports.get(id)!.rpc),
  );
});

test('kv watch prints a line for each event until it is stopped', async (t) => {
  const cluster = new ProcessCluster(t);
  await cluster.startAll([1]);
  const at = ['--endpoints', cluster.ports.get(1)!.rpc];
  const watch = new Command(t, ['kv', 'watch', 'k/', '--prefix', '--json', ...at]);
  await watch.ready();
  await runKv(['put', 'k/1', 'one', ...at]);
  await runKv(['put', 'other', 'no', ...at]);
  await runKv(['del', 'k/1', ...at]);
  await cluster.until('two events', async () => watch.lines.length >= 3);
  assert.equal(await watch.stop(), 0);
  const events = watch.lines.slice(1).map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    events.map(({ event, key, value }) => [event, key, value]),
    [
      ['put', 'k/1', 'one'],
      ['delete', 'k/1', undefined],
    ],
  );
});

test('the commands speak TLS and show a token where members ask for them', async (t) => {
  const folder = temporaryFolder(t);
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(path.join(folder, name), text);
    return path.join(folder, name);
  };
  const cert = `--tls-cert=${await file('cert.pem', SERVER_CERT)}`;
  const key = `--tls-key=${await file('key.pem', SERVER_KEY)}`;
  const ca = `--tls-ca=${await file('ca.pem', AUTHORITY)}`;
  const token = `--token-file=${await file('token', 'a secret that nobody knows\n')}`;
  const cluster = new ProcessCluster(t, [cert, key, ca, token, '--tls-member-name=localhost']);
  await cluster.startAll([1]);
  const put = ['put', 'a', '1', '--endpoints', cluster.ports.get(1)!.rpc, '--timeout', '20s'];
  const { code, err } = await runKv([...put, cert, key, ca, token]);
  assert.equal(code, 0, err);
  const stranger = await runKv([...put, cert, key, ca]);
  assert.equal(stranger.code, 1, stranger.err);
  assert.match(stranger.err, /KV_REFUSED: /);
});
