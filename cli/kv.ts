// The area `kv`: hands each verb to the file that carries it out, which is loaded only then.

import type { KvOptions } from './kv-command.js';
import type { Io } from './main.js';

/** @returns the exit code */
export async function kv(options: KvOptions, io: Io): Promise<number> {
  switch (options.verb) {
    case 'serve': {
      const { kvServe } = await import('./kv-serve.js');
      return kvServe(options, io);
    }
    case 'local': {
      const { kvLocal } = await import('./kv-local.js');
      return kvLocal(options, io);
    }
    default:
      return options satisfies never;
  }
}
