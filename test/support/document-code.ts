// The TypeScript a document shows, made into programs that can be compiled and run as a reader would.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const TSC = path.join(ROOT, 'node_modules/typescript/bin/tsc');

/** A reader's strictest settings. */
const TSCONFIG = {
  compilerOptions: {
    module: 'nodenext',
    target: 'es2023',
    types: ['node'],
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    verbatimModuleSyntax: true,
  },
};

/** The ```ts blocks of a document, in order. */
export async function codeBlocksOf(document: string): Promise<readonly string[]> {
  const text = await readFile(path.join(ROOT, document), 'utf8');
  return Array.from(text.matchAll(/^```ts\n([^]*?)^```$/gm), (match) => match[1]!);
}

/** The name a block gives itself in its first line, `// server.ts`. */
export function fileNameOf(block: string): string | undefined {
  return /^\/\/ ([a-z-]+\.ts)\b/.exec(block)?.[1];
}

/** Lines of a block that a reader has to type. */
export function lineCount(block: string): number {
  return block.split('\n').filter((line) => line !== '').length;
}

/**
 * Compiles named blocks in an empty project that has this package installed. Returns its folder, which is
 * removed when the test ends.
 */
export async function compileProject(t: TestContext, blocks: readonly string[]): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'reactor-net-document-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await mkdir(path.join(folder, 'node_modules'));
  await symlink(ROOT, path.join(folder, 'node_modules/reactor-net'));
  await symlink(path.join(ROOT, 'node_modules/@types'), path.join(folder, 'node_modules/@types'));
  await writeFile(path.join(folder, 'package.json'), '{"type":"module"}');
  await writeFile(path.join(folder, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  for (const block of blocks) {
    const name = fileNameOf(block);
    assert(name !== undefined, `the block names its file in the first line:\n${block}`);
    await writeFile(path.join(folder, name), block);
  }
  await promisify(execFile)(process.execPath, [TSC, '-p', folder]).catch((error: { stdout: string }) => {
    assert.fail(`the example does not compile:\n${error.stdout}`);
  });
  return folder;
}

/** Gives a compiled program of the project another port than the document shows. */
export async function setPort(folder: string, program: string, port: number): Promise<void> {
  const file = path.join(folder, program);
  const source = await readFile(file, 'utf8');
  assert.match(source, /port: \d+/);
  await writeFile(file, source.replace(/port: \d+/, `port: ${port}`));
}
