// The package's own door. Each layer has its door: reactor-net/reactor, reactor-net/addon.
import { readFileSync } from 'node:fs';

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** Version of this package, as in its package.json. */
export const version: string = manifest.version;
