// Which errors are held against the instance.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isInstanceFailure, RPC_ERROR_CODES, RpcError, type RpcErrorCode } from '../../../rpc/index.js';

const BLAMED: readonly RpcErrorCode[] = [
  'RPC_UNAVAILABLE',
  'RPC_DEADLINE_EXCEEDED',
  'RPC_RESOURCE_EXHAUSTED',
  'RPC_INTERNAL',
  'RPC_DATA_LOSS',
  'RPC_CONNECT_FAILED',
  'RPC_CONNECTION_LOST',
  'RPC_HELLO_TIMEOUT',
  'RPC_KEEPALIVE_TIMEOUT',
  'RPC_POOL_TIMEOUT',
  'RPC_QUEUE_FULL',
  'RPC_TOO_MANY_STREAMS',
  'RPC_PROTOCOL',
];

test('unreachable, overloaded and broken are the instance’s fault; answers, the caller’s mistakes and a drain are not', () => {
  const blamed = RPC_ERROR_CODES.filter((code) => isInstanceFailure(new RpcError(code, 'on purpose')));
  assert.deepEqual(blamed.toSorted(), BLAMED.toSorted());
});
