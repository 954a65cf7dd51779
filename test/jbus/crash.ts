// npm run jbus:crash -- [--rounds N] [--seed N]: writers and readers of a ring are killed, most of them in mid-write.
// Ends with what was done, or with the seed of the round that went wrong. Default 500 rounds.

import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { crashRounds } from './support/crash-rounds.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '500' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const stoppingAddon = fileURLToPath(new URL('../../../build-stop/Debug/reactor_net.node', import.meta.url));
const counts = await crashRounds({
  rounds: Number(values.rounds),
  seed: Number(values.seed),
  stoppingAddon,
});
console.log(
  `seed ${values.seed}: ${counts.writersKilled} writers killed, ${counts.ofThemInMidWrite} of them in mid-write, ` +
    `${counts.readersKilled} readers killed, ${counts.records} records, none torn, lost or repeated`,
);
