// `reactor-net serve`: starts the servers, says when they accept, shows figures, and drains when told to.
// This file is the server in one process; serve-processes.ts runs several, serve-supervised.ts is one of those.

import { type AdminServer, createLogger, type Logger } from '../reactor/index.js';
import { listenAdmin } from './admin.js';
import { dropPrivileges } from './drop-privileges.js';
import { LiveView } from './live-view.js';
import type { Io } from './main.js';
import { printReady } from './ready-line.js';
import { ServeApp } from './serve-app.js';
import type { ServeOptions } from './serve-options.js';
import { serveProcesses } from './serve-processes.js';
import { serveSupervised } from './serve-supervised.js';
import { Shutdown } from './shutdown.js';

/** @returns the exit code, once the server has stopped */
export async function serve(options: ServeOptions, io: Io): Promise<number> {
  const { logLevel: level, processIndex } = options;
  const isSupervised = processIndex !== null;
  const shutdown = new Shutdown({ isSupervised });
  try {
    const logger = await createLogger(
      isSupervised ? { level, fields: { process: processIndex } } : { level },
    );
    if (isSupervised) return await serveSupervised(logger, options, shutdown);
    if (options.processes > 0) return await serveProcesses(logger, options, io, shutdown);
    return await serveHere(logger, options, io, shutdown);
  } finally {
    shutdown.close();
  }
}

async function serveHere(logger: Logger, options: ServeOptions, io: Io, shutdown: Shutdown): Promise<number> {
  const app = new ServeApp(logger, options);
  let ready = false;
  let admin: AdminServer | null = null;
  try {
    const bound = await listenAdmin(options.metrics, {
      metrics: () => scrape(app),
      ready: () => ready,
      requests: () => app.requests(),
    });
    admin = bound.admin;
    const listen = { ...(await app.start()), ...bound.listen };
    if (options.user !== null) dropPrivileges(options.user);
    ready = true;
    printReady(io, listen, options);
  } catch (error) {
    await app.drain();
    await admin?.close();
    throw error;
  }
  const view = new LiveView(io, () => app.figures(), options);
  const exitCode = await shutdown.run({
    reload: () => app.reload(),
    reloadFailed: (error) => logger.error({ err: error }, 'the reload failed; the old code goes on'),
    drain: () => {
      ready = false;
      view.close();
      return app.drain();
    },
    abandon: () => {},
  });
  await admin?.close();
  return exitCode;
}

async function scrape(app: ServeApp): Promise<string> {
  await app.refresh();
  return app.metrics.render();
}
