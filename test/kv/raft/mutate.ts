// `npm run simulate:mutations -- [--seeds N] [--events M]`: switches every known bug on in turn and says which seed shows
// it. Exits 1 if one stays hidden.

import { parseArgs } from 'node:util';
import { catchMutation, MUTATIONS } from './support/mutations.js';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    events: { type: 'string', default: '5000' },
    only: { type: 'string', default: '' },
  },
});
let hidden = 0;
for (const mutation of MUTATIONS) {
  if (!mutation.name.startsWith(values.only)) continue;
  const startedMs = performance.now();
  const caught = catchMutation(mutation, Number(values.seeds), Number(values.events));
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  if (caught === null) hidden += 1;
  const outcome = caught === null ? 'NOT CAUGHT' : `seed ${caught.seed}, ${caught.failure?.split('\n')[0]}`;
  console.log(`${mutation.name}: ${outcome} (${seconds} s)`);
}
process.exitCode = hidden === 0 ? 0 : 1;
