// The area `render`: hands each verb to the file that carries it out, which is loaded only then.

import type { Io } from './main.js';
import type { RenderOptions } from './render-command.js';

/** @returns the exit code */
export async function render(options: RenderOptions, io: Io): Promise<number> {
  switch (options.verb) {
    case 'main':
      return (await import('./render-main.js')).renderMain(options, io);
    default:
      return options.verb satisfies never;
  }
}
