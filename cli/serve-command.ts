// `reactor-net serve` as a command: its flags, and what is found out about them before anything starts.

import { takeActivatedSockets } from '../reactor/index.js';
import { type ArgsContext, type CommandSpec, declareCommand } from './command-spec.js';
import { UsageError } from './flags.js';
import { SERVE_FLAGS, type ServeFlags } from './serve-flags.js';
import { completeServeOptions } from './serve-options.js';

export const SERVE_COMMAND: CommandSpec = declareCommand({
  words: ['serve'],
  summary: 'run the example server, or your handler modules, on all cores',
  flags: SERVE_FLAGS,
  complete: (flags, _operands, context) => {
    refuseUnreadable(flags, context);
    const activated = takeActivatedSockets(context.environment).map(({ name, fd }) => [name, fd] as const);
    return { kind: 'serve', options: completeServeOptions(flags, new Map(activated)) };
  },
});

/** Found here, the mistake is named by its flag; later it would be a listener that cannot start. */
function refuseUnreadable(flags: ServeFlags, context: ArgsContext): void {
  for (const key of ['tlsCert', 'tlsKey', 'tlsCa'] as const) {
    const path = flags[key];
    if (path === null) continue;
    try {
      context.readFile(path);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new UsageError(`--${SERVE_FLAGS[key].flag}: should be a file that can be read: ${reason}`);
    }
  }
}
