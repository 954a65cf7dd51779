// `npm run labs:kv -- [--rounds N] [--only TEXT] [--virtual|--processes] [--seed S]`: the labs, one line for each and a count
// in the end. In virtual time by default and over processes; a flake names its seed. Exit code 1 where one failed.

import { parseArgs } from 'node:util';
import { LABS, type LabTest } from './catalogue.js';
import { playOverProcesses } from './process-lab.js';
import { playVirtually } from './virtual-lab.js';

const USAGE = 'usage: npm run labs:kv -- [--rounds N] [--only TEXT] [--virtual|--processes] [--seed S]';

type Play = (lab: LabTest, seed: number) => Promise<unknown>;

const WORLDS: readonly (readonly [name: 'virtual' | 'processes', play: Play])[] = [
  ['virtual', (lab, seed) => playVirtually({ ...lab, seed }, lab.run)],
  ['processes', (lab, seed) => playOverProcesses({ ...lab, seed }, lab.run)],
];

// Labs clean up when the process exits, which it does not by itself on a signal.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  let options;
  try {
    options = parse(args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  const { rounds, only, worlds, seed } = options;
  const labs = LABS.filter(({ name }) => name.includes(only));
  if (labs.length === 0) {
    console.error(`no lab has '${only}' in its name`);
    return 2;
  }
  let played = 0;
  let failed = 0;
  for (const [world, play] of WORLDS) {
    if (!worlds.includes(world)) continue;
    for (const lab of labs) {
      const startMs = performance.now();
      const failures: string[] = [];
      for (let round = 0; round < rounds; round += 1) {
        played += 1;
        try {
          await play(lab, seed + round);
        } catch (error) {
          failures.push(`seed ${seed + round}: ${error instanceof Error ? error.stack : String(error)}`);
        }
      }
      failed += failures.length;
      const took = ((performance.now() - startMs) / 1000).toFixed(1);
      const verdict = failures.length === 0 ? 'passed' : `FAILED ${failures.length} of`;
      console.log(
        `${world}  ${lab.name}: ${verdict} ${rounds} ${rounds === 1 ? 'round' : 'rounds'}, ${took} s`,
      );
      for (const failure of failures) console.log(`  ${failure.replaceAll('\n', '\n  ')}`);
    }
  }
  console.log(`${labs.length} labs, ${played} played, ${failed} failed; seeds from ${seed}`);
  return failed === 0 ? 0 : 1;
}

function parse(args: readonly string[]): {
  rounds: number;
  only: string;
  worlds: readonly ('virtual' | 'processes')[];
  seed: number;
} {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '1' },
      only: { type: 'string', default: '' },
      virtual: { type: 'boolean', default: false },
      processes: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
    },
  });
  const rounds = Number(values.rounds);
  const seed = Number(values.seed);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds is a whole number from 1');
  if (!Number.isSafeInteger(seed)) throw new Error('--seed is a whole number');
  const named = (['virtual', 'processes'] as const).filter((world) => values[world]);
  return { rounds, only: values.only, worlds: named.length === 0 ? ['virtual', 'processes'] : named, seed };
}
