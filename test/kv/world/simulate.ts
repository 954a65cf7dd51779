// `npm run simulate -- --seeds N --events M [--seed S] [--world core|parts|both] [--workers W]`: long runs of the swarms, one
// of the core alone and one of whole members. Ends at the first failure, with its seed, its last events and how to see it
// again. `--seed S` alone replays one; with `--seeds` it is the first of them.

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';

export type WorldName = 'core' | 'parts';

export interface RunRequest {
  readonly world: WorldName;
  readonly seed: number;
  readonly eventCount: number;
}

export interface RunReport {
  readonly world: WorldName;
  readonly seed: number;
  readonly events: number;
  readonly committed: number;
  /** Reads of the core's driver, requests of the members' clients. */
  readonly answered: number;
  readonly traceHash: string;
  readonly failure: string | null;
  readonly trace: readonly string[];
}

interface Options {
  readonly seedCount: number;
  readonly eventCount: number;
  readonly firstSeed: number;
  readonly worlds: readonly WorldName[];
  readonly workerCount: number;
}

interface Total {
  runs: number;
  events: number;
  committed: number;
  answered: number;
}

const USAGE =
  'usage: npm run simulate -- [--seeds N] [--events M] [--seed S] [--world core|parts|both] [--workers W]';
const PROGRESS_MS = 60_000;
/** Handed to a thread ahead of its answers. */
const AHEAD = 2;

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  let options;
  try {
    options = parseArguments(args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  const startedMs = performance.now();
  const totals: Record<WorldName, Total> = {
    core: { runs: 0, events: 0, committed: 0, answered: 0 },
    parts: { runs: 0, events: 0, committed: 0, answered: 0 },
  };
  const tell = (): void => {
    const seconds = (performance.now() - startedMs) / 1000;
    for (const world of options.worlds) console.log(lineOf(world, totals[world], seconds));
  };
  const progress = setInterval(tell, PROGRESS_MS);
  const failed = await runAll(options, (report) => {
    const total = totals[report.world];
    total.runs += 1;
    total.events += report.events;
    total.committed += report.committed;
    total.answered += report.answered;
    if (options.seedCount === 1 && report.failure === null)
      console.log(`${report.world} seed ${report.seed}: trace ${report.traceHash}`);
  });
  clearInterval(progress);
  if (failed !== null) return tellFailure(failed, options.eventCount);
  tell();
  const events = totals.core.events + totals.parts.events;
  const seconds = (performance.now() - startedMs) / 1000;
  console.log(
    `${options.seedCount} seeds from ${options.firstSeed}: no promise broken; ${events} events, ` +
      `${Math.round(events / seconds)} events/s in ${options.workerCount} threads, ${seconds.toFixed(0)} s`,
  );
  return 0;
}

/** The run that failed; null if none did. */
async function runAll(options: Options, done: (report: RunReport) => void): Promise<RunReport | null> {
  const requests = requestsOf(options);
  const workers = Array.from(
    { length: options.workerCount },
    () => new Worker(new URL('./simulate.worker.js', import.meta.url)),
  );
  const ended = new Promise<RunReport | null>((resolve, reject) => {
    let running = 0;
    const next = (worker: Worker): void => {
      const request = requests.next();
      if (request.done !== true) {
        running += 1;
        worker.postMessage(request.value);
      } else if (running === 0) resolve(null);
    };
    for (const worker of workers) {
      worker.on('error', reject);
      worker.on('message', (report: RunReport) => {
        running -= 1;
        done(report);
        if (report.failure === null) next(worker);
        else resolve(report);
      });
      for (let ahead = 0; ahead < AHEAD; ahead += 1) next(worker);
    }
  });
  try {
    return await ended;
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function* requestsOf({
  firstSeed,
  seedCount,
  eventCount,
  worlds,
}: Options): Generator<RunRequest, void, void> {
  for (let seed = firstSeed; seed < firstSeed + seedCount; seed += 1) {
    for (const world of worlds) yield { world, seed, eventCount };
  }
}

function lineOf(world: WorldName, { runs, events, committed, answered }: Total, seconds: number): string {
  const what = world === 'core' ? 'the core alone' : 'whole members';
  const asked = world === 'core' ? 'reads' : 'requests answered';
  return (
    `${world} (${what}): ${runs} runs, ${events} events, ${committed} entries committed, ${answered} ${asked}, ` +
    `${Math.round(events / seconds)} events/s`
  );
}

function tellFailure(report: RunReport, eventCount: number): number {
  const { world, seed, failure, traceHash, trace } = report;
  console.error(trace.join('\n'));
  console.error(`${world} seed ${seed}: ${failure} (trace ${traceHash})`);
  console.error(`replay: npm run simulate -- --world ${world} --seed ${seed} --events ${eventCount}`);
  return 1;
}

function parseArguments(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seeds: { type: 'string' },
      events: { type: 'string' },
      seed: { type: 'string' },
      world: { type: 'string', default: 'both' },
      workers: { type: 'string' },
    },
  });
  const count = (name: string, text: string | undefined, byDefault: number): number => {
    const value = text === undefined ? byDefault : Number(text);
    if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} is a whole number from 1`);
    return value;
  };
  const { world } = values;
  if (world !== 'core' && world !== 'parts' && world !== 'both')
    throw new Error('--world is core, parts or both');
  const seedCount = count('seeds', values.seeds, values.seed === undefined ? 1000 : 1);
  return {
    seedCount,
    eventCount: count('events', values.events, 5000),
    firstSeed: count('seed', values.seed, 1),
    worlds: world === 'both' ? ['core', 'parts'] : [world],
    workerCount: Math.min(count('workers', values.workers, Math.min(availableParallelism(), 8)), seedCount),
  };
}
