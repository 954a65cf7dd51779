import { test } from 'node:test';
import { codeBlocksOf, compileProject } from '../../support/document-code.js';

for (const page of ['docs/kv-client.md', 'docs/kv-recipes.md']) {
  test(`what ${page} shows compiles`, async (t) => {
    await compileProject(t, await codeBlocksOf(page));
  });
}
