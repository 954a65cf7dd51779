// How the parts of a farm reach each other: over TLS, each with a certificate of its own, and through a registry.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { FarmClient, RenderDriver } from '../../render/index.js';
import { AUTHORITY, CLIENT_CERT, CLIENT_KEY, SERVER_CERT, SERVER_KEY } from '../support/certificates.js';
import { Command } from '../support/command.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { eventually, startMain, workerNames } from './support/farm-processes.js';

const SIZE = { width: 4, height: 3, samples: 1 };
const RENDERERS = ['--min', '1', '--max', '1', '--builtin-instant', '--json'];

function files(t: TestContext): Record<'ca' | 'cert' | 'key' | 'clientCert' | 'clientKey', string> {
  const folder = temporaryFolder(t);
  const write = (name: string, text: string): string => {
    const file = path.join(folder, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  return {
    ca: write('ca.pem', AUTHORITY),
    cert: write('cert.pem', SERVER_CERT),
    key: write('key.pem', SERVER_KEY),
    clientCert: write('client.pem', CLIENT_CERT),
    clientKey: write('client.key', CLIENT_KEY),
  };
}

async function renders(driver: RenderDriver, images: number): Promise<void> {
  const { rendered, missing } = await driver.render({ ...SIZE, images }).outcome();
  assert.deepEqual([rendered, missing], [images, 0]);
}

test('with an authority everybody shows a certificate, both ways, and who has none gets nowhere', async (t) => {
  const { ca, cert, key, clientCert, clientKey } = files(t);
  const tls = ['--tls-cert', cert, '--tls-key', key, '--tls-ca', ca];
  const { target } = await startMain(t, ...tls);
  const worker = new Command(t, [
    'render',
    'worker',
    '--main',
    target,
    '--listen',
    '127.0.0.1:0',
    ...RENDERERS,
    ...tls,
  ]);
  await worker.ready();
  await using driver = await RenderDriver.connect({
    main: target,
    tls: { caFile: ca, certFile: clientCert, keyFile: clientKey },
  });
  await renders(driver, 20);
  const strangers = [
    { main: target, callTimeoutMs: 2000, reconnectMs: 2000 },
    { main: target, callTimeoutMs: 2000, reconnectMs: 2000, tls: { caFile: ca } },
  ];
  for (const options of strangers) {
    const nobody = await RenderDriver.connect(options).then(
      async (connected) => {
        await connected.close();
        return 'connected';
      },
      (error: { code?: string }) => error.code,
    );
    assert.match(nobody ?? '', /^RENDER_(UNAVAILABLE|UNAUTHORIZED)$/);
  }
  await renders(driver, 5);
});

test('a worker node finds its main node through a registry, and the next one after it as well', async (t) => {
  const registry = new Command(t, ['registry', 'serve', '--listen', '127.0.0.1:0', '--json']);
  const known = (await registry.ready()).listen['rpc']!;
  const folder = temporaryFolder(t);
  const flags = ['--registry', known, '--data', folder];
  const first = await startMain(t, ...flags);
  const worker = new Command(t, [
    'render',
    'worker',
    '--registry',
    known,
    '--listen',
    '127.0.0.1:0',
    ...RENDERERS,
  ]);
  await worker.ready();
  {
    await using driver = await RenderDriver.connect({ main: first.target });
    await renders(driver, 10);
  }
  assert.equal(await first.main.stop(), 0);
  const second = await startMain(t, ...flags); // at another port
  const farm = new FarmClient({ main: second.target });
  t.after(() => farm.close());
  await eventually(async () => (await workerNames(farm)).length === 1);
  await using driver = await RenderDriver.connect({ main: second.target });
  await renders(driver, 10);
});
