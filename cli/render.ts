// The area `render`: hands each verb to the file that carries it out, which is loaded only then.

import type { Io } from './main.js';
import type { RenderOptions } from './render-command.js';

/** @returns the exit code */
export async function render(options: RenderOptions, io: Io): Promise<number> {
  switch (options.verb) {
    case 'up':
      return (await import('./render-up.js')).renderUp(options, io);
    case 'main':
      return (await import('./render-main.js')).renderMain(options, io);
    case 'worker':
      return (await import('./render-worker.js')).renderWorker(options, io);
    case 'submit':
      return (await import('./render-submit.js')).renderSubmit(options, io);
    case 'jobs':
      return (await import('./render-farm.js')).renderJobs(options, io);
    case 'workers':
      return (await import('./render-farm.js')).renderWorkers(options, io);
    case 'pause':
    case 'resume':
    case 'requeue':
    case 'cancel':
    case 'delete':
      return (await import('./render-farm.js')).renderAction(options, io);
    case 'priority':
      return (await import('./render-farm.js')).renderPriority(options, io);
    case 'logs':
      return (await import('./render-farm.js')).renderLogs(options, io);
    case 'fetch':
      return (await import('./render-fetch.js')).renderFetch(options, io);
    default:
      return options satisfies never;
  }
}
