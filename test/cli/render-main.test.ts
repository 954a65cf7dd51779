// `render main` on its command line: what cannot be is said in one line that names the flag, before anything listens.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parseArgs } from '../../cli/args.js';
import { Command } from '../support/command.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const WRONG: readonly (readonly [line: string, why: RegExp])[] = [
  ['--listen nowhere', /--listen: "nowhere"/],
  ['--listen off', /--listen: a main node needs an address/],
  ['--http 1.2.3.4', /--http: /],
  ['--drivers 0', /--drivers: "0" should be a whole number from 1/],
  ['--nodes many', /--nodes: "many" should be a whole number/],
  ['--retries 99', /--retries: "99" should be a whole number from 0 to 16/],
  ['--result-memory 2GiB --result-bytes 1GiB', /--result-memory: should not be more than --result-bytes/],
  ['--result-ttl soon', /--result-ttl: "soon"/],
  ['--token-file /nowhere', /--token-file: should be a file/],
  ['--tls-cert /nowhere', /--tls-/],
  ['--advertise here', /--advertise: is for --registry/],
  ['--registry nowhere', /--registry: "nowhere" should be HOST:PORT/],
  ['--kv nowhere', /--kv: "nowhere" should be HOST:PORT/],
  ['--kv 127.0.0.1:1 --kv-name a/b', /--kv-name: "a\/b" should be a name without a slash/],
  ['--kv 127.0.0.1:1 --kv-ttl 10ms', /--kv-ttl: should be 500ms or more/],
  ['--kv 127.0.0.1:1 --kv-tls-cert /nowhere', /--kv-tls-cert: needs --kv-tls-key/],
  ['--kv-token-file /nowhere', /--kv: name members of the KV/],
  ['--log-level loud', /--log-level: "loud"/],
];

for (const [line, why] of WRONG) {
  test(`render main ${line} says what would be right`, async () => {
    const readFile = (file: string): never => {
      throw new Error(`ENOENT: no such file: ${file}`);
    };
    const context = { environment: {}, version: '1.2.3', columns: 100, readFile };
    await assert.rejects(parseArgs(['render', 'main', ...line.split(' ')], context), why);
  });
}

test('what is found out only when it starts names its flag as well, and ends with 1 or 2', async (t) => {
  const folder = temporaryFolder(t);
  const first = new Command(t, ['render', 'main', '--listen', '127.0.0.1:0', '--data', folder, '--json']);
  const { listen } = await first.ready();
  const empty = path.join(folder, 'empty');
  writeFileSync(empty, '\n');
  const cases: readonly (readonly [args: string[], why: RegExp])[] = [
    [['--listen', listen['rpc']!], /--listen: .*in use/],
    [['--listen', '127.0.0.1:0', '--data', folder], /--data: .*LOCK is held by/],
    [['--listen', '127.0.0.1:0', '--grpc', listen['rpc']!], /--grpc: /],
    [['--listen', '127.0.0.1:0', '--http', listen['rpc']!], /--http: /],
    [['--listen', '127.0.0.1:0', '--token-file', empty], /--token-file: .*is empty/],
  ];
  for (const [args, why] of cases) {
    const command = new Command(t, ['render', 'main', '--log-level', 'silent', ...args]);
    assert([1, 2].includes((await command.exitCode) ?? 0), args.join(' '));
    const [ours, ...more] = command.stderr.split('\n').filter((line) => line.startsWith('reactor-net: '));
    assert.match(ours ?? '', why);
    assert.deepEqual(more, []);
  }
  assert.equal(await first.stop(), 0);
});
