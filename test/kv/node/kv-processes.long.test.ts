import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { FORMAT_MAJOR } from '../../../kv/peer/message-codec.js';
import { peerContract, type PeerRequest } from '../../../kv/peer/peer-contract.js';
import { Kv } from '../../../kv/proto/kv.js';
import { AUTHORITY, CLIENT_CERT, CLIENT_KEY, SERVER_CERT, SERVER_KEY } from '../../support/certificates.js';
import { Command } from '../../support/command.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { ProcessCluster } from './support/process-cluster.js';

const THREE = [1, 2, 3];

test('kv local starts members that elect a leader, says so once, and stops them', async (t) => {
  const command = new Command(t, ['kv', 'local', '--nodes=3', '--base-port=0', '--json', '--log-level=warn']);
  const ready = (await command.ready()) as unknown as {
    members: { id: number; pid: number; listen: { rpc: string; http: string } }[];
  };
  assert.deepEqual(
    ready.members.map(({ id }) => id),
    THREE,
  );
  assert.ok(ready.members.every(({ pid, listen }) => pid > 0 && listen.rpc !== '' && listen.http !== ''));
  assert.equal(await command.stop(), 0);
  assert.equal(command.lines.filter((line) => line.includes('"ready"')).length, 1);
});

test('kv local ends with a line that says who was lost when a member dies', async (t) => {
  const command = new Command(t, [
    'kv',
    'local',
    '--nodes=3',
    '--base-port=0',
    '--json',
    '--log-level=error',
  ]);
  const { members } = (await command.ready()) as unknown as { members: { id: number; pid: number }[] };
  process.kill(members[1]!.pid, 'SIGKILL');
  assert.equal(await command.exitCode, 1);
  assert.match(command.stderr, /member 2 \(process \d+\) ended by SIGKILL; the others were stopped/);
});

test('a busy port ends with one line that names the flag, before any member starts', async (t) => {
  const folder = temporaryFolder(t);
  const holder = createServer();
  holder.listen(0, '127.0.0.1');
  await once(holder, 'listening');
  t.after(() => holder.close());
  const { port } = holder.address() as AddressInfo;
  const local = new Command(t, ['kv', 'local', '--nodes=1', `--base-port=${port - 1}`]);
  assert.equal(await local.exitCode, 1);
  assert.match(
    local.stderr,
    /^reactor-net: --base-port: 127\.0\.0\.1:\d+ is in use; choose another base.*\n$/,
  );
  for (const flag of ['--resp', '--http']) {
    const args = [
      'kv',
      'serve',
      '--id=1',
      '--cluster=1=127.0.0.1:1',
      '--listen=127.0.0.1:0',
      `--data=${path.join(folder, flag)}`,
    ];
    const member = new Command(t, [...args, `${flag}=127.0.0.1:${port}`, '--log-level=error']);
    assert.equal(await member.exitCode, 1);
    assert.match(
      member.stderr,
      new RegExp(`^reactor-net: ${flag}: 127\\.0\\.0\\.1:${port} is in use; choose`),
    );
  }
});

test('a folder that cannot be made, such as one in /proc, ends with one line that says so', async (t) => {
  const args = ['kv', 'serve', '--id=1', '--cluster=1=127.0.0.1:1', '--listen=127.0.0.1:0'];
  const member = new Command(t, [...args, '--data=/proc/reactor-net-test/kv']);
  assert.equal(await member.exitCode, 1);
  assert.match(member.stderr, /^reactor-net: .*\/proc\/reactor-net-test\/kv cannot be made: ENOENT.*\n$/);
});

