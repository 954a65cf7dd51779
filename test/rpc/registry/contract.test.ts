import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registryContract } from '../../../rpc/registry/registry-contract.js';
import {
  CHANGE_KIND,
  changeMessage,
  factsOf,
  instanceMessage,
  instanceOf,
  LEASE_STATE,
  WATCH_KIND,
} from '../../../rpc/registry/wire.js';
import type { MessageType } from '../../../rpc/contract.js';
import { facts } from './support.js';

const { methods } = registryContract();

test('the methods are what clients rely on, and those that may be repeated say so', () => {
  const told = Object.values(methods).map(({ path, kind, idempotency }) =>
    [path, kind, idempotency].join(' '),
  );
  assert.deepEqual(told, [
    '/reactornet.registry.Registry/Register unary idempotent',
    '/reactornet.registry.Registry/KeepAlive bidi-stream unknown',
    '/reactornet.registry.Registry/Deregister unary idempotent',
    '/reactornet.registry.Registry/Discover unary no-side-effects',
    '/reactornet.registry.Registry/Watch server-stream no-side-effects',
    '/reactornet.registry.Registry/Services unary no-side-effects',
    '/reactornet.registry.Registry/ConfirmExpiry unary idempotent',
  ]);
});

test('enums have the numbers that the code goes by', () => {
  assert.deepEqual(
    methods.keepAlive.responseType.toJson({
      leaseId: '',
      state: LEASE_STATE.superseded,
      ttlMs: 0,
      revision: 0n,
    }),
    {
      state: 'SUPERSEDED',
    },
  );
  for (const [kind, name] of [
    [WATCH_KIND.snapshot, 'SNAPSHOT'],
    [WATCH_KIND.changes, 'CHANGES'],
    [WATCH_KIND.progress, 'PROGRESS'],
  ] as const) {
    const empty = { revision: 0n, generation: '', instances: [], more: false, changes: [], settlingMs: 0 };
    assert.deepEqual(methods.watch.responseType.toJson({ kind, ...empty }), { kind: name });
  }
  assert.deepEqual(CHANGE_KIND, { put: 1, deregistered: 2, expired: 3 });
});

test('nothing of an instance is lost on its way from a store to a client', () => {
  const given = facts(1, { weight: 2.5, version: '1', group: 'g', tags: { a: 'b' }, resources: { gpus: 2 } });
  const record = {
    ...given,
    id: '10.0.0.1:1@9',
    epoch: 9,
    leaseId: 'l',
    revision: 3,
    lastHeartbeatMs: 5,
    isHeld: true,
  };
  const message = instanceMessage(record);
  const change = changeMessage({ kind: 'expired', record });
  const sent = {
    kind: 2,
    revision: 7n,
    generation: 'g',
    instances: [message],
    more: true,
    changes: [change],
    settlingMs: 9,
  };
  const received = copy(methods.watch.responseType, sent);
  assert.deepEqual(received.instances, [message]);
  assert.deepEqual({ ...received, instances: [message], changes: [] }, { ...sent, changes: [] });
  assert.deepEqual(
    received.changes.map(({ kind, instance }) => [kind, instance.id]),
    [[3, '10.0.0.1:1@9']],
  );
  const { service: _service, path: _path, ...rest } = given;
  assert.deepEqual(instanceOf(received.instances[0]!), { id: '10.0.0.1:1@9', ...rest });
});

test('an instance that names no host has the one it was seen from, as an IPv4 address where it is one', () => {
  assert.equal(factsOf({ service: 's', port: 1 }, '::ffff:10.0.0.7').host, '10.0.0.7');
  assert.equal(factsOf({ service: 's', port: 1 }, 'fe80::1').host, 'fe80::1');
  assert.equal(factsOf({ service: 's', port: 1, host: 'named' }, '10.0.0.7').host, 'named');
  assert.equal(factsOf({ service: 's', path: '/run/s' }, '10.0.0.7').host, '');
  assert.equal(factsOf({ service: 's', port: 1 }, undefined).weight, 1);
});

function copy<T>(type: MessageType<T>, message: T): T {
  const encoded = type.codec('protobuf').encode(message);
  const bytes = new Uint8Array(encoded.bytes);
  encoded.writeTo(bytes, 0);
  return type.codec('protobuf').decode(bytes);
}
