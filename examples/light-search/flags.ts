// The flags of the program, checked.

import { parseArgs } from 'node:util';

export const USAGE = `Looks for the lights that make the best image, on a farm of renderers.

  node dist/examples/light-search/main.js [flags]

  --main HOST:PORT    the farm's main node; without it a small farm of its own is started
  --method M          genetic, swarm or both (both)
  --lights N          lights to set (2)
  --population N      images of a generation (16)
  --generations N     (20)
  --size N            pixels of a side (32)
  --samples N         rays for each pixel (8)
  --score S           likeness: to an image under lights that the program makes up and hides (default);
                      brightness: half of all light, and as much contrast as can be;
                      or the path of a module whose default export judges an image, higher is better
  --seed N            the same seed searches the same way (1)
  --out FOLDER        best images, history and chart (light-search)
`;

export type Method = 'genetic' | 'swarm';

export interface Flags {
  readonly main: string | null;
  readonly methods: readonly Method[];
  readonly lights: number;
  readonly population: number;
  readonly generations: number;
  readonly size: number;
  readonly samples: number;
  readonly score: string;
  readonly seed: number;
  readonly out: string;
}

const METHODS: Readonly<Record<string, readonly Method[]>> = {
  genetic: ['genetic'],
  swarm: ['swarm'],
  both: ['genetic', 'swarm'],
};

/** Null: help is wanted. @throws TypeError naming the flag */
export function parseFlags(args: readonly string[]): Flags | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      main: { type: 'string' },
      method: { type: 'string', default: 'both' },
      lights: { type: 'string', default: '2' },
      population: { type: 'string', default: '16' },
      generations: { type: 'string', default: '20' },
      size: { type: 'string', default: '32' },
      samples: { type: 'string', default: '8' },
      score: { type: 'string', default: 'likeness' },
      seed: { type: 'string', default: '1' },
      out: { type: 'string', default: 'light-search' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const methods = Object.hasOwn(METHODS, values.method) ? METHODS[values.method] : undefined;
  if (methods === undefined) throw new TypeError(`--method is genetic, swarm or both, not ${values.method}`);
  return {
    main: values.main ?? null,
    methods,
    lights: whole('lights', values.lights, 1, 64),
    population: whole('population', values.population, 4, 1000),
    generations: whole('generations', values.generations, 1, 100_000),
    size: whole('size', values.size, 1, 1024),
    samples: whole('samples', values.samples, 1, 4096),
    score: values.score,
    seed: whole('seed', values.seed, 0, 2 ** 32 - 1),
    out: values.out,
  };
}

function whole(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new TypeError(`--${name} is a whole number from ${least} to ${most}, not ${text}`);
}
