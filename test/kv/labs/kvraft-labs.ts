// MIT 6.5840, the kvraft service: parts A and B of 2024, 4B and 4C of 2025. Clients of the former append in a session, where a
// retry is executed once; those of the latter put with versions and may be told Maybe.

import assert from 'node:assert/strict';
import type { LabTest } from './catalogue.js';
import { generic, type GenericOptions } from './generic-test.js';
import { ELECTION_MS, type Lab } from './lab.js';

const SNAPSHOT_BYTES = 1000;
const LOG_BYTES_MAX = 8 * SNAPSHOT_BYTES;
/** A third of a heartbeat, for one operation. */
const OPERATION_MS_MAX = 100 / 3;

async function speed(lab: Lab): Promise<void> {
  const clerk = lab.clerk();
  const count = 1000;
  await clerk.get('x');
  const startMs = lab.nowMs();
  let expected = '';
  for (let at = 0; at < count; at += 1) {
    const value = `x 0 ${at} y`;
    await clerk.append('x', value);
    expected += value;
  }
  const tookMs = lab.nowMs() - startMs;
  assert.equal((await clerk.get('x'))?.text, expected, 'all writes are there');
  assert(tookMs / count <= OPERATION_MS_MAX, `${tookMs / count} ms for an operation`);
  await clerk.close(0);
}

async function unreliableOneKey(lab: Lab): Promise<void> {
  const first = lab.clerk();
  await first.put('k', '');
  await Promise.all(
    Array.from({ length: 5 }, async (_, client) => {
      const clerk = lab.clerk();
      for (let at = 0; at < 10; at += 1) await clerk.append('k', `x ${client} ${at} y`);
      await clerk.close(0);
    }),
  );
  const value = (await first.get('k'))?.text ?? '';
  for (let client = 0; client < 5; client += 1) {
    const found = [...value.matchAll(/x (\d) (\d) y/g)].filter(([, by]) => Number(by) === client);
    const numbers = found.map(([, , at]) => Number(at));
    assert.deepEqual(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], `appends of client ${client}`);
  }
  await first.close(0);
}

async function onePartition(lab: Lab): Promise<void> {
  const all = lab.clerk();
  await all.put('1', '13');
  const leader = await lab.checkOneLeader();
  const minority = [leader, (leader + 1) % 5];
  const majority = lab.members().filter((member) => !minority.includes(member));
  lab.partition(majority, minority);
  const most = lab.clerk({ to: majority });
  const few = lab.clerk({ to: minority });
  await most.put('1', '14');
  assert.equal((await most.get('1'))?.text, '14');
  let isPut = false;
  let got: string | null = null;
  const putting = few.put('1', '15').then(() => (isPut = true));
  const getting = few.get('1').then((pair) => (got = pair?.text ?? null));
  await lab.sleep(1000);
  assert.equal(isPut, false, 'a put in the minority ended');
  assert.equal(got, null, 'a get in the minority ended');
  assert.equal((await most.get('1'))?.text, '14');
  await most.put('1', '16');
  assert.equal((await most.get('1'))?.text, '16');
  lab.heal();
  await lab.sleep(ELECTION_MS);
  assert(await lab.until(() => isPut, 3000), 'the put does not end after the partition');
  assert(await lab.until(() => got !== null, 3000), 'the get does not end after the partition');
  await Promise.all([putting, getting]);
  assert(['15', '16'].includes(got ?? ''), `the get gave ${String(got)}`);
  assert.equal((await all.get('1'))?.text, '15', 'the put came last');
  await Promise.all([all, most, few].map((clerk) => clerk.close(0)));
}

async function snapshotRpc(lab: Lab): Promise<void> {
  const all = lab.clerk();
  await all.put('a', 'A');
  assert.equal((await all.get('a'))?.text, 'A');
  lab.partition([0, 1], [2]);
  const pair = lab.clerk({ to: [0, 1] });
  for (let at = 0; at < 50; at += 1) await pair.put(String(at), String(at));
  await lab.sleep(ELECTION_MS);
  await pair.put('b', 'B');
  const isShort = async (): Promise<boolean> =>
    ((await lab.status(0))?.logBytes ?? Infinity) <= LOG_BYTES_MAX &&
    ((await lab.status(1))?.logBytes ?? Infinity) <= LOG_BYTES_MAX;
  assert(await lab.until(isShort, 2000), 'the logs are too long');
  lab.partition([0, 2], [1]);
  const other = lab.clerk({ to: [0, 2] });
  await other.put('c', 'C');
  await other.put('d', 'D');
  for (const [key, value] of [
    ['a', 'A'],
    ['b', 'B'],
    ['1', '1'],
    ['49', '49'],
  ] as const) {
    assert.equal((await other.get(key))?.text, value);
  }
  lab.heal();
  await all.put('e', 'E');
  for (const [key, value] of [
    ['c', 'C'],
    ['e', 'E'],
    ['1', '1'],
  ] as const) {
    assert.equal((await all.get(key))?.text, value);
  }
  await Promise.all([all, pair, other].map((clerk) => clerk.close(0)));
}

