// The simulator notices the bugs it is there for: each is switched on, and some seed has to show it. Those that take many
// seeds are left to `npm run simulate:mutations`.

import assert from 'node:assert/strict';
import test from 'node:test';
import { catchMutation, MUTATIONS } from './support/mutations.js';

const SEEDS = 150;
const EVENTS = 2500;

for (const mutation of MUTATIONS) {
  if (mutation.isRare) continue;
  test(`a simulation shows that ${mutation.name}`, () => {
    assert(catchMutation(mutation, SEEDS, EVENTS) !== null, `${SEEDS} seeds show nothing`);
  });
}
