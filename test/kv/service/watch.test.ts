import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { EventKind, type WatchRequest, WatchKind, type WatchResponse } from '../../../kv/proto/kv.js';
import type { MessageInit } from '../../../rpc/index.js';
import { LocalBackend } from '../support/local-backend.js';
import { bytes, served, type Served, text } from './support.js';

/** A Watch call whose requests are sent one by one and whose responses are read one by one. */
class Watching {
  readonly #queue: MessageInit<WatchRequest>[] = [];
  #wake: (() => void) | null = null;
  readonly #responses: AsyncIterator<WatchResponse>;
  readonly #cancel: () => void;

  constructor(t: TestContext, { client }: Served) {
    const stream = client.watch(this.#requests(), { timeoutMs: 30_000 });
    this.#responses = stream[Symbol.asyncIterator]();
    this.#cancel = () => stream.cancel();
    t.after(this.#cancel);
  }

  send(request: MessageInit<WatchRequest>): void {
    this.#queue.push(request);
    this.#wake?.();
  }

  create(create: MessageInit<WatchRequest['create'] & object>): void {
    this.send({ create: { watchId: 1n, ...create } });
  }

  async next(): Promise<WatchResponse> {
    const { value, done } = await this.#responses.next();
    assert(done !== true, 'the stream goes on');
    return value;
  }

  /** The next message, in words. */
  async told(): Promise<string> {
    return shown(await this.next());
  }

  async *#requests(): AsyncGenerator<MessageInit<WatchRequest>> {
    for (;;) {
      const request = this.#queue.shift();
      if (request !== undefined) yield request;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

const KIND = new Map<number, string>(Object.entries(WatchKind).map(([name, number]) => [number, name]));
const EVENT = new Map<number, string>(Object.entries(EventKind).map(([name, number]) => [number, name]));

function shown({ watchId, kind, revision, events, error, more }: WatchResponse): string {
  const told = events.map(
    (event) =>
      ` ${EVENT.get(event.kind)} ${text(event.kv!.key)}=${text(event.kv!.value)}@${event.kv!.modRevision}`,
  );
  const code = error === undefined ? '' : ` ${error.code}`;
  return `${watchId} ${KIND.get(kind)} ${revision}${told.join('')}${code}${more ? ' …' : ''}`;
}

const put = ({ client }: Served, key: string, value = '') =>
  client.execute({ command: { put: { key: bytes(key), value: bytes(value) } } });
const txnPut = ({ client }: Served, keys: readonly string[], value = '') =>
  client.execute({
    command: { txn: { success: keys.map((key) => ({ put: { key: bytes(key), value: bytes(value) } })) } },
  });

test('several watches on one stream hear of what they look at, in the order of revisions', async (t) => {
  const all = await served(t);
  const watching = new Watching(t, all);
  watching.create({ watchId: 1n, key: bytes('a') });
  watching.create({ watchId: 2n, range: { prefix: bytes('p/') } });
  watching.create({ watchId: 3n, range: { start: bytes('b'), end: bytes('c') } });
  for (const id of [1, 2, 3]) assert.equal(await watching.told(), `${id} CREATED 0`);
  await put(all, 'a', '1');
  assert.equal(await watching.told(), '1 EVENTS 1 PUT a=1@1');
  await put(all, 'c', '1');
  await put(all, 'p/x', '1');
  assert.equal(await watching.told(), '2 EVENTS 3 PUT p/x=1@3');
  await put(all, 'bb', '1');
  assert.equal(await watching.told(), '3 EVENTS 4 PUT bb=1@4');
  await all.client.execute({ command: { delete: { key: bytes('a') } } });
  assert.equal(await watching.told(), '1 EVENTS 5 DELETE a=@5');
  watching.send({ cancel: { watchId: 1n } });
  assert.equal(await watching.told(), '1 CANCELLED 5');
  await put(all, 'a', '2');
  watching.send({ progress: {} });
  assert.equal(await watching.told(), '2 PROGRESS 6');
  assert.equal(await watching.told(), '3 PROGRESS 6');
});

test('what one transaction changed is told together', async (t) => {
  const all = await served(t);
  const watching = new Watching(t, all);
  watching.create({ range: {} });
  await watching.told();
  await txnPut(all, ['a', 'b', 'c'], '1');
  assert.equal(await watching.told(), '1 EVENTS 1 PUT a=1@1 PUT b=1@1 PUT c=1@1');
});

test('keys that expire, by themselves or with their lease, are told as expired', async (t) => {
  const all = await served(t);
  const watching = new Watching(t, all);
  watching.create({ range: {}, noPuts: true });
  await watching.told();
  const { outcome } = await all.client.execute({ command: { leaseGrant: { ttlMs: 1000n } } });
  await all.client.execute({ command: { put: { key: bytes('a'), lease: outcome!.lease!.id } } });
  await all.client.execute({ command: { put: { key: bytes('b'), ttlMs: 2000n } } });
  all.backend.advance(1000);
  assert.equal(await watching.told(), '1 EVENTS 3 EXPIRE a=@3');
  all.backend.advance(1000);
  assert.equal(await watching.told(), '1 EVENTS 4 EXPIRE b=@4');
});

test('a watch goes on from a revision of the past, and begins at one of the future', async (t) => {
  const all = await served(t);
  for (const key of ['a', 'b', 'c']) await put(all, key, '1');
  const watching = new Watching(t, all);
  watching.create({ watchId: 1n, range: {}, startRevision: 2n });
  assert.equal(await watching.told(), '1 CREATED 3');
  assert.equal(await watching.told(), '1 EVENTS 3 PUT b=1@2 PUT c=1@3');
  watching.create({ watchId: 2n, range: {}, startRevision: 5n });
  assert.equal(await watching.told(), '2 CREATED 3');
  await put(all, 'd', '1');
  await put(all, 'e', '1');
  const told = [await watching.told(), await watching.told(), await watching.told()];
  assert.deepEqual(
    told.filter((each) => each.startsWith('2')),
    ['2 EVENTS 5 PUT e=1@5'],
  );
});

test('a child watch hears of direct children only', async (t) => {
  const all = await served(t);
  const watching = new Watching(t, all);
  watching.create({ children: bytes('/a') });
  await watching.told();
  for (const path of ['/a', '/a/x', '/a/x/deep', '/ab', '/a/y']) {
    await all.client.execute({ command: { treeCreate: { path: bytes(path), makeParents: true } } });
  }
  assert.equal(await watching.told(), '1 EVENTS 2 PUT /a/x=@2');
  assert.equal(await watching.told(), '1 EVENTS 5 PUT /a/y=@5');
});

test('a watch from before what is remembered is cancelled and says from where one may begin', async (t) => {
  const all = await served(t, new LocalBackend({ history: { changesMax: 10 } }));
  for (let index = 0; index < 25; index += 1) await put(all, `k${index}`);
  const watching = new Watching(t, all);
  watching.create({ watchId: 1n, range: {}, startRevision: 15n });
  assert.equal(await watching.told(), '1 CANCELLED 16 KV_COMPACTED');
  watching.create({ watchId: 2n, range: { prefix: bytes('k24') }, startRevision: 16n });
  assert.equal(await watching.told(), '2 CREATED 25');
  assert.equal(await watching.told(), '2 EVENTS 25 PUT k24=@25');
  assert.equal((await all.client.status({})).watchRevision, 16n);
});

test('a watcher that does not read costs no memory, and is cancelled once it is too far behind', async (t) => {
  const all = await served(t, new LocalBackend({ history: { changesMax: 50 } }));
  const watching = new Watching(t, all);
  watching.create({ watchId: 1n, range: {} });
  assert.equal(await watching.told(), '1 CREATED 0');
  // Far more than the window of a stream, in turns that each forget what came before.
  const value = 'v'.repeat(200_000);
  for (let round = 0; round < 40; round += 1) await txnPut(all, ['a', 'b', 'c', 'd', 'e'], value);
  const revisions: bigint[] = [];
  let last: WatchResponse;
  do {
    last = await watching.next();
    revisions.push(...last.events.map(({ kv }) => kv!.modRevision));
  } while (last.kind === WatchKind.EVENTS && revisions.at(-1)! < 40n);
  assert.equal(last.kind, WatchKind.CANCELLED);
  assert.equal(last.error!.code, 'KV_COMPACTED');
  assert.deepEqual(
    revisions,
    revisions.toSorted((a, b) => Number(a - b)),
  );
  const read = await all.client.execute({ command: { range: { keysOnly: true } } });
  watching.create({ watchId: 2n, range: {}, startRevision: read.outcome!.revision + 1n });
  assert.equal(await watching.told(), '2 CREATED 40');
  await put(all, 'z', '1');
  assert.equal(await watching.told(), '2 EVENTS 41 PUT z=1@41');
});

test('a revision too large for one message comes in several, and the last one says so', async (t) => {
  const all = await served(t);
  const watching = new Watching(t, all);
  watching.create({ range: {}, keysOnly: true });
  await watching.told();
  const { outcome } = await all.client.execute({ command: { leaseGrant: { ttlMs: 1000n } } });
  const keys = Array.from({ length: 2500 }, (_, index) => `k${String(index).padStart(4, '0')}`);
  for (let at = 0; at < keys.length; at += 500) {
    const puts = keys
      .slice(at, at + 500)
      .map((key) => ({ put: { key: bytes(key), lease: outcome!.lease!.id } }));
    await all.client.execute({ command: { txn: { success: puts } } });
  }
  let seen = 0;
  while (seen < 2500) seen += (await watching.next()).events.length;
  all.backend.advance(1000);
  const parts = [await watching.next(), await watching.next(), await watching.next()];
  assert.deepEqual(
    parts.map(({ events, more, revision }) => [events.length, more, revision]),
    [
      [1000, true, 6n],
      [1000, true, 6n],
      [500, false, 6n],
    ],
  );
});

test('a watch that asks for progress hears of it while nothing happens', async (t) => {
  const all = await served(t);
  const watching = new Watching(t, all);
  watching.create({ key: bytes('a'), progressMs: 100 });
  await watching.told();
  await put(all, 'other');
  assert.equal(await watching.told(), '1 PROGRESS 1');
  assert.equal(await watching.told(), '1 PROGRESS 1');
});

test('impossible watches are refused one by one and the stream goes on', async (t) => {
  const all = await served(t, undefined, { watchesMax: 1 });
  const watching = new Watching(t, all);
  watching.create({ watchId: 0n, key: bytes('a') });
  assert.equal(await watching.told(), '0 CANCELLED 0 KV_REQUEST_INVALID');
  watching.create({ watchId: 1n });
  assert.equal(await watching.told(), '1 CANCELLED 0 KV_REQUEST_INVALID');
  watching.create({ watchId: 1n, key: bytes('a') });
  assert.equal(await watching.told(), '1 CREATED 0');
  watching.create({ watchId: 2n, key: bytes('a') });
  assert.equal(await watching.told(), '2 CANCELLED 0 KV_WATCHES_FULL');
  await put(all, 'a', '1');
  assert.equal(await watching.told(), '1 EVENTS 1 PUT a=1@1');
});

test('watches end with their call and with the service', async (t) => {
  const all = await served(t);
  const leaving = all.client.watch([{ create: { watchId: 1n, key: bytes('a') } }], { timeoutMs: 30_000 });
  for await (const { kind } of leaving) {
    assert.equal(kind, WatchKind.CREATED);
    assert.equal(all.service.watches, 1);
    break;
  }
  const staying = all.client.watch([{ create: { watchId: 1n, key: bytes('b') } }], { timeoutMs: 30_000 });
  const reading = staying[Symbol.asyncIterator]();
  await reading.next();
  assert.equal(all.service.watches, 1, 'the watch of the call that ended is gone');
  all.service.stop();
  await assert.rejects(reading.next(), { code: 'RPC_SHUTTING_DOWN' });
  assert.equal(all.service.watches, 0);
});
