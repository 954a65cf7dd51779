// A worker node as a program of its own, on a machine whose load a test tells it line by line on standard input:
// {"cpu": share of 1, "cores": number, "memory": share of 1}. How it is doing it prints as JSON lines, at each look.
// Arguments: the main node, a guard, renderers at least and at most, milliseconds that each image takes more.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { createLogger } from '../../../reactor/index.js';
import { builtinRenderer, type LoadSource, WorkerNode } from '../../../render/index.js';

/** One line of standard input: what the machine is like from now on. */
export interface ScriptedLoad {
  readonly cpu: number;
  /** By which what the renderers use is judged: few, and all of `cpu` is theirs; many, and it is that of others. */
  readonly cores: number;
  readonly memory: number;
}

/** One line of standard output. */
export interface WorkerLook {
  readonly slots: number;
  readonly starting: number;
  readonly queued: number;
  /** Processes that this one has started and that are there. */
  readonly children: number;
  /** Smoothed, as it decides by them. */
  readonly cpu: number;
  readonly memory: number;
}

const LOOK_MS = 100;
const TICKS = 1000;

const [main = '', guard = '', min = '', max = '', sleepMs = ''] = process.argv.slice(2);
if (guard !== 'demand' && guard !== 'strict') throw new Error(`${guard} is no guard`);

let load: ScriptedLoad = { cpu: 0, cores: 1000, memory: 0.1 };
let busy = 0;
let idle = 0;
const source: LoadSource = {
  stat: () => {
    busy += Math.round(load.cpu * TICKS);
    idle += Math.round((1 - load.cpu) * TICKS);
    return `cpu  ${busy} 0 0 ${idle} 0 0 0 0\n`;
  },
  meminfo: () =>
    `MemTotal:  1000000000 kB\nMemAvailable:  ${Math.round((1 - load.memory) * 1_000_000_000)} kB\n`,
  gpus: () => Promise.resolve(null),
  get cores() {
    return load.cores;
  },
};

const node = await WorkerNode.start(
  await createLogger({ level: 'fatal' }),
  builtinRenderer({ sleepMs: Number(sleepMs) }),
  {
    main,
    name: guard,
    listen: { host: '127.0.0.1', port: 0 },
    pool: { min: Number(min), max: Number(max) },
    autoscaler: { guard, demandMs: 500, coolDownMs: 800, idleMs: 1500, pressureMs: 800 },
    smoothing: 'average',
    sampleMs: LOOK_MS,
  },
  undefined,
  { load: source },
);
const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  load = JSON.parse(line) as ScriptedLoad; // of the test, which has the same type
});
const looking = setInterval(() => {
  const { slots, starting, desk, load: smoothed } = node.figures();
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim();
  const look: WorkerLook = {
    slots,
    starting,
    queued: desk.queued + desk.resting,
    children: children === '' ? 0 : children.split(' ').length,
    cpu: smoothed.cpu,
    memory: smoothed.memory,
  };
  process.stdout.write(`${JSON.stringify(look)}\n`);
}, LOOK_MS);
await once(input, 'close'); // the test has ended, or told it to
await node.close(30_000);
clearInterval(looking);
