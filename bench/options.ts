// The command line of the benches, parsed and checked. main.ts asks it before anything is built or started.
// Pure: the names of the suites come in.

import { parseArgs } from 'node:util';
import { type Effort, FULL, QUICK, SMOKE } from './effort.js';

export interface BenchOptions {
  suites: string[];
  effort: Effort;
  /** Where to write the reports; null for nowhere. */
  jsonFile: string | null;
  /** Where to write the chart of the one suite; null for the place of a full run. */
  svgFile: string | null;
  /** Server on CPU 0, load on the last one. */
  pin: boolean;
}

export const USAGE = `bench [suite ...] [--quick | --smoke] [--json FILE] [--svg FILE] [--pairs N] [--pin]

  --quick      under 30 s a suite; reports, judges nothing
  --smoke      under 3 s a suite; only shows that it runs
  --json FILE  write the report there (an array for several suites)
  --svg FILE   write the chart of the one suite there
  --pairs N    interleaved pairs a check rests on (11; quick 3, then 1; smoke 1)
  --pin        bind the server to the first CPU and the load generator to the last
`;

const PAIRS_MAX = 1000;

/** @throws RangeError with one line that names the argument and what would be right. */
export function parseOptions(argv: readonly string[], suiteNames: readonly string[]): BenchOptions | 'help' {
  const { values, positionals } = parse(argv);
  if (values.help === true) return 'help';
  if (values.quick === true && values.smoke === true)
    throw new RangeError('--quick and --smoke: give one of them');
  for (const name of positionals) {
    if (!suiteNames.includes(name))
      throw new RangeError(`'${name}': the suites are ${suiteNames.join(', ')}`);
  }
  const suites = positionals.length === 0 ? [...suiteNames] : positionals;
  if (values.svg !== undefined && suites.length > 1) throw new RangeError('--svg: give one suite');
  const effort = values.smoke === true ? SMOKE : values.quick === true ? QUICK : FULL;
  return {
    suites,
    effort: values.pairs === undefined ? effort : atPairs(effort, parsePairs(values.pairs)),
    jsonFile: values.json ?? null,
    svgFile: values.svg ?? null,
    pin: values.pin ?? false,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        quick: { type: 'boolean' },
        smoke: { type: 'boolean' },
        json: { type: 'string' },
        svg: { type: 'string' },
        pairs: { type: 'string' },
        pin: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
  } catch (cause) {
    throw new RangeError((cause as Error).message.split('\n')[0], { cause });
  }
}

function atPairs(effort: Effort, pairs: number): Effort {
  return { ...effort, pairs, pointPairs: pairs };
}

function parsePairs(text: string): number {
  const pairs = Number(text);
  if (Number.isInteger(pairs) && pairs >= 1 && pairs <= PAIRS_MAX) return pairs;
  throw new RangeError(`--pairs: '${text}' is not a whole number from 1 to ${PAIRS_MAX}`);
}
