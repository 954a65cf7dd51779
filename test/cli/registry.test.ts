import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArgs } from '../../cli/args.js';
import type { RegistryServeOptions } from '../../cli/registry-command.js';
import { Command } from '../support/command.js';

async function optionsOf(line: string, environment: NodeJS.ProcessEnv = {}): Promise<RegistryServeOptions> {
  const command = await parseArgs(['registry', 'serve', ...line.split(' ').filter(Boolean)], {
    environment,
    version: '1.2.3',
    columns: 100,
    readFile: (path) => {
      if (path !== 'here') throw new Error(`ENOENT: no such file: ${path}`);
      return '';
    },
  });
  assert(command.kind === 'registry-serve');
  return command.options;
}

test('a registry needs no flag, and its pages are for this machine unless told otherwise', async () => {
  const { listen, http, leaseTtlMs, data, tokenFile } = await optionsOf('');
  assert.deepEqual(
    { listen, http, leaseTtlMs, data, tokenFile },
    { listen: { host: '0.0.0.0', port: 7400 }, http: null, leaseTtlMs: 30_000, data: null, tokenFile: null },
  );
  assert.deepEqual((await optionsOf('--http 7480')).http, { host: '127.0.0.1', port: 7480 });
  assert.equal((await optionsOf('', { REACTOR_NET_LEASE_TTL: '5s' })).leaseTtlMs, 5000);
});

for (const [line, message] of [
  ['--lease-ttl 30', /^--lease-ttl: "30" should be from 1s to 10m; "30s" is 30 seconds$/],
  ['--lease-ttl 1h', /^--lease-ttl: "1h" should be from 1s to 10m$/],
  ['--lost-session-ttl 31s', /^--lost-session-ttl: should not be longer than --lease-ttl$/],
  ['--listen off', /^--listen: a registry needs an address/],
  ['--listen fd:3', /^--listen: should be HOST:PORT, not an inherited socket$/],
  ['--token-file nowhere', /^--token-file: should be a file that can be read: ENOENT/],
  ['--tls-cert here', /^--tls-cert: needs --tls-key as well$/],
  ['--probe maybe', /^--probe: "maybe" should be one of on, off$/],
  ['--lissen 1', /^--lissen: no such flag; did you mean --listen\?/],
] as const) {
  test(`registry serve ${line} says what would be right`, async () => {
    await assert.rejects(optionsOf(line), { name: 'UsageError', message });
  });
}

test('a port that is taken, and a token file that is wrong, end with one line', async (t) => {
  const first = new Command(t, [
    'registry',
    'serve',
    '--listen',
    '127.0.0.1:0',
    '--http',
    '127.0.0.1:0',
    '--json',
  ]);
  const { rpc, http } = (await first.ready()).listen;
  for (const taken of [
    ['--listen', rpc!],
    ['--listen', '127.0.0.1:0', '--http', http!],
  ]) {
    const second = new Command(t, ['registry', 'serve', ...taken]);
    assert.equal(await second.exitCode, 1);
    assert.match(second.stderr, /^reactor-net: .*(in use|EADDRINUSE).*\n$/);
    assert.equal(second.lines.length, 0);
  }
  const url = new URL('../../../package.json', import.meta.url).pathname;
  const wrong = new Command(t, ['registry', 'serve', '--listen', '127.0.0.1:0', '--token-file', url]);
  assert.equal(await wrong.exitCode, 1);
  assert.match(
    wrong.stderr,
    /^reactor-net: .*package\.json: the token file: it must have a list "tokens"\n$/,
  );
  assert.equal(await first.stop(), 0);
});
