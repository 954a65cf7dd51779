// TLS by which clients know the main node and nobody shows a certificate of his own: a farm behind a certificate that the
// machine's authorities vouch for.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { addonMissingReason } from '../../addon/index.js';
import { Code, FarmClient, RenderDriver, RenderError } from '../../render/index.js';
import { AUTHORITY, SERVER_CERT, SERVER_KEY } from '../support/certificates.js';
import { Command } from '../support/command.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const missing = process.platform === 'linux' ? addonMissingReason() : 'renderers need Linux';
const SIZE = { width: 4, height: 3, samples: 1 };
const LOCAL = '127.0.0.1:0';

test('without --tls-ca a main node asks for no certificate; drivers and worker nodes look at its own, and turn from others', {
  skip: missing ?? false,
}, async (t) => {
  const folder = temporaryFolder(t);
  const write = (name: string, text: string): string => {
    const file = path.join(folder, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  const ca = write('ca.pem', AUTHORITY);
  const tls = ['--tls-cert', write('cert.pem', SERVER_CERT), '--tls-key', write('key.pem', SERVER_KEY)];
  const vouched = { NODE_EXTRA_CA_CERTS: ca };
  const main = new Command(t, ['render', 'main', '--listen', LOCAL, ...tls, '--json'], vouched);
  const target = (await main.ready()).listen['rpc']!;
  const worker = (environment: NodeJS.ProcessEnv, ...flags: string[]): Command => {
    const renderers = ['--min', '1', '--max', '1', '--builtin-instant', '--json'];
    const where = ['--main', target, '--listen', LOCAL];
    return new Command(t, ['render', 'worker', ...where, ...renderers, ...tls, ...flags], environment);
  };
  await worker(vouched).ready();

  await using driver = await RenderDriver.connect({ main: target, tls: { caFile: ca } });
  const { code, results } = await driver.render({ ...SIZE, images: 12 }).outcome();
  assert.deepEqual([code, results.length], [Code.OK, 12]);
  await using farm = new FarmClient({ main: target, tls: { caFile: ca } });
  assert.equal((await farm.workers()).length, 1);
  const submit = ['--images', '2', '--size', '4x3', '--out', path.join(folder, 'out')];
  const person = new Command(t, ['render', 'submit', '--main', target, '--tls-ca', ca, ...submit]);
  assert.equal(await person.exitCode, 0, person.stderr);

  // To those who know no authority for it, under another name, and without TLS it is nobody.
  for (const [why, given] of [
    [/self-signed certificate|unable to verify the first certificate/, { tls: {} }],
    [/does not match certificate's altnames/, { tls: { caFile: ca, serverName: 'elsewhere.test' } }],
    [/./, {}],
  ] as const) {
    const options = { main: target, callTimeoutMs: 2000, ...given };
    await using people = new FarmClient(options);
    for (const call of [() => RenderDriver.connect(options), () => people.jobs()])
      await assert.rejects(call, (error) => isUnreached(error) && why.test(error.message));
  }
  const lost = worker({}, '--connect-timeout', '2s', '--log-level', 'silent');
  assert.equal(await lost.exitCode, 3);
  assert.match(lost.stderr, /^reactor-net: --main: .*\n$/);
  assert.equal((await farm.workers()).length, 1);
});

function isUnreached(error: unknown): error is RenderError {
  return error instanceof RenderError && error.code === 'RENDER_UNAVAILABLE';
}
