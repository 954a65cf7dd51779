// The farm itself over HTTP: what it is, its workers, the load graphs, and changes as they happen.

import type { Farm } from '../main/farm.js';
import { emptyAnswer, jsonAnswer, textAnswer } from './answer.js';
import { BUSY, json, NO_SUCH } from './documented.js';
import type { LiveEvents } from './live-events.js';
import { countOf, type Route } from './route.js';
import type { WebFarm } from './shapes.js';

const SERIAL_MAX = 2 ** 32 - 1;

export interface FarmRouteParts {
  readonly farm: Farm;
  readonly live: LiveEvents;
  readonly facts: () => WebFarm;
  readonly loadStepMs: number;
  /** Headers that every answer has. */
  readonly headers: Readonly<Record<string, string>>;
}

export function farmRoutes({ farm, live, facts, loadStepMs, headers }: FarmRouteParts): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/farm',
      id: 'getFarm',
      summary: 'The main node and its totals.',
      answers: { 200: json('The farm.', 'Farm') },
      handle: () => jsonAnswer(200, facts()),
    },
    {
      method: 'GET',
      path: '/api/v1/workers',
      id: 'listWorkers',
      summary: 'Worker nodes and their renderer processes.',
      answers: { 200: json('All of them.', 'Workers') },
      handle: () => jsonAnswer(200, { workers: farm.workers() }),
    },
    {
      method: 'POST',
      path: '/api/v1/workers/{serial}/drain',
      id: 'drainWorker',
      summary: 'Has a worker node finish what it has, and then leave.',
      parameters: [
        { name: 'serial', summary: 'Of the worker node.', schema: { type: 'integer', minimum: 0 } },
      ],
      answers: { 204: { summary: 'It drains.', type: null }, ...NO_SUCH, ...BUSY },
      handle: async ({ params }) => {
        await farm.drainWorker(countOf('serial', params['serial'], { max: SERIAL_MAX }));
        return emptyAnswer();
      },
    },
    {
      method: 'GET',
      path: '/api/v1/load',
      id: 'getLoad',
      summary: 'The load of the last ten minutes, for graphs.',
      answers: { 200: json('Points, oldest first.', 'Load') },
      handle: () => jsonAnswer(200, { stepMs: loadStepMs, points: live.history.points }),
    },
    {
      method: 'GET',
      path: '/api/v1/events',
      id: 'watch',
      summary:
        'Server-sent events: hello (a Farm), jobs, images, workers, totals, load (a point), more (ask for the lists again), ' +
        'reload (too slow: begin anew). Changes are gathered for a moment; after connecting again ask for the lists.',
      answers: { 200: { summary: 'Events.', type: 'text/event-stream' }, ...BUSY },
      handle: ({ request, response }) => {
        if (request.method === 'HEAD') return textAnswer(200, '', 'text/event-stream; charset=utf-8');
        live.watch(response, headers);
        return 'taken';
      },
    },
  ];
}
