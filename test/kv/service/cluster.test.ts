import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvError } from '../../../kv/errors.js';
import { Machine } from '../../../kv/machine/machine.js';
import { WatchKind } from '../../../kv/proto/kv.js';
import { failureOf } from '../../../kv/service/failures.js';
import type { ControlDone, ServedMember, ServedNode, ServedStatus } from '../../../kv/service/served-node.js';
import { RpcError } from '../../../rpc/index.js';
import { LocalBackend } from '../support/local-backend.js';
import { bytes, served } from './support.js';

/** A backend that can be asked what a member of a cluster is asked, and that can have its machine replaced. */
class Clustered extends LocalBackend implements ServedNode {
  readonly asked: string[] = [];
  refusal: KvError | null = null;
  #onReplaced: () => void = () => {};

  override status(): ServedStatus {
    return {
      ...super.status(),
      leader: 2,
      clusterId: 77,
      voters: [1, 2],
      learners: [3],
      members: [
        { id: 1, rpc: '127.0.0.1:7501', resp: '127.0.0.1:7601' },
        { id: 2, rpc: '127.0.0.1:7502', resp: '' },
        { id: 3, rpc: '127.0.0.1:7503', resp: '' },
      ],
      snapshotIndex: 9,
    };
  }

  onReplaced(listener: () => void): () => void {
    this.#onReplaced = listener;
    return () => {};
  }

  addMember(member: ServedMember, isLearner: boolean, done: ControlDone): void {
    this.#ask(`add ${member.id} ${member.rpc} ${member.resp} ${isLearner}`, done);
  }

  removeMember(id: number, done: ControlDone): void {
    this.#ask(`remove ${id}`, done);
  }

  changeMembers(changes: readonly { type: string; id: number }[], done: ControlDone): void {
    this.#ask(`${changes[0]!.type} ${changes[0]!.id}`, done);
  }

  transfer(to: number | null, done: ControlDone): void {
    this.#ask(`transfer ${to}`, done);
  }

  snapshotNow(): Promise<{ index: number; term: number; bytes: number }> {
    return new Promise((resolve, reject) => {
      const taken = { index: 9, term: 3, bytes: 1234 };
      this.#ask('snapshot', (error) => (error === null ? resolve(taken) : reject(error)));
    });
  }

  /** As when a snapshot is installed: the state of another machine, and nothing is told of what changed. */
  replaceBy(other: Machine): void {
    const snapshot = other.snapshot();
    const machine = Machine.restore(snapshot.chunks());
    snapshot.close();
    Object.defineProperty(this, 'machine', { value: machine });
    this.#onReplaced();
  }

  #ask(what: string, done: ControlDone): void {
    this.asked.push(what);
    queueMicrotask(() => done(this.refusal));
  }
}

test('what operators ask for reaches the member, and answers list the members', async (t) => {
  const backend = new Clustered();
  const { client } = await served(t, backend);
  await client.memberAdd({ id: 4, address: 'h:1', respAddress: 'h:2' });
  await client.memberAdd({ id: 5, address: 'h:3', asVoter: true });
  await client.memberPromote({ id: 3 });
  await client.memberUpdate({ id: 3, address: 'h:4' });
  await client.memberRemove({ id: 2 });
  await client.transfer({ to: 1 });
  await client.transfer({});
  const { index, term, bytes } = await client.snapshotNow({});
  assert.deepEqual([index, term, bytes], [9n, 3n, 1234n]);
  assert.deepEqual(backend.asked, [
    'add 4 h:1 h:2 true',
    'add 5 h:3  false',
    'add-voter 3',
    'add 3 h:4  true',
    'remove 2',
    'transfer 1',
    'transfer null',
    'snapshot',
  ]);
  const { members, leader } = await client.memberList({});
  assert.deepEqual(
    members.map(({ id, role, address, isLeader }) => [id, role, address, isLeader]),
    [
      [1, 'voter', '127.0.0.1:7501', false],
      [2, 'voter', '127.0.0.1:7502', true],
      [3, 'learner', '127.0.0.1:7503', false],
    ],
  );
  assert.deepEqual(leader, { id: 2, address: '127.0.0.1:7502' });
  assert.equal((await client.status({})).clusterId, '77');
});

test('a refusal comes with its code, with whom to ask, and with whether it was carried out', async (t) => {
  const backend = new Clustered();
  const { client } = await served(t, backend);
  backend.refusal = new KvError('KV_SNAPSHOTS_EXHAUSTED', 'too many');
  await assert.rejects(client.transfer({ to: 3 }), (error) => {
    assert(error instanceof RpcError);
    assert.deepEqual(failureOf(error), {
      code: 'KV_SNAPSHOTS_EXHAUSTED',
      message: 'too many',
      leader: { id: 2, address: '127.0.0.1:7502' },
    });
    return error.executed === 'no' && error.status === 'RESOURCE_EXHAUSTED';
  });
  await assert.rejects(
    client.memberUpdate({ id: 9, address: 'h:1' }),
    (error) => failureOf(error)!.code === 'KV_REQUEST_INVALID',
  );
});

test('watches of a member whose state was replaced hear that events are missing, if any are', async (t) => {
  const backend = new Clustered();
  const { client, service } = await served(t, backend);
  await client.execute({ command: { put: { key: bytes('a') } } });
  const watching = client.watch([{ create: { watchId: 1n, key: bytes('other') } }], { timeoutMs: 30_000 });
  const responses = watching[Symbol.asyncIterator]();
  assert.equal((await responses.next()).value!.kind, WatchKind.CREATED);
  const elsewhere = new LocalBackend();
  const ahead = await served(t, elsewhere);
  await ahead.client.execute({ command: { put: { key: bytes('a') } } });
  backend.replaceBy(elsewhere.machine);
  assert.equal(service.watches, 1, 'the same revision: nothing is missing');
  await ahead.client.execute({ command: { put: { key: bytes('b') } } });
  backend.replaceBy(elsewhere.machine);
  const cancelled = (await responses.next()).value!;
  assert.deepEqual(
    [cancelled.kind, cancelled.error!.code, cancelled.revision],
    [WatchKind.CANCELLED, 'KV_COMPACTED', 3n],
  );
});
