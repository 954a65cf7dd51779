import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, NativeLog, text } from './native-harness.js';

const create = (log: NativeLog, path: string, more: object = {}) =>
  log.run({ treeCreate: { path: bytes(path), value: bytes(`at ${path}`), ...more } });

/** Names, with a '?' behind those that are no nodes themselves. */
const children = (log: NativeLog, path: string, more: object = {}) =>
  log
    .query({ treeChildren: { path: bytes(path), ...more } })
    .children.children.map(({ name, kv }) => `${text(name)}${kv === undefined ? '?' : ''}`);

test('a node needs its parent, unless parents are to be made', () => {
  const log = new NativeLog();
  assert.equal(log.refusal({ treeCreate: { path: bytes('/a/b/c') } }), 'KV_NO_PARENT');
  create(log, '/a');
  assert.equal(log.refusal({ treeCreate: { path: bytes('/a') } }), 'KV_EXISTS');
  assert.equal(log.refusal({ treeCreate: { path: bytes('/') } }), 'KV_EXISTS');
  const before = log.machine.revision;
  create(log, '/a/b/c', { makeParents: true });
  assert.equal(log.machine.revision, before + 1);
  assert.deepEqual(log.keys(), ['/a', '/a/b', '/a/b/c']);
  assert.deepEqual([log.get('/a'), log.get('/a/b'), log.get('/a/b/c')], ['at /a', '', 'at /a/b/c']);
});

test('children are those one step below, in order, however much is below them', () => {
  const log = new NativeLog();
  for (const path of ['/a', '/a/x', '/a/x/1', '/a/x/2', '/a/x-y', '/a/z', '/ab', '/a/b']) {
    create(log, path, { makeParents: true });
  }
  log.put('/a/loose/deep/down', 'v');
  log.put('/a/x0', 'v');
  assert.deepEqual(children(log, '/a'), ['b', 'loose?', 'x', 'x-y', 'x0', 'z']);
  assert.deepEqual(children(log, '/'), ['a', 'ab']);
  assert.deepEqual(children(log, '/a/x'), ['1', '2']);
  assert.deepEqual(children(log, '/a/z'), []);
  assert.equal(log.query({ treeChildren: { path: bytes('/none') } }).error.code, 'KV_NOT_FOUND');
  assert.deepEqual(children(log, '/a/loose'), ['deep?']);
});

test('pages of children have each of them once', () => {
  const log = new NativeLog();
  for (let index = 0; index < 20; index += 1) {
    create(log, `/a/n${index}/deeper`, { makeParents: true });
    log.put(`/a/loose${index}/x`, 'v');
  }
  const seen: string[] = [];
  for (let after = new Uint8Array(0), more = true; more; ) {
    const page = log.query({
      treeChildren: { path: bytes('/a'), limit: 3, after, namesOnly: true },
    }).children;
    assert(page.children.length <= 3);
    seen.push(...page.children.map(({ name }) => text(name)));
    ({ more } = page);
    after = new Uint8Array(page.lastKey);
  }
  assert.equal(seen.length, 40);
  assert.deepEqual(seen, [...new Set(seen)]);
});

test('keys that are no paths do not disturb', () => {
  const log = new NativeLog();
  for (const key of ['/', '//', '//x', '/a/', '/a//', 'a', '0', '/a', '/a/b']) log.put(key, 'v');
  assert.deepEqual(children(log, '/'), ['a']);
  assert.deepEqual(children(log, '/a'), ['b']);
});

test('a node with children is deleted only with all that is below it', () => {
  const log = new NativeLog();
  for (const path of ['/a', '/a/b', '/a/b/c', '/ab']) create(log, path);
  assert.equal(log.refusal({ treeDelete: { path: bytes('/a') } }), 'KV_NOT_EMPTY');
  assert.equal(log.refusal({ treeDelete: { path: bytes('/x') } }), 'KV_NOT_FOUND');
  assert.equal(log.run({ treeDelete: { path: bytes('/a/b/c') } }).delete.deleted, 1n);
  assert.equal(log.run({ treeDelete: { path: bytes('/a'), recursive: true } }).delete.deleted, 2n);
  assert.deepEqual(log.keys(), ['/ab']);
});

test('sequential nodes of one parent are numbered together, ephemeral ones go with their lease', () => {
  const log = new NativeLog();
  create(log, '/lock');
  const lease = BigInt(log.grant(5000));
  const path = (prefix: string) => text(create(log, prefix, { sequential: true, lease }).key.key);
  assert.equal(path('/lock/write-'), '/lock/write-0000000001');
  assert.equal(path('/lock/read-'), '/lock/read-0000000002');
  assert.equal(path('/lock/'), '/lock/0000000003');
  assert.equal(log.refusal({ treeCreate: { path: bytes('/none/x-'), sequential: true } }), 'KV_NO_PARENT');
  log.advance(5000);
  assert.deepEqual(children(log, '/lock'), []);
  assert.equal(text(create(log, '/lock/write-', { sequential: true }).key.key), '/lock/write-0000000004');
});

test('what is no path is refused', () => {
  const log = new NativeLog();
  for (const path of ['a', '/a/', '//a', '/a//b']) {
    assert.equal(log.refusal({ treeCreate: { path: bytes(path) } }), 'KV_REQUEST_INVALID', path);
  }
});
