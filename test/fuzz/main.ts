// `npm run fuzz -- [--seconds N] [--seed S]`: fuzz rounds until the time is up or one fails.
// Round i runs from seed S + i alone, so the seed that a failure prints is all it takes to see it again.

import { parseArgs } from 'node:util';
import { fuzzFrames } from './frame-fuzz.js';
import { SeededRandom } from '../support/seeded-random.js';

const USAGE = 'usage: npm run fuzz -- [--seconds N] [--seed S]';

function main(args: readonly string[], log: (line: string) => void): number {
  const { seconds, firstSeed } = parsed(args);
  const endMs = performance.now() + seconds * 1000;
  let rounds = 0;
  do {
    const seed = (firstSeed + rounds) >>> 0;
    try {
      fuzzFrames(new SeededRandom(seed));
    } catch (error) {
      log(`seed ${seed} failed; see it again with: npm run fuzz -- --seconds 0 --seed ${seed}`);
      log(error instanceof Error ? (error.stack ?? error.message) : String(error));
      return 1;
    }
    rounds += 1;
  } while (performance.now() < endMs);
  log(`${rounds} rounds from seed ${firstSeed}, no failure`);
  return 0;
}

function parsed(args: readonly string[]): { seconds: number; firstSeed: number } {
  const { values } = parseArgs({
    args: [...args],
    options: { seconds: { type: 'string', default: '10' }, seed: { type: 'string' } },
  });
  const seconds = Number(values.seconds);
  const firstSeed = values.seed === undefined ? Date.now() >>> 0 : Number(values.seed);
  if (!(seconds >= 0) || !Number.isInteger(firstSeed))
    throw new TypeError('--seconds and --seed are numbers');
  return { seconds, firstSeed };
}

try {
  process.exitCode = main(process.argv.slice(2), (line) => console.log(line));
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  process.exitCode = 2;
}
