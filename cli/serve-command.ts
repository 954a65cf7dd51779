// `reactor-net serve` as a command: its flags, and what is found out about them before anything starts.

import { takeActivatedSockets } from '../reactor/index.js';
import { type CommandSpec, declareCommand } from './command-spec.js';
import { refuseUnreadable } from './readable-file.js';
import { SERVE_FLAGS } from './serve-flags.js';
import { completeServeOptions } from './serve-options.js';

export const SERVE_COMMAND: CommandSpec = declareCommand({
  words: ['serve'],
  summary: 'run the example server, or your handler modules, on all cores',
  flags: SERVE_FLAGS,
  complete: (flags, _operands, context) => {
    // Found here, the mistake is named by its flag; later it would be a listener that cannot start.
    for (const key of ['tlsCert', 'tlsKey', 'tlsCa'] as const)
      refuseUnreadable(SERVE_FLAGS[key].flag, flags[key], context);
    const activated = takeActivatedSockets(context.environment).map(({ name, fd }) => [name, fd] as const);
    return { kind: 'serve', options: completeServeOptions(flags, new Map(activated)) };
  },
});
