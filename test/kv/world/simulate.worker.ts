// Runs seeds of the simulations in a thread of its own and reports each. simulate.ts starts it and hands out the seeds.

import { parentPort } from 'node:worker_threads';
import { runSwarm } from '../raft/support/swarm.js';
import { outsideMicrotasks } from './microtasks.js';
import { runPartsSwarm } from './parts-swarm.js';
import type { RunReport, RunRequest } from './simulate.js';

const port = parentPort;
if (port === null) throw new Error('this is the code of a thread');

port.on('message', (request: RunRequest) => {
  outsideMicrotasks(() => run(request)).then(
    (report) => port.postMessage(report),
    (error: unknown) => {
      throw error;
    },
  );
});

function run({ world, seed, eventCount }: RunRequest): RunReport {
  if (world === 'core') {
    const { events, committed, reads, traceHash, failure, trace } = runSwarm({ seed, eventCount });
    return {
      world,
      seed,
      events,
      committed,
      answered: reads,
      traceHash,
      failure,
      trace: tail(failure, trace),
    };
  }
  const { events, committed, answered, traceHash, failure, trace } = runPartsSwarm({ seed, eventCount });
  return { world, seed, events, committed, answered, traceHash, failure, trace: tail(failure, trace) };
}

function tail(failure: string | null, trace: readonly string[]): readonly string[] {
  return failure === null ? [] : trace;
}
