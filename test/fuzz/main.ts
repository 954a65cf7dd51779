// `npm run fuzz -- [frames|rpc|rpc-sockets|resp] [--seconds N] [--seed S]`: fuzz rounds until the time is up or one fails.
// Round i runs from seed S + i alone, so the seed that a failure prints is all it takes to see it again.

import { parseArgs } from 'node:util';
import { fuzzFrames } from './frame-fuzz.js';
import { fuzzRpc } from './rpc-fuzz.js';
import { fuzzResp } from './resp-fuzz.js';
import { fuzzRpcSockets } from './rpc-socket-fuzz.js';
import { SeededRandom } from '../support/seeded-random.js';

const USAGE = 'usage: npm run fuzz -- [frames|rpc|rpc-sockets|resp] [--seconds N] [--seed S]';
const TARGETS: Readonly<Record<string, (random: SeededRandom) => void | Promise<void>>> = {
  frames: fuzzFrames,
  rpc: fuzzRpc,
  'rpc-sockets': fuzzRpcSockets,
  resp: fuzzResp,
};

async function main(args: readonly string[], log: (line: string) => void): Promise<number> {
  const { target, seconds, firstSeed } = parsed(args);
  const endMs = performance.now() + seconds * 1000;
  let rounds = 0;
  let stray: unknown = null;
  const onStray = (error: unknown): void => {
    stray ??= error ?? new Error('something was thrown that nobody caught');
  };
  process.on('uncaughtException', onStray).on('unhandledRejection', onStray);
  do {
    const seed = (firstSeed + rounds) >>> 0;
    try {
      await TARGETS[target]!(new SeededRandom(seed));
      if (stray !== null) throw stray;
    } catch (error) {
      log(`seed ${seed} failed; see it again with: npm run fuzz -- ${target} --seconds 0 --seed ${seed}`);
      log(error instanceof Error ? (error.stack ?? error.message) : String(error));
      return 1;
    }
    rounds += 1;
  } while (performance.now() < endMs);
  const heapMib = Math.round(process.memoryUsage().heapUsed / 2 ** 20);
  log(`${target}: ${rounds} rounds from seed ${firstSeed}, no failure, heap ${heapMib} MiB`);
  return 0;
}

function parsed(args: readonly string[]): { target: string; seconds: number; firstSeed: number } {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { seconds: { type: 'string', default: '10' }, seed: { type: 'string' } },
  });
  const [target = 'frames', ...more] = positionals;
  if (!Object.hasOwn(TARGETS, target) || more.length > 0)
    throw new TypeError(`the target is one of ${Object.keys(TARGETS).join(', ')}`);
  const seconds = Number(values.seconds);
  const firstSeed = values.seed === undefined ? Date.now() >>> 0 : Number(values.seed);
  if (!(seconds >= 0) || !Number.isInteger(firstSeed))
    throw new TypeError('--seconds and --seed are numbers');
  return { target, seconds, firstSeed };
}

try {
  process.exitCode = await main(process.argv.slice(2), (line) => console.log(line));
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  process.exitCode = 2;
}
