// How many tasks per second of CPU time the scheduler alone gives out and takes back: every task is one image, answered at once.
// Used by the test, with a low bar, and by hand: node dist/test/render/main/speed.js [tasks] [nodes] [drivers]

import { Scheduler } from '../../../render/main/scheduler.js';
import { seededRandom } from '../../support/seeded-random.js';

export function tasksPerSecond(tasks: number, nodes: number, drivers: number): number {
  const scheduler = new Scheduler(seededRandom(1));
  for (let node = 1; node <= nodes; node += 1) scheduler.nodeAdded(0, { id: node, weight: 1, slots: 1 });
  const perJob = Math.min(50_000, Math.ceil(tasks / drivers));
  const waiting: number[] = [];
  const before = process.cpuUsage();
  let now = 0;
  let submitted = 0;
  let answered = 0;
  for (let job = 0; submitted < tasks; job += 1) {
    const { effects } = scheduler.submit(now, { driver: (job % drivers) + 1, images: perJob });
    submitted += perJob;
    for (const effect of effects) if (effect.kind === 'dispatch') waiting.push(effect.node, effect.attempt);
  }
  // Oldest first, through a ring of what is under way.
  for (let at = 0; at < waiting.length; at += 2) {
    now += 0.01;
    const effects = scheduler.answered(now, waiting[at]!, waiting[at + 1]!, {
      kind: 'rendered',
      imageMs: 100,
    });
    answered += 1;
    for (const effect of effects) if (effect.kind === 'dispatch') waiting.push(effect.node, effect.attempt);
  }
  const { user, system } = process.cpuUsage(before);
  if (answered !== submitted || scheduler.figures().imagesOpen !== 0)
    throw new Error(`${answered} of ${submitted} tasks were answered`);
  return answered / ((user + system) / 1e6);
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const [tasks = 1_000_000, nodes = 4, drivers = 3] = process.argv.slice(2).map(Number);
  console.log(Math.round(tasksPerSecond(tasks, nodes, drivers)), 'tasks per second');
}
