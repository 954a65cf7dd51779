// gRPC over TLS and mutual TLS, in both directions with ordinary peers, with certificates from files and from text.

import * as grpc from '@grpc/grpc-js';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import type { RpcError, ServerCall } from '../../rpc/index.js';
import { AUTHORITY, CLIENT_CERT, CLIENT_KEY, SERVER_CERT, SERVER_KEY } from '../support/certificates.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { ECHO, echoService, type SayRequest } from './support/echo.js';
import { startGrpcCaller, startGrpcServer } from './support/grpc-pair.js';
import { plainClient, plainSay, plainServer } from './support/plain-grpc.js';

const PEM = {
  authority: Buffer.from(AUTHORITY),
  pair: [{ private_key: Buffer.from(SERVER_KEY), cert_chain: Buffer.from(SERVER_CERT) }],
};
const WHO = [
  echoService({ say: (_: SayRequest, call: ServerCall) => ({ text: String(call.peer.identity) }) }),
];

test('an ordinary client calls our server over TLS, its certificates in files', async (t) => {
  const folder = temporaryFolder(t);
  const certFile = path.join(folder, 'server.pem');
  const keyFile = path.join(folder, 'server.key');
  writeFileSync(certFile, SERVER_CERT);
  writeFileSync(keyFile, SERVER_KEY);
  const { target } = await startGrpcServer(t, { services: WHO, tls: { certFile, keyFile } });
  const client = plainClient(t, target, grpc.credentials.createSsl(PEM.authority));
  assert.equal((await plainSay(client, {})).answer?.text, 'null');
});

test('with mutual TLS the client’s certificate says who it is, and nobody calls without one', async (t) => {
  const tls = { cert: SERVER_CERT, key: SERVER_KEY, ca: AUTHORITY };
  const { target } = await startGrpcServer(t, { services: WHO, tls });
  const credentials = grpc.credentials.createSsl(
    PEM.authority,
    Buffer.from(CLIENT_KEY),
    Buffer.from(CLIENT_CERT),
  );
  assert.equal((await plainSay(plainClient(t, target, credentials), {})).answer?.text, 'test client');
  const nobody = plainClient(t, target, grpc.credentials.createSsl(PEM.authority));
  const { error } = await plainSay(nobody, {}, undefined, { deadline: Date.now() + 5_000 });
  assert.equal(error?.code, grpc.status.UNAVAILABLE);
});

test('our client calls an ordinary server that wants its certificate', async (t) => {
  const { target } = await plainServer(
    t,
    { Say: ((call, done) => done(null, call.request)) satisfies grpc.handleUnaryCall<object, object> },
    grpc.ServerCredentials.createSsl(PEM.authority, PEM.pair, true),
  );
  const tls = { ca: AUTHORITY, cert: CLIENT_CERT, key: CLIENT_KEY };
  const caller = startGrpcCaller(t, { target, tls });
  assert.equal((await caller.unary(ECHO.say, { text: 'safe' })).text, 'safe');
  const stranger = startGrpcCaller(t, { target, tls: { ca: AUTHORITY } });
  await assert.rejects(stranger.unary(ECHO.say, {}), (error) => (error as RpcError).status === 'UNAVAILABLE');
});

test('our client does not believe a server that its authorities do not vouch for, or of another name', async (t) => {
  const { target } = await startGrpcServer(t, { tls: { cert: SERVER_CERT, key: SERVER_KEY } });
  const unknown = startGrpcCaller(t, { target, tls: {} });
  await assert.rejects(unknown.unary(ECHO.say, {}), (error) => (error as RpcError).status === 'UNAVAILABLE');
  const other = startGrpcCaller(t, { target, tls: { ca: AUTHORITY, serverName: 'elsewhere.test' } });
  await assert.rejects(other.unary(ECHO.say, {}), (error) => (error as RpcError).status === 'UNAVAILABLE');
  const named = startGrpcCaller(t, { target, tls: { ca: AUTHORITY, serverName: 'localhost' } });
  assert.equal((await named.unary(ECHO.say, { text: 'it is you' })).text, 'it is you');
});

test('files that cannot be read fail where the server listens', async (t) => {
  await assert.rejects(
    startGrpcServer(t, { tls: { certFile: '/nowhere/cert.pem', keyFile: '/nowhere/key.pem' } }),
    /certFile '\/nowhere\/cert.pem' cannot be read/,
  );
});
