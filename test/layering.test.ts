// Nothing imports upward, and a neighbouring layer is entered by its door. Tests and examples may look inside.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** What each layer may import besides itself; the longest matching folder is a file's layer. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  addon: [],
  'addon/jbus': ['addon'],
  reactor: ['addon'],
  rpc: ['reactor', 'addon'],
  'kv/raft': [],
  kv: ['kv/raft', 'rpc', 'reactor', 'addon'],
  render: ['kv', 'rpc', 'reactor', 'addon/jbus', 'addon'],
};

/** Doors of their own, so that only who wants what is behind them loads it. */
const OTHER_DOORS: ReadonlySet<string> = new Set(['rpc/grpc/index.js']);

test('no file imports a layer above its own, or a neighbour past its door', () => {
  assert.deepEqual(violations(MAY_IMPORT), []);
});

test('a planted upward import and a planted look behind a door are both found', () => {
  assert.deepEqual(violationsOf(MAY_IMPORT, 'addon/index.ts', ['../reactor/index.js']), [
    'addon/index.ts imports ../reactor/index.js: addon may not import reactor',
  ]);
  assert.deepEqual(violationsOf(MAY_IMPORT, 'reactor/waker.ts', ['../addon/native.js']), [
    'reactor/waker.ts imports ../addon/native.js: addon is entered by addon/index.js',
  ]);
  assert.deepEqual(violationsOf(MAY_IMPORT, 'kv/raft/core.ts', ['node:fs']), [
    'kv/raft/core.ts imports node:fs: kv/raft is pure',
  ]);
});

test('every layer that the rule names and that exists was read', () => {
  const layers = new Set(sourceFiles().map(layerOf));
  for (const layer of Object.keys(MAY_IMPORT)) {
    if (existsSync(path.join(ROOT, layer))) assert(layers.has(layer), `${layer} has source files`);
  }
});

function violations(rule: typeof MAY_IMPORT): string[] {
  return sourceFiles().flatMap((file) =>
    violationsOf(rule, file, importsOf(readFileSync(path.join(ROOT, file), 'utf8'))),
  );
}

function violationsOf(rule: typeof MAY_IMPORT, file: string, imports: readonly string[]): string[] {
  const layer = layerOf(file);
  return imports.flatMap((specifier) => {
    if (!specifier.startsWith('.')) {
      return layer === 'kv/raft' ? [`${file} imports ${specifier}: ${layer} is pure`] : [];
    }
    const target = path.posix.join(path.posix.dirname(file), specifier);
    const targetLayer = layerOf(target);
    if (targetLayer === layer) return [];
    if (!(rule[layer] ?? []).includes(targetLayer)) {
      return [`${file} imports ${specifier}: ${layer} may not import ${targetLayer || 'the root'}`];
    }
    const door = `${targetLayer}/index.js`;
    return target === door || OTHER_DOORS.has(target)
      ? []
      : [`${file} imports ${specifier}: ${targetLayer} is entered by ${door}`];
  });
}

function sourceFiles(): string[] {
  const tops = new Set(Object.keys(MAY_IMPORT).map((layer) => layer.split('/')[0]!));
  return [...tops]
    .filter((top) => existsSync(path.join(ROOT, top)))
    .flatMap((top) =>
      readdirSync(path.join(ROOT, top), { recursive: true, encoding: 'utf8' })
        .filter((name) => /\.tsx?$/.test(name))
        .map((name) => `${top}/${name}`),
    );
}

function layerOf(file: string): string {
  const matches = Object.keys(MAY_IMPORT).filter((layer) => file.startsWith(`${layer}/`));
  return matches.toSorted((a, b) => b.length - a.length)[0] ?? '';
}

/** Static, re-exporting, type-only and dynamic imports with a literal specifier, and workers by URL. */
function importsOf(source: string): string[] {
  const pattern = /(?:\bfrom\s*|\bimport\s*\(?\s*|new URL\(\s*)['"]([^'"\n]+)['"]/g;
  const found = [...source.matchAll(pattern)].map((match) => match[1]!);
  return found.filter((specifier) => specifier.endsWith('.js') || !specifier.startsWith('.'));
}
