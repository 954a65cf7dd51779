// Folders that tests write to and leave nothing of.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A new folder that is gone after the test. */
export function temporaryFolder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'reactor-net-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

/** Where a Unix socket may be made; gone after the test, whoever left it there. */
export function temporarySocketPath(t: TestContext): string {
  return join(temporaryFolder(t), 'socket');
}
