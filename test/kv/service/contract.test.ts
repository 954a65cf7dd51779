import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Kv } from '../../../kv/proto/kv.js';
import { generate, readProtoFiles } from '../../../rpc/index.js';

const PROTO = new URL('../../../../kv/proto/kv.proto', import.meta.url);

test('the TypeScript of the contract is what our generator makes of its .proto', () => {
  const files = readProtoFiles(PROTO);
  const [module] = generate(files, { runtime: '../../rpc/index.js' });
  assert.equal(module!.text, readFileSync(new URL('./kv.ts', PROTO), 'utf8'));
});

test('the methods are what clients rely on, and those that may be repeated say so', () => {
  const told = Object.values(Kv.methods).map(
    ({ name, kind, idempotency }) => `${name} ${kind} ${idempotency}`,
  );
  assert.deepEqual(told, [
    'Execute unary unknown',
    'OpenSession unary unknown',
    'KeepAlive unary idempotent',
    'CloseSession unary idempotent',
    'Watch bidi-stream unknown',
    'Status unary no-side-effects',
    'MemberList unary no-side-effects',
    'MemberAdd unary unknown',
    'MemberPromote unary unknown',
    'MemberRemove unary unknown',
    'MemberUpdate unary unknown',
    'Transfer unary unknown',
    'SnapshotNow unary unknown',
    'Backup server-stream no-side-effects',
    'HashAt unary idempotent',
  ]);
});
