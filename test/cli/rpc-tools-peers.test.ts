// The tools against servers of other kinds: gRPC, TLS, tokens, a registry, and one without reflection.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import demoModule from '../../cli/demo-services.js';
import { failureFacts } from '../../cli/rpc-failure.js';
import {
  connectRegistry,
  loadProto,
  Metadata,
  RegistryServer,
  RpcError,
  type ServiceImplementation,
} from '../../rpc/index.js';
import { createLogger } from '../../reactor/index.js';
import { startGrpcServer } from '../rpc/support/grpc-pair.js';
import { startServer } from '../rpc/support/rpc-pair.js';
import { AUTHORITY, CLIENT_CERT, CLIENT_KEY, SERVER_CERT, SERVER_KEY } from '../support/certificates.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { runTool } from './support/rpc-tool.js';

const PROTO = path.join(fileURLToPath(new URL('../../../', import.meta.url)), 'rpc/proto/demo.proto');
const SAY = ['demo.Echo/Say', '--data', '{"text":"hi"}', '--json'];
const HI = '{"text":"hi","number":1}';

/** Without what describes it. */
function echoAlone(): ServiceImplementation[] {
  return demoModule().services.filter(({ contract }) => contract.fullName === 'demo.Echo');
}

test('an ordinary gRPC server is listed, called in every kind, and measured', async (t) => {
  const { target } = await startGrpcServer(t, { services: demoModule() });
  const G = ['--grpc', '--target', target];
  assert.equal((await runTool(['list', ...G])).lines[0], 'demo.Echo');
  assert.deepEqual((await runTool(['call', ...SAY, ...G])).lines, [HI]);
  const two = ['--data', '{"text":"a"}{"text":"b"}', '--json', ...G];
  assert.deepEqual((await runTool(['call', 'demo.Echo/Collect', ...two])).lines, [
    '{"texts":["a","b"],"characters":"2"}',
  ]);
  assert.equal((await runTool(['call', 'demo.Echo/Chat', ...two])).lines.length, 2);
  const times = ['--data', '{"times":3}', '--json', ...G];
  assert.equal((await runTool(['call', 'demo.Echo/Repeat', ...times])).lines.length, 3);
  const failing = ['--data', '{"text":"no","failWith":"PERMISSION_DENIED"}', '--header', 'echo-x-bin: AAE='];
  const failed = await runTool(['call', 'demo.Echo/Say', ...failing, ...G, '--json']);
  assert.equal(failed.exitCode, 1);
  const facts = JSON.parse(failed.stderr) as { statusNumber: number; trailers: object };
  assert.deepEqual([facts.statusNumber, facts.trailers], [7, { 'echo-x-bin': 'AAE=' }]);
  const bench = await runTool(['bench', ...SAY, ...G, '--requests', '20']);
  assert.equal((JSON.parse(bench.lines.at(-1)!) as { calls: number }).calls, 20);
});

test('a server without reflection is told to need --proto, and is called with it', async (t) => {
  const { target } = await startServer(t, { services: echoAlone() });
  const blind = await runTool(['call', ...SAY, '--target', target]);
  assert.equal(blind.exitCode, 1);
  assert.match(blind.stderr, /the server has no reflection service: name its \.proto files with --proto/);
  const seeing = await runTool(['call', ...SAY, '--target', target, '--proto', PROTO]);
  assert.deepEqual(seeing.lines, [HI]);
});

test('a token is read from its file; without one the server turns the tool away', async (t) => {
  const tokens = [{ token: 'sesame', name: 'ali' }];
  const { target } = await startServer(t, { services: demoModule(), tokens });
  const file = path.join(temporaryFolder(t), 'token');
  writeFileSync(file, 'sesame\n');
  assert.deepEqual((await runTool(['call', ...SAY, '--target', target, '--token-file', file])).lines, [HI]);
  const refused = await runTool(['call', ...SAY, '--target', target]);
  assert.equal(refused.exitCode, 1);
  assert.match(refused.stderr, /UNAUTHENTICATED/);
});

test('over mutual TLS the tool shows its certificate and checks the server’s', async (t: TestContext) => {
  const tls = { cert: SERVER_CERT, key: SERVER_KEY, ca: AUTHORITY };
  const { target } = await startServer(t, { services: demoModule(), tls });
  const folder = temporaryFolder(t);
  const files = { 'ca.pem': AUTHORITY, 'cert.pem': CLIENT_CERT, 'key.pem': CLIENT_KEY };
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
  const ours = ['--tls-cert', path.join(folder, 'cert.pem'), '--tls-key', path.join(folder, 'key.pem')];
  const theirs = ['--tls-ca', path.join(folder, 'ca.pem')];
  const call = (...flags: string[]) => runTool(['call', ...SAY, '--target', target, ...flags]);
  assert.deepEqual((await call(...ours, ...theirs)).lines, [HI]);
  assert.deepEqual((await call(...ours, ...theirs, '--tls-server-name', 'localhost')).lines, [HI]);
  for (const wrong of [
    await call(...ours, '--tls'),
    await call(...ours, ...theirs, '--tls-server-name', 'else'),
  ]) {
    assert.equal(wrong.exitCode, 3, wrong.stderr);
    assert.match(wrong.stderr, /RPC_CONNECT_FAILED.*(certificate|altnames)/);
  }
});

test('a service is found through the registry', async (t) => {
  const { server, target } = await startServer(t, { services: demoModule() });
  const logger = await createLogger({ level: 'silent' });
  const registry = await RegistryServer.start(logger, { host: '127.0.0.1', port: 0 });
  t.after(() => registry.close(0));
  const addresses = registry.addresses.rpc;
  const client = connectRegistry(addresses);
  t.after(() => client.close());
  const registration = client.register({
    host: '127.0.0.1',
    port: (server.address as { port: number }).port,
    services: [{ service: 'demo.Echo' }],
  });
  await registration.registered();
  const through = ['--target', 'registry:demo.Echo', '--registry', addresses];
  assert.deepEqual((await runTool(['call', ...SAY, ...through])).lines, [HI]);
  assert.deepEqual((await runTool(['call', ...SAY, '--target', target])).lines, [HI]);
  const away = ['--target', 'registry:demo.Nobody', '--registry', addresses, '--timeout', '1'];
  const nobody = await runTool(['call', ...SAY, ...away, '--proto', PROTO]);
  assert.equal(nobody.exitCode, 3, nobody.stderr);
});

test('details of an error are JSON where their type is known, base64 where not', () => {
  const types = loadProto(PROTO);
  const reply = types.messageType('demo.SayReply');
  const encoded = reply.codec('protobuf').encode({ text: 'why', number: 2 });
  const value = new Uint8Array(encoded.bytes);
  encoded.writeTo(value, 0);
  const error = new RpcError('RPC_ABORTED', 'no', {
    details: [
      { typeUrl: 'type.googleapis.com/demo.SayReply', value },
      { typeUrl: 'type.googleapis.com/demo.Other', value: Uint8Array.of(1, 2) },
      { typeUrl: 'type.googleapis.com/demo.SayReply', value: Uint8Array.of(0xff) },
    ],
    trailers: Metadata.from({ a: ['1', '2'] }),
  });
  const { details, trailers } = failureFacts(error, types);
  assert.deepEqual(details, [
    { '@type': 'type.googleapis.com/demo.SayReply', text: 'why', number: 2 },
    { '@type': 'type.googleapis.com/demo.Other', base64: 'AQI=' },
    { '@type': 'type.googleapis.com/demo.SayReply', base64: '/w==' },
  ]);
  assert.deepEqual(trailers, { a: ['1', '2'] });
});
