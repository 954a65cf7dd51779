// `reactor-net serve`: starts the servers, says when they accept, shows figures, and drains when told to.
// With --processes the work is in serve-processes.ts; this file is the server in one process.

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
import { untilShutdown } from './shutdown.js';

/** @returns the exit code, once the server has stopped */
export async function serve(options: ServeOptions, io: Io): Promise<number> {
  const { logLevel: level, processIndex } = options;
  const logger = await createLogger(
    processIndex === null ? { level } : { level, fields: { process: processIndex } },
  );
  // Whoever read our output may be gone: no reason for the server to go as well.
  io.stdout.on('error', () => {});
  if (processIndex !== null) return serveSupervised(logger, options);
  if (options.processes > 0) return serveProcesses(logger, options, io);
  return serveHere(logger, options, io);
}

async function serveHere(logger: Logger, options: ServeOptions, io: Io): Promise<number> {
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
  const exitCode = await untilShutdown(
    {
      reload: () => app.reload(),
      reloadFailed: (error) => logger.error({ err: error }, 'the reload failed; the old code goes on'),
      drain: () => {
        ready = false;
        view.close();
        return app.drain();
      },
      abandon: () => {},
    },
    { isSupervised: false },
  );
  await admin?.close();
  return exitCode;
}

async function scrape(app: ServeApp): Promise<string> {
  await app.refresh();
  return app.metrics.render();
}
