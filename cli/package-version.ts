// The version of this program, as its package.json has it.
// main.ts prints it for --version; a KV member tells it in its status.

import { readFileSync } from 'node:fs';

export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  // Our own package.json, which npm does not accept without a version.
  return (JSON.parse(text) as { version: string }).version;
}
