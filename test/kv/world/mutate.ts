// `npm run simulate:mutations -- [--seeds N] [--events M] [--only NAME]`: switches every known bug on in turn, in the core or in
// a part of a whole member, and says which seed shows it. Exits 1 if one stays hidden.

import { parseArgs } from 'node:util';
import { catchMutation, MUTATIONS } from '../raft/support/mutations.js';
import { outsideMicrotasks } from './microtasks.js';
import { catchPartsMutation, PARTS_MUTATIONS } from './parts-mutations.js';

interface Row {
  readonly name: string;
  readonly world: 'core' | 'parts';
  readonly find: () => { readonly seed: number; readonly failure: string | null } | null;
}

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    events: { type: 'string', default: '5000' },
    only: { type: 'string', default: '' },
  },
});
const seeds = Number(values.seeds);
const events = Number(values.events);
const rows: Row[] = [
  ...MUTATIONS.map((mutation) => ({
    name: mutation.name,
    world: 'core' as const,
    find: () => catchMutation(mutation, seeds, events),
  })),
  ...PARTS_MUTATIONS.map((mutation) => ({
    name: mutation.name,
    world: 'parts' as const,
    find: () => catchPartsMutation(mutation, seeds, events),
  })),
].toSorted((a, b) => numberOf(a.name) - numberOf(b.name));

process.exitCode = await outsideMicrotasks(() => {
  let hidden = 0;
  console.log('world  seed   seconds  bug: how it shows');
  for (const row of rows) {
    if (values.only !== '' && row.name !== values.only && numberOf(row.name) !== Number(values.only))
      continue;
    const startedMs = performance.now();
    const caught = row.find();
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    if (caught === null) hidden += 1;
    const seed = caught === null ? '-' : String(caught.seed);
    const how = caught === null ? 'NOT CAUGHT' : (caught.failure?.split('\n')[0] ?? '');
    console.log(`${row.world.padEnd(5)}  ${seed.padEnd(5)}  ${seconds.padStart(7)}  ${row.name}: ${how}`);
  }
  console.log(hidden === 0 ? 'all are caught' : `${hidden} stay hidden`);
  return hidden === 0 ? 0 : 1;
});

/** Bugs without a number come last. */
function numberOf(name: string): number {
  const number = Number.parseInt(name, 10);
  return Number.isNaN(number) ? 1000 : number;
}
