// The scope that the deliveries of one batch share as long as nobody enters anything, and how it is noticed.

import assert from 'node:assert/strict';
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { test } from 'node:test';
import { BatchScope, HandlerContext } from '../../reactor/async-scope.js';

/** Node's AsyncContextFrame, the default from 24 on, keeps no store on resources: there nothing is ever shared. */
const isShared = '_propagate' in AsyncLocalStorage.prototype;
const unlessShared = isShared ? false : 'this Node keeps no store on async resources';

/** Runs `run` with the scope's resource as the one that executes, as the transport does. */
function runIn(scope: BatchScope, run: () => void): void {
  const ids = new AsyncResource('Test', { requireManualDestroy: true });
  const values = ids as unknown as Record<PropertyKey, unknown>;
  const { resource } = scope;
  for (const key of Object.getOwnPropertySymbols(ids)) Reflect.set(resource, key, values[key]);
  scope.begin();
  const resourceWithIds = new Proxy(resource, { get: (of, key) => Reflect.get(of, key) ?? values[key] });
  ids.runInAsyncScope.call(resourceWithIds as AsyncResource, run);
}

test('a context is empty unless something is entered where it is made', () => {
  const store = new AsyncLocalStorage<number>();
  assert(new HandlerContext().isEmpty);
  store.run(0, () => assert(!new HandlerContext().isEmpty));
  assert(new HandlerContext().isEmpty);
});

test('what is entered in a batch ends the sharing, and is gone when its handler is left', {
  skip: unlessShared,
}, () => {
  const store = new AsyncLocalStorage<string>();
  const scope = new BatchScope();
  const context = new HandlerContext();
  scope.begin();
  assert(scope.suits(context));
  runIn(scope, () => {
    assert.equal(store.getStore(), undefined);
    scope.leave();
    assert(scope.suits(context));
    store.enterWith('mine');
    assert.equal(store.getStore(), 'mine');
    assert(!scope.suits(context));
    scope.leave();
    assert.equal(store.getStore(), undefined);
    assert(!scope.suits(context));
  });
});

test('a store that runs a function in a batch ends the sharing too', { skip: unlessShared }, () => {
  const store = new AsyncLocalStorage<string>();
  const scope = new BatchScope();
  runIn(scope, () => store.run('mine', () => assert(!scope.suits(new HandlerContext()))));
});

test('a service that was made where something is entered shares no scope', () => {
  const store = new AsyncLocalStorage<string>();
  const scope = new BatchScope();
  scope.begin();
  store.run('of the server', () => assert(!scope.suits(new HandlerContext())));
});
