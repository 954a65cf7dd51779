// Wrong usage of the commands that run a farm, as a shell sees it: exit code 2, nothing on standard output, and one line on
// standard error that names the flag.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { SERVER_CERT } from '../../support/certificates.js';
import { Command } from '../../support/command.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const EXIT_USAGE = 2;
const AT_ONCE = 4;
const WORKER = ['worker', '--main', '127.0.0.1:1'];

const WRONG: readonly (readonly [args: readonly string[], why: RegExp])[] = [
  [['main', '--lisen', '127.0.0.1:0'], /--lisen.*--listen/],
  [['main', '--listen', '127.0.0.1:99999'], /--listen: /],
  [['main', '--listen'], /--listen/],
  [['main', '--result-ttl', '-1s'], /--result-ttl: /],
  [['main', '--drivers', '1.5'], /--drivers: "1\.5" should be a whole number/],
  [['main', '--tls-key', '/nowhere'], /--tls-key: /],
  [['main', 'everything'], /everything/],
  [['main', '--workers', '2'], /--workers/],
  [['worker'], /--main: say where the main node is/],
  [[...WORKER, '--min', 'two'], /--min: "two" should be a whole number/],
  [[...WORKER, '--min', '4', '--max', '2'], /--max: should be at least --min/],
  [[...WORKER, '--weight', '-3'], /--weight: /],
  [[...WORKER, '--smoothing', 'hard'], /--smoothing: "hard" should be one of/],
  [[...WORKER, '--cool-down', 'soon'], /--cool-down: "soon"/],
  [[...WORKER, '--scene-bytes', 'much'], /--scene-bytes: "much"/],
  [[...WORKER, '--tls-ca', '/nowhere'], /--tls-/],
  [[...WORKER, '--maxx', '3'], /--maxx/],
];

test('bad flags of render main and render worker end with 2 and one line', async (t) => {
  const folder = temporaryFolder(t);
  const file = path.join(folder, 'cert.pem');
  writeFileSync(file, SERVER_CERT);
  const config = path.join(folder, 'farm.yaml');
  writeFileSync(config, 'drivers: many\n');
  const cases: readonly (readonly [readonly string[], RegExp, NodeJS.ProcessEnv?])[] = [
    ...WRONG,
    [['main', '--tls-cert', file], /--tls-cert: needs --tls-key/],
    [['main', '--config', config], /drivers.*"many" should be a whole number/],
    [['main'], /REACTOR_NET_NODES.*"none"/, { REACTOR_NET_NODES: 'none' }],
    [['worker', '--token-file', folder, '--main', '127.0.0.1:1'], /--token-file: /],
  ];
  const left = [...cases];
  const runOne = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [args, why, environment = {}] = next;
      const command = new Command(t, ['render', ...args, '--log-level', 'silent'], environment);
      const exitCode = await command.exitCode;
      const told = `render ${args.join(' ')}: ${exitCode}\n${command.stderr}`;
      assert.equal(exitCode, EXIT_USAGE, told);
      assert.match(command.stderr, why, told);
      assert.match(command.stderr, /^reactor-net: [^\n]+\n$/, told);
      assert.deepEqual(command.lines, [], told);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, runOne));
});