async function snapshotSize(lab: Lab): Promise<void> {
  const clerk = lab.clerk();
  for (let at = 0; at < 200; at += 1) {
    await clerk.put('x', '0');
    assert.equal((await clerk.get('x'))?.text, '0');
    await clerk.put('x', '1');
    assert.equal((await clerk.get('x'))?.text, '1');
  }
  for (const member of lab.members()) {
    const isShort = async (): Promise<boolean> =>
      ((await lab.status(member))?.logBytes ?? Infinity) <= LOG_BYTES_MAX;
    assert(await lab.until(isShort, 2000), `the log of member ${member} is too long`);
    const bytes = await lab.snapshotBytes(member);
    assert(bytes > 0 && bytes <= SNAPSHOT_CONTENT_BYTES_MAX, `a snapshot of ${bytes} bytes`);
  }
  await clerk.close(0);
}

const SNAPSHOT_CONTENT_BYTES_MAX = 600;

interface Shape extends Omit<GenericOptions, 'kind'> {
  readonly name: string;
  readonly servers: number;
  readonly isUnreliable?: boolean;
}

const A: readonly Shape[] = [
  { name: 'Basic', clients: 1, servers: 5 },
  { name: 'Concurrent', clients: 5, servers: 5 },
  { name: 'Unreliable', clients: 5, servers: 5, isUnreliable: true },
  { name: 'ManyPartitionsOneClient', clients: 1, servers: 5, partitions: true },
  { name: 'ManyPartitionsManyClients', clients: 5, servers: 5, partitions: true },
  { name: 'PersistOneClient', clients: 1, servers: 5, crashes: true },
  { name: 'PersistConcurrent', clients: 5, servers: 5, crashes: true },
  { name: 'PersistConcurrentUnreliable', clients: 5, servers: 5, isUnreliable: true, crashes: true },
  { name: 'PersistPartition', clients: 5, servers: 5, crashes: true, partitions: true },
  {
    name: 'PersistPartitionUnreliable',
    clients: 5,
    servers: 5,
    isUnreliable: true,
    crashes: true,
    partitions: true,
  },
  {
    name: 'PersistPartitionUnreliableLinearizable',
    clients: 15,
    servers: 7,
    isUnreliable: true,
    crashes: true,
    partitions: true,
    randomKeys: true,
  },
];

const B: readonly Shape[] = [
  { name: 'SnapshotRecover', clients: 1, servers: 5, crashes: true },
  { name: 'SnapshotRecoverManyClients', clients: 20, servers: 5, crashes: true },
  { name: 'SnapshotUnreliable', clients: 5, servers: 5, isUnreliable: true },
  { name: 'SnapshotUnreliableRecover', clients: 5, servers: 5, isUnreliable: true, crashes: true },
  {
    name: 'SnapshotUnreliableRecoverConcurrentPartition',
    clients: 5,
    servers: 5,
    isUnreliable: true,
    crashes: true,
    partitions: true,
  },
  {
    name: 'SnapshotUnreliableRecoverConcurrentPartitionLinearizable',
    clients: 15,
    servers: 7,
    isUnreliable: true,
    crashes: true,
    partitions: true,
    randomKeys: true,
  },
];

function labOf(
  part: string,
  { name, servers, isUnreliable = false, ...options }: Shape,
  extra: object,
): LabTest {
  const kind = part.startsWith('kvraft') ? 'append' : 'versioned';
  return {
    name: `${part} ${name}`,
    servers,
    isUnreliable,
    ...extra,
    run: (lab) => generic(lab, { ...options, kind }),
  };
}

const SNAPSHOTS = { snapshotBytes: SNAPSHOT_BYTES };

export const kvraftLabs: readonly LabTest[] = [
  ...A.map((shape) => labOf('kvraft A', shape, {})),
  { name: 'kvraft A Speed', servers: 3, run: speed },
  { name: 'kvraft A UnreliableOneKey', servers: 3, isUnreliable: true, run: unreliableOneKey },
  { name: 'kvraft A OnePartition', servers: 5, run: onePartition },
  ...B.map((shape) => labOf('kvraft B', shape, SNAPSHOTS)),
  { name: 'kvraft B Speed', servers: 3, ...SNAPSHOTS, run: speed },
  { name: 'kvraft B SnapshotRPC', servers: 3, ...SNAPSHOTS, run: snapshotRpc },
  { name: 'kvraft B SnapshotSize', servers: 3, ...SNAPSHOTS, run: snapshotSize },
  ...A.map((shape) => labOf('4B', shape, {})),
  { name: '4B OnePartition', servers: 5, isUnreliable: true, run: onePartition },
  ...B.map((shape) => labOf('4C', shape, SNAPSHOTS)),
];
