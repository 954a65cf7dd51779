// `npm run soak:jbus -- [part…] [--messages N] [--seed S]`: what the suite shows in small, at full size.
// Each part ends by itself or throws; the seed it prints is all it takes to run it again.

import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { type DeathReport, killOwners, killPeers } from './support/channel-deaths.js';
import { exchangeWithNode, passLargeMessage, pingWithNaps } from './support/channel-endurance.js';
import { exchangeWithPython } from './support/python-exchange.js';

interface SoakOptions {
  /** In each direction. */
  readonly messages: number;
  readonly seed: number;
}

const RING_BYTES = 64 * 1024;
const USAGE = 'usage: npm run soak:jbus -- [part…] [--messages N] [--seed S]';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const RINGS = { backing: 'sysv', capacityOut: RING_BYTES, capacityIn: RING_BYTES } as const;
const DEATHS = 500;
const TOLD_MS_WANTED = 100;

/** What a part returns is printed. */
const PARTS: Readonly<Record<string, (options: SoakOptions) => Promise<unknown>>> = {
  /** The same between two Node processes over a channel. */
  node: ({ messages, seed }) => exchangeWithNode({ count: messages, bytesMax: 3 * RING_BYTES, seed }, RINGS),
  /** One message of 1 GiB through a ring of 1 MiB. */
  large: () => passLargeMessage(GIB, { ...RINGS, capacityOut: MIB }),
  /** Question and answer a million times, each side late by chance. */
  naps: ({ messages, seed }) => pingWithNaps(Math.ceil(messages / 10), seed, RINGS),
  /** Either side of a channel killed 500 times, half of them in mid-write; build the addon with --stop-at-step first. */
  deaths: async ({ seed }) => {
    const options = { rounds: DEATHS / 2, seed, stoppingAddon: STOPPING_ADDON };
    return [summary('peers', await killPeers(options)), summary('owners', await killOwners(options))];
  },
  /** Messages with checksums between Node and Python, both directions at once, the largest of three rings. */
  python: ({ messages, seed }) =>
    exchangeWithPython({ count: messages, capacity: RING_BYTES, bytesMax: 3 * RING_BYTES, seed }),
};

const STOPPING_ADDON = fileURLToPath(new URL('../../../build-stop/Debug/reactor_net.node', import.meta.url));

function summary(who: string, { toldMs, inMidWrite, messages }: DeathReport): string {
  const sorted = toldMs.toSorted((a, b) => a - b);
  const at = (part: number): string => sorted[Math.floor(part * (sorted.length - 1))]!.toFixed(1);
  const inTime = sorted.filter((ms) => ms <= TOLD_MS_WANTED).length;
  const told = `told after ${at(0.5)} ms, ${inTime} within ${TOLD_MS_WANTED} ms, at most ${at(1)} ms`;
  return `${sorted.length} ${who} killed, ${inMidWrite} in mid-write, ${told}; ${messages} messages, none torn`;
}

async function main(args: readonly string[], log: (line: string) => void): Promise<void> {
  const { names, options } = parsed(args);
  for (const name of names) {
    log(`${name}: ${options.messages} messages each way, seed ${options.seed}`);
    const startMs = performance.now();
    const result = await PARTS[name]!(options); // parsed() let only names of parts through
    if (result !== undefined) log(`${name}: ${JSON.stringify(result)}`);
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
