// The server in one process of several: started by serve-processes.ts, with sockets that listen already.
// It gives its rights up before it runs anybody's code, and ends when its master is gone.

import { type Logger, ProcessMember } from '../reactor/index.js';
import { dropPrivileges } from './drop-privileges.js';
import { ServeApp } from './serve-app.js';
import type { ServeOptions } from './serve-options.js';
import type { Shutdown } from './shutdown.js';

/** @returns the exit code, once the server has stopped */
export async function serveSupervised(
  logger: Logger,
  options: ServeOptions,
  shutdown: Shutdown,
): Promise<number> {
  if (options.user !== null) dropPrivileges(options.user);
  const app = new ServeApp(logger, options);
  const member = new ProcessMember({
    figures: () => app.figures(),
    requests: () => app.requests(),
    metrics: async () => {
      await app.refresh();
      return app.metrics.snapshot();
    },
  });
  try {
    await app.start();
  } catch (error) {
    await member.fail(error);
    await app.drain();
    member.leave();
    return 1;
  }
  member.ready();
  const exitCode = await shutdown.run(
    {
      // The master replaces processes instead; a SIGHUP that reaches this one alone is served all the same.
      reload: () => app.reload(),
      reloadFailed: (error) => logger.error({ err: error }, 'the reload failed; the old code goes on'),
      drain: () => app.drain(),
      abandon: () => {},
    },
    new Promise((resolve) => member.onMasterLost(resolve)),
  );
  member.leave();
  return exitCode;
}
