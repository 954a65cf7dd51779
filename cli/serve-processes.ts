// `reactor-net serve --processes N`: the master, which binds and supervises and serves nobody.
// It passes its options on as flags and its sockets as inherited descriptors; the environment of its processes
// goes without our variables, so that nothing is said twice. serve-supervised.ts is the other side.

import { fileURLToPath } from 'node:url';
import {
  type AdminServer,
  INHERITED_FD_FIRST,
  type Logger,
  mergeSamples,
  type MetricsSnapshot,
  ProcessMaster,
  renderSnapshots,
  type RequestSample,
  restartsSnapshot,
} from '../reactor/index.js';
import { listenAdmin } from './admin.js';
import { type BoundSockets, bindSockets } from './bound-sockets.js';
import { withoutFlagVariables } from './flags.js';
import { joinFigures, type ProcessFigures } from './live-stats.js';
import { LiveView } from './live-view.js';
import type { Io } from './main.js';
import { printReady } from './ready-line.js';
import { processFlags, type ServeOptions } from './serve-options.js';
import type { Shutdown } from './shutdown.js';

/** @returns the exit code, once all processes have ended */
export async function serveProcesses(
  logger: Logger,
  options: ServeOptions,
  io: Io,
  shutdown: Shutdown,
): Promise<number> {
  const sockets = await bindSockets(options);
  const master = new ProcessMaster(logger, Math.random, {
    processes: options.processes,
    command: (index) => ({
      args: [launcher(), 'serve', ...processFlags(options, index), ...inheritedFlags(sockets)],
      environment: withoutFlagVariables(io.environment),
      inherit: sockets.map(({ fd }) => fd),
    }),
  });
  let admin: AdminServer | null = null;
  try {
    const bound = await listenAdmin(options.metrics, {
      metrics: () => scrape(master),
      ready: () => master.ready,
      requests: async () => mergeSamples(Math.random, await answersOf<RequestSample>(master, 'requests')),
    });
    admin = bound.admin;
    await master.start();
    const listen = Object.fromEntries(sockets.map(({ name, address }) => [name, address]));
    printReady(io, { ...listen, ...bound.listen }, options);
    const view = new LiveView(io, () => figuresOf(master), options);
    return await shutdown.run({
      reload: () => master.reload(options.drainTimeoutMs),
      reloadFailed: (error) => logger.error({ err: error }, 'the reload failed; the old processes go on'),
      drain: async () => {
        view.close();
        const { drained } = await master.close(options.drainTimeoutMs);
        return drained;
      },
      abandon: () => master.kill(),
    });
  } finally {
    await admin?.close();
    for (const socket of sockets) socket.close();
  }
}

/** The script this very program was started by, in a checkout and when installed. */
function launcher(): string {
  return fileURLToPath(new URL('../../bin/reactor-net.js', import.meta.url));
}

function inheritedFlags(sockets: BoundSockets): string[] {
  return sockets.map(({ name }, position) => `--${name}=fd:${INHERITED_FD_FIRST + position}`);
}

async function figuresOf(master: ProcessMaster): Promise<ProcessFigures> {
  const answers = await master.ask('figures');
  // What our own processes answer to this question; see serve-supervised.ts.
  return joinFigures(answers.map(({ index, value }) => ({ index, figures: value as ProcessFigures })));
}

async function scrape(master: ProcessMaster): Promise<string> {
  const own = await restartsSnapshot(master.processes.map(({ restarts }) => restarts));
  return renderSnapshots([own, ...(await answersOf<MetricsSnapshot>(master, 'metrics'))]);
}

/** @typeParam Answer what serve-supervised.ts answers to this question */
async function answersOf<Answer>(master: ProcessMaster, question: string): Promise<Answer[]> {
  return (await master.ask(question)).map(({ value }) => value as Answer);
}
