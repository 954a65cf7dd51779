// `npm run soak:jbus -- [part…] [--messages N] [--seed S]`: what the suite shows in small, at full size.
// Each part ends by itself or throws; the seed it prints is all it takes to run it again.

import { parseArgs } from 'node:util';

import { exchangeWithPython } from './support/python-exchange.js';

interface SoakOptions {
  /** In each direction. */
  readonly messages: number;
  readonly seed: number;
}

const RING_BYTES = 64 * 1024;
const USAGE = 'usage: npm run soak:jbus -- [part…] [--messages N] [--seed S]';

const PARTS: Readonly<Record<string, (options: SoakOptions) => Promise<void>>> = {
  /** Messages with checksums between Node and Python, both directions at once, the largest of three rings. */
  python: ({ messages, seed }) =>
    exchangeWithPython({ count: messages, capacity: RING_BYTES, bytesMax: 3 * RING_BYTES, seed }),
};

async function main(args: readonly string[], log: (line: string) => void): Promise<void> {
  const { names, options } = parsed(args);
  for (const name of names) {
    log(`${name}: ${options.messages} messages each way, seed ${options.seed}`);
    const startMs = performance.now();
    await PARTS[name]!(options); // parsed() let only names of parts through
    log(`${name}: passed in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  }
}

function parsed(args: readonly string[]): { names: readonly string[]; options: SoakOptions } {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { messages: { type: 'string', default: '10000000' }, seed: { type: 'string' } },
    allowPositionals: true,
  });
  const messages = Number(values.messages);
  const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
  const unknown = positionals.find((name) => !Object.hasOwn(PARTS, name));
  if (unknown !== undefined)
    throw new TypeError(`no part ${unknown}; there are ${Object.keys(PARTS).join(', ')}`);
  if (!Number.isInteger(messages) || messages < 1) throw new TypeError('--messages is a whole number from 1');
  if (!Number.isInteger(seed)) throw new TypeError('--seed is a whole number');
  return { names: positionals.length > 0 ? positionals : Object.keys(PARTS), options: { messages, seed } };
}

try {
  await main(process.argv.slice(2), console.log);
} catch (error) {
  console.error(error instanceof TypeError ? `${error.message}\n${USAGE}` : error);
  process.exitCode = 1;
}
