import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Instance } from '../../../rpc/instance.js';
import { KnownList } from '../../../rpc/registry/known-list.js';

function instance(port: number, epoch: number = 1): Instance {
  return {
    id: `10.0.0.1:${port}@${epoch}`,
    host: '10.0.0.1',
    port,
    weight: 1,
    version: '',
    group: '',
    tags: {},
    resources: {},
  };
}

function idsOf(list: KnownList): string {
  return list.instances.map(({ id }) => id.slice('10.0.0.1:'.length)).join(' ');
}

const TEN: readonly Instance[] = Array.from({ length: 10 }, (_, port) => instance(port));

test('most of a list gone at once is believed when it is said again 10 s later', () => {
  const list = new KnownList();
  list.replace(TEN, 0, 0);
  list.replace(TEN.slice(0, 3), 0, 1000);
  assert.equal(list.instances.length, 10);
  list.confirm(0, 6000);
  assert.equal(list.instances.length, 10);
  list.confirm(0, 11_000);
  assert.equal(list.instances.length, 3);
});

test('many that leave one by one are gone at once, but for the last', () => {
  const list = new KnownList();
  list.replace(TEN, 0, 0);
  list.change(
    TEN.map((each) => ({ kind: 'remove', instance: each }) as const),
    0,
    1000,
  );
  assert.equal(idsOf(list), '9@1');
  assert(list.awaitsConfirmation);
});

test('an address is listed once, whatever is held back: its latest life', () => {
  const list = new KnownList();
  list.replace(TEN, 0, 0);
  list.replace([instance(0, 2), instance(1, 2)], 0, 1000);
  assert.equal(idsOf(list), '0@2 1@2 2@1 3@1 4@1 5@1 6@1 7@1 8@1 9@1');
});

test('a registry that settles takes nobody away but who leaves', () => {
  const list = new KnownList();
  list.replace(TEN.slice(0, 3), 0, 0);
  list.replace([], 30_000, 1000);
  list.change([{ kind: 'put', instance: instance(1, 2) }], 20_000, 2000);
  list.change([{ kind: 'remove', instance: instance(2) }], 10_000, 3000);
  assert.equal(idsOf(list), '1@2 0@1');
  list.confirm(0, 31_000);
  assert.equal(idsOf(list), '1@2');
});