test('a killed leader is replaced, and comes back with everything that was acknowledged', async (t) => {
  const cluster = new ProcessCluster(t);
  await cluster.startAll();
  const client = cluster.client(THREE);
  for (let at = 0; at < 50; at += 1) await cluster.put(client, `k${at}`, `v${at}`);
  const dead = await cluster.leader(THREE);
  await cluster.kill(dead);
  const others = THREE.filter((id) => id !== dead);
  assert.notEqual(await cluster.leader(others), dead);
  const survivor = cluster.client(others);
  for (let at = 0; at < 50; at += 1) assert.equal(await cluster.get(survivor, `k${at}`), `v${at}`);
  await cluster.put(survivor, 'later', 'v');
  await cluster.start(dead);
  await cluster.until('it to be ready', () => cluster.isReady(dead));
  const back = cluster.client([dead]);
  assert.equal(await cluster.get(back, 'later'), 'v');
  assert.equal(await cluster.get(back, 'k49', true), 'v49');
});

test('a leader that was stopped for a while finds out that it leads no more before it answers anything', async (t) => {
  const cluster = new ProcessCluster(t);
  await cluster.startAll();
  await cluster.put(cluster.client(THREE), 'key', 'before');
  const stopped = await cluster.leader(THREE);
  const others = THREE.filter((id) => id !== stopped);
  cluster.signal(stopped, 'SIGSTOP');
  await cluster.leader(others);
  await cluster.put(cluster.client(others), 'key', 'after');
  cluster.signal(stopped, 'SIGCONT');
  assert.equal(await cluster.get(cluster.client([stopped]), 'key'), 'after');
  assert.ok((await cluster.metric(stopped, 'missed_ticks_total')) > 0);
});

test('a member that was away while the log was cut gets a snapshot', async (t) => {
  const cluster = new ProcessCluster(t, ['--snapshot-every=50']);
  await cluster.startAll();
  const leader = await cluster.leader(THREE);
  const away = THREE.find((id) => id !== leader)!;
  await cluster.kill(away);
  const client = cluster.client([leader]);
  const value = 'x'.repeat(300_000);
  for (let at = 0; at < 200; at += 1) await cluster.put(client, `k${at % 20}`, `${at}-${value}`);
  await cluster.start(away);
  await cluster.until('it to be ready', () => cluster.isReady(away));
  assert.equal(await cluster.get(cluster.client([away]), 'k19'), `199-${value}`);
  assert.equal(await cluster.metric(away, 'snapshots_installed_total'), 1);
});

test('a fourth member joins and votes; the removed one stops by itself', async (t) => {
  const cluster = new ProcessCluster(t);
  await cluster.startAll();
  await cluster.put(cluster.client(THREE), 'key', 'value');
  await cluster.join(4, 1);
  await cluster.until('it to vote', async () => (await cluster.status(4))?.voters.includes(4) === true);
  assert.equal(await cluster.get(cluster.client([4]), 'key'), 'value');
  const leader = await cluster.leader([1, 2, 3, 4]);
  await cluster.client([leader]).unary(Kv.methods.memberRemove, { id: 1 });
  assert.equal(await cluster.commands.get(1)!.exitCode, 0);
  await cluster.leader([2, 3, 4]);
  await cluster.put(cluster.client([2, 3, 4]), 'key', 'again');
  // What was removed is not taken in again.
  await rm(path.join(cluster.folder, 'member-1'), { recursive: true });
  const again = cluster.spawn(1, [`--join=${cluster.ports.get(2)!.rpc}`]);
  assert.equal(await again.exitCode, 1);
  assert.match(again.stderr, /member 1 was removed/);
});

test('members are restarted one after the other under load, and no request fails', async (t) => {
  const cluster = new ProcessCluster(t);
  await cluster.startAll();
  const over = new AbortController();
  let count = 0;
  const writers = THREE.map(async (writer) => {
    const client = cluster.client(THREE);
    while (!over.signal.aborted) {
      await cluster.put(client, `writer-${writer}`, String((count += 1)));
      await cluster.get(client, `writer-${writer}`);
    }
  });
  try {
    for (const id of THREE) {
      const before = count;
      const { child, exitCode } = cluster.commands.get(id)!;
      child.kill('SIGTERM');
      assert.equal(await exitCode, 0);
      await cluster.start(id);
      await cluster.until('it to be ready', () => cluster.isReady(id));
      await cluster.until('some more writes', async () => count > before + 20);
    }
  } finally {
    over.abort();
  }
  await Promise.all(writers);
});

