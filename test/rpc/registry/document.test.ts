import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { RegistryMetrics } from '../../../rpc/registry/metrics.js';
import { codeBlocksOf, compileProject } from '../../support/document-code.js';
import { openStore } from './support.js';

test('what docs/rpc-registry.md shows compiles', async (t) => {
  const blocks = await codeBlocksOf('docs/rpc-registry.md');
  const named = blocks.map((block, index) => `// ${['server', 'client'][index]}.ts\n${block}`);
  assert.equal(named.length, 2);
  await compileProject(t, named);
});

test('docs/rpc-registry.md lists every metric of the registry', async (t) => {
  const { store } = openStore(t);
  const metrics = new RegistryMetrics(() => ({ ...store.figures(), snapshots: 0, snapshotFailures: 0 }));
  const text = readFileSync(new URL('../../../../docs/rpc-registry.md', import.meta.url), 'utf8');
  const names = [...(await metrics.render()).matchAll(/^# TYPE reactor_net_registry_(\S+)/gm)];
  assert(names.length > 12);
  for (const [, name] of names) assert(text.includes(`\`${name}`), `${name} is not described`);
});
