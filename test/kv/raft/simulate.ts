// `npm run simulate -- --seeds N --events M [--seed S]`: long runs of the swarm. Ends at the first failure, with its seed,
// its last events and how to see it again. `--seed S` alone replays one; with `--seeds` it is the first of them.

import { parseArgs } from 'node:util';
import { runSwarm, type SwarmResult } from './support/swarm.js';

const USAGE = 'usage: npm run simulate -- [--seeds N] [--events M] [--seed S]';

process.exitCode = main(process.argv.slice(2));

function main(args: readonly string[]): number {
  let options;
  try {
    options = parseArguments(args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  const { seedCount, eventCount, firstSeed } = options;
  const startedMs = performance.now();
  let events = 0;
  let committed = 0;
  let reads = 0;
  for (let seed = firstSeed; seed < firstSeed + seedCount; seed += 1) {
    const result = runSwarm({ seed, eventCount });
    events += result.events;
    committed += result.committed;
    reads += result.reads;
    if (result.failure !== null) return report(result, eventCount);
    if (seedCount === 1) console.log(`seed ${seed}: trace ${result.traceHash}`);
  }
  const seconds = (performance.now() - startedMs) / 1000;
  console.log(
    `${seedCount} seeds from ${firstSeed}, ${events} events, ${committed} entries committed, ${reads} reads: ` +
      `no promise broken; ${Math.round(events / seconds)} events/s`,
  );
  return 0;
}

function report(result: SwarmResult, eventCount: number): number {
  console.error(result.trace.join('\n'));
  console.error(`seed ${result.seed}: ${result.failure} (trace ${result.traceHash})`);
  console.error(`replay: npm run simulate -- --seed ${result.seed} --events ${eventCount}`);
  return 1;
}

function parseArguments(args: readonly string[]): {
  seedCount: number;
  eventCount: number;
  firstSeed: number;
} {
  const { values } = parseArgs({
    args: [...args],
    options: { seeds: { type: 'string' }, events: { type: 'string' }, seed: { type: 'string' } },
  });
  const count = (name: string, text: string | undefined, byDefault: number): number => {
    const value = text === undefined ? byDefault : Number(text);
    if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} is a whole number from 1`);
    return value;
  };
  return {
    seedCount: count('seeds', values.seeds, values.seed === undefined ? 1000 : 1),
    eventCount: count('events', values.events, 5000),
    firstSeed: count('seed', values.seed, 1),
  };
}
