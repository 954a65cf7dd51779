// docs/raft.md against the code: its driver is compiled and run, and every error code, input and effect is named.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { codeBlocksOf, compileProject } from '../../support/document-code.js';
import { runScript } from '../../support/script.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const DOCUMENT = readFileSync(path.join(ROOT, 'docs/raft.md'), 'utf8');

test('the driver that docs/raft.md shows compiles, and its three members read 42', async (t) => {
  const folder = await compileProject(t, await codeBlocksOf('docs/raft.md'));
  const outcome = await runScript(pathToFileURL(path.join(folder, 'counter.js')), [], 10_000);
  assert.equal(outcome.stderr, '');
  const lines = outcome.stdout.trim().split('\n').toSorted();
  assert.deepEqual(
    lines,
    [1, 2, 3].map((id) => `member ${id} reads 42`),
  );
});

test('docs/raft.md names every error code and every effect', () => {
  const errors = readFileSync(path.join(ROOT, 'kv/raft/errors.ts'), 'utf8');
  const effects = readFileSync(path.join(ROOT, 'kv/raft/effects.ts'), 'utf8');
  const codes = Array.from(errors.matchAll(/\| '(KV_RAFT_\w+)'/g), (match) => match[1]!);
  const kinds = Array.from(effects.matchAll(/readonly kind: '([\w-]+)'/g), (match) => match[1]!);
  assert(codes.length > 15 && kinds.length > 10);
  for (const name of [...codes, ...kinds])
    assert(DOCUMENT.includes(`\`${name}\``), `${name} is not described`);
});
