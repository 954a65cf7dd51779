// `reactor-net rpc generate` and `rpc check`, as a script would use them.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { main } from '../../cli/main.js';
import { temporaryFolder } from '../support/temporary-folder.js';

interface Outcome {
  readonly exitCode: number;
  readonly lines: readonly string[];
  readonly errors: readonly string[];
}

async function rpc(...args: readonly string[]): Promise<Outcome> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const exitCode = await main(['rpc', ...args], { stdout, stderr, environment: {} });
  return { exitCode, lines: linesOf(stdout), errors: linesOf(stderr) };
}

function linesOf(stream: PassThrough): string[] {
  return String(stream.read() ?? '')
    .split('\n')
    .filter((line) => line !== '');
}

function folderOf(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder(t);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  return folder;
}

const A = 'syntax = "proto3"; package p; message A { int64 id = 1; string name = 2; }';

test('generate writes what differs, says so, and --check fails until it is written', async (t) => {
  const folder = folderOf(t, { 'proto/api/a.proto': A });
  const file = path.join(folder, 'proto/api/a.proto');
  const out = path.join(folder, 'gen');
  const module = path.join(out, 'api/a.ts');
  const flags = ['--out', out, '--import-path', path.join(folder, 'proto')];
  assert.deepEqual(await rpc('generate', file, ...flags, '--check'), {
    exitCode: 1,
    lines: [`stale ${module}`],
    errors: [],
  });
  assert.deepEqual(await rpc('generate', file, ...flags), {
    exitCode: 0,
    lines: [`written ${module}`],
    errors: [],
  });
  assert.match(readFileSync(module, 'utf8'), /id: bigint;/);
  const again = await rpc('generate', file, ...flags, '--check', '--json');
  assert.equal(again.exitCode, 0);
  assert.deepEqual(JSON.parse(again.lines[0]!), { event: 'unchanged', file: module });
  const changed = await rpc('generate', file, ...flags, '--int64', 'string', '--json');
  assert.deepEqual(
    changed.lines.map((line) => JSON.parse(line) as unknown),
    [{ event: 'written', file: module }],
  );
  assert.match(readFileSync(module, 'utf8'), /id: string;/);
});

test('a .proto that is wrong ends generate with its file and line', async (t) => {
  const folder = folderOf(t, { 'a.proto': 'syntax = "proto3";\nmessage A { B b = 1; }' });
  const { exitCode, errors } = await rpc('generate', path.join(folder, 'a.proto'), '--out', folder);
  assert.equal(exitCode, 1);
  assert.deepEqual(errors, ['reactor-net: a.proto:2: no such type: B']);
});

test('check compares with a folder or a file, prints both places, and exits 1 for incompatible changes', async (t) => {
  const folder = folderOf(t, {
    'old/a.proto': A,
    'new/a.proto': 'syntax = "proto3"; package p;\nmessage A {\n  int64 id = 1;\n  reserved "name";\n}',
    'new/b.proto': 'syntax = "proto3"; package p; message B {}',
  });
  const old = path.join(folder, 'old');
  const files = [path.join(folder, 'new/a.proto'), path.join(folder, 'new/b.proto')];
  const line =
    'a.proto:2: incompatible: p.A.name: is gone, and its number 2 is not reserved [field-removed] (was a.proto:1)';
  assert.deepEqual(await rpc('check', ...files, '--against', old), {
    exitCode: 1,
    lines: [line, '1 incompatible, 0 warnings'],
    errors: [],
  });
  assert.deepEqual((await rpc('check', files[0]!, '--against', path.join(old, 'a.proto'))).lines[0], line);
  const { lines } = await rpc('check', files[0]!, '--against', old, '--json');
  assert.deepEqual(JSON.parse(lines[0]!), {
    event: 'change',
    kind: 'field-removed',
    severity: 'incompatible',
    name: 'p.A.name',
    message: 'is gone, and its number 2 is not reserved',
    oldPlace: { file: 'a.proto', line: 1 },
    newPlace: { file: 'a.proto', line: 2 },
  });
  assert.deepEqual(JSON.parse(lines[1]!), { event: 'checked', incompatible: 1, warnings: 0 });
  assert.equal((await rpc('check', files[1]!, '--against', old)).exitCode, 0, 'a new file breaks nobody');
});

test('what is missing on the command line is said in one line, with exit code 2', async (t) => {
  const folder = folderOf(t, { 'a.proto': A });
  const file = path.join(folder, 'a.proto');
  const cases: readonly [readonly string[], RegExp][] = [
    [['generate', file], /--out: name the folder to write to$/],
    [['generate'], /name a file: a \.proto file/],
    [
      ['generate', file, '--out', folder, '--int64', 'number'],
      /--int64: "number" should be one of bigint, string/,
    ],
    [['check', file], /--against: name the older/],
    [['check', file, '--against', '/nowhere'], /--against: there is no file or folder "\/nowhere"/],
    [[], /name a verb of rpc: /],
  ];
  for (const [args, text] of cases) {
    const { exitCode, errors } = await rpc(...args);
    assert.equal(exitCode, 2, args.join(' '));
    assert.equal(errors.length, 1);
    assert.match(errors[0]!, text);
  }
});