test('members speak TLS to each other and to clients, and turn away whoever shows no certificate', async (t) => {
  const folder = temporaryFolder(t);
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(path.join(folder, name), text);
    return path.join(folder, name);
  };
  const files = {
    certFile: await file('cert.pem', SERVER_CERT),
    keyFile: await file('key.pem', SERVER_KEY),
    caFile: await file('ca.pem', AUTHORITY),
  };
  const flags = [`--tls-cert=${files.certFile}`, `--tls-key=${files.keyFile}`, `--tls-ca=${files.caFile}`];
  const cluster = new ProcessCluster(t, [...flags, '--tls-member-name=localhost'], files);
  await cluster.startAll();
  await cluster.put(cluster.client(THREE), 'key', 'value');
  assert.equal(await cluster.get(cluster.client([2]), 'key'), 'value');

  // A client of the same authority is no member, whatever it says.
  const certificate = {
    certFile: await file('client.pem', CLIENT_CERT),
    keyFile: await file('client-key.pem', CLIENT_KEY),
    caFile: files.caFile,
  };
  const impostor = cluster.client([1], certificate);
  await cluster.put(impostor, 'key', 'value');
  const { clusterId, term } = (await cluster.status(1))!;
  const { exchange, join } = peerContract().methods;
  const hello = {
    clusterId: BigInt(clusterId),
    from: 2,
    to: 1,
    formatMajor: FORMAT_MAJOR,
    formatMinor: 0,
    bulk: false,
    address: '',
  };
  const isRefused = {
    code: 'RPC_UNAUTHENTICATED',
    message: /shows the certificate of .*client.*, not of localhost/,
  };
  async function* greeting(): AsyncGenerator<PeerRequest> {
    yield { hello };
  }
  await assert.rejects(async () => {
    for await (const _ of impostor.bidiStream(exchange, greeting())) assert.fail('it was let in');
  }, isRefused);
  const member = { id: 9, rpc: '127.0.0.1:9', resp: '' };
  const request = { clusterId: BigInt(clusterId), member, learner: false, protocolVersion: 2 };
  await assert.rejects(impostor.unary(join, request), isRefused);
  assert.equal((await cluster.status(1))!.term, term);

  const careless = new Command(t, [
    'kv',
    'serve',
    '--id=1',
    '--cluster=1=127.0.0.1:1',
    '--data=/nowhere',
    ...flags,
  ]);
  assert.equal(await careless.exitCode, 2);
  assert.match(careless.stderr, /--tls-ca: needs --tls-member-name/);
  const stranger = cluster.client([1], { caFile: files.caFile });
  await assert.rejects(cluster.get(stranger, 'key'));
});

test('a member of another cluster is turned away, and says why', async (t) => {
  const cluster = new ProcessCluster(t);
  await cluster.plan(THREE);
  cluster.spawn(1, ['--cluster-id=7']);
  cluster.spawn(2, ['--cluster-id=7']);
  cluster.spawn(3, ['--cluster-id=8']);
  await cluster.leader([1, 2]);
  await cluster.until('word of it', async () =>
    /belongs to cluster 7, not to 8/.test(cluster.commands.get(3)!.stderr),
  );
  assert.equal((await cluster.status(3))!.leader, 0);
  await cluster.kill(3);
  const facts = JSON.parse(await readFile(path.join(cluster.folder, 'member-3', 'MEMBER'), 'utf8')) as object;
  assert.deepEqual({ ...facts, format: 0 }, { format: 0, clusterId: 8, memberId: 3, firstMembers: THREE });
  const changed = cluster.spawn(3, ['--cluster-id=7']);
  assert.equal(await changed.exitCode, 1);
  assert.match(changed.stderr, /is of cluster 8, not of 7/);
});
