// docs/render-client.md: its flags are those that there are, its program runs, its lights can be read.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { RENDER_CLIENT_COMMANDS } from '../../../cli/render-client-command.js';
import { readLightSets } from '../../../cli/render-lights-file.js';
import { codeBlocksOf, compileProject } from '../../support/document-code.js';
import { ScriptedMain } from '../support/scripted-main.js';

const PAGE = 'docs/render-client.md';
const TEXT = readFileSync(new URL(`../../../../${PAGE}`, import.meta.url), 'utf8');

test('the page lists every flag of every command and none that does not exist', () => {
  const flags = RENDER_CLIENT_COMMANDS.flatMap((command) => command.flags);
  for (const { flag } of flags) assert(TEXT.includes(`\`--${flag}`), `--${flag} is not described`);
  const known = new Set(['config', ...flags.map(({ flag }) => flag)]);
  for (const [, flag] of TEXT.matchAll(/`--([a-z][a-z0-9-]*)/g))
    assert(known.has(flag!), `--${flag} does not exist`);
  for (const { words } of RENDER_CLIENT_COMMANDS)
    assert(TEXT.includes(words[1]!), `${words.join(' ')} is missing`);
});

test('its driver asks a main node for three images', async (t) => {
  const main = await ScriptedMain.start(t);
  const folder = await compileProject(t, await codeBlocksOf(PAGE));
  const { stdout } = await promisify(execFile)(process.execPath, [
    path.join(folder, 'driver.js'),
    main.target,
  ]);
  assert.equal(stdout, '0 4096\n1 4096\n2 4096\n3\n');
});

test('its lights are two sets of two', () => {
  const [, yaml = ''] = /^```yaml\n([^]*?)^```$/m.exec(TEXT) ?? [];
  const sets = readLightSets(yaml, 'lights.yaml');
  assert.deepEqual([sets.length, sets[1]], [2, [0x80fff0c8, 0x283060ff]]);
});
