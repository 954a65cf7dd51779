// The swarm of whole members notices the bugs it is there for. Those that take many seeds are left to
// `npm run simulate:mutations`.

import assert from 'node:assert/strict';
import test from 'node:test';
import { outsideMicrotasks } from './microtasks.js';
import { catchPartsMutation, PARTS_MUTATIONS } from './parts-mutations.js';

const SEEDS = 20;
const EVENTS = 2500;

for (const mutation of PARTS_MUTATIONS) {
  if (mutation.isRare === true) continue;
  test(`a simulation of whole members shows that ${mutation.name}`, () =>
    outsideMicrotasks(() => {
      assert(catchPartsMutation(mutation, SEEDS, EVENTS) !== null, `${SEEDS} seeds show nothing`);
    }));
}
