// `reactor-net render up`: a whole farm on this machine, the main node and each worker node a child process.
// It restarts nothing: a process that ends is a matter for whoever tries things out, so it says so and all end.
// To stop, the main node drains first, while its worker nodes still render; then they go.

import { ChildCommand, type ListenTexts } from './child-command.js';
import type { Io } from './main.js';
import type { RenderUpOptions } from './render-up-command.js';
import { Shutdown } from './shutdown.js';

/** @returns the exit code, once every process has ended */
export async function renderUp(options: RenderUpOptions, io: Io): Promise<number> {
  const shutdown = new Shutdown({ isSupervised: false });
  const children: ChildCommand[] = [];
  const state = { isStopping: false, failure: null as string | null };
  const start = (name: string, args: readonly string[]): ChildCommand => {
    const child = new ChildCommand(name, args, io);
    children.push(child);
    return child;
  };
  try {
    const lost = new Promise<void>((resolve) => {
      const fail = (why: string): void => {
        if (!state.isStopping) state.failure ??= why;
        resolve();
      };
      const watch = (child: ChildCommand): ChildCommand => {
        void child.ended.then(fail);
        return child;
      };
      bring(options, (name, args) => watch(start(name, args)), state, io).catch((error: unknown) =>
        fail(error instanceof Error ? error.message : String(error)),
      );
    });
    const exitCode = await shutdown.run(
      {
        reload: async () => {
          for (const child of children) child.kill('SIGHUP');
        },
        reloadFailed: () => {},
        drain: () => {
          state.isStopping = true;
          return stop(children);
        },
        abandon: () => {
          for (const child of children) child.kill('SIGKILL');
        },
      },
      lost,
    );
    if (state.failure === null) return exitCode;
    io.stderr.write(`reactor-net: ${state.failure}; the others were stopped\n`);
    return 1;
  } finally {
    for (const child of children) if (child.exitCode === null) child.kill('SIGKILL');
    await Promise.all(children.map(({ ended }) => ended));
    shutdown.close();
  }
}

/** Starts all of them, and says so once every worker node is registered. */
async function bring(
  { workers, main: mainArgs, worker: workerArgs, json }: RenderUpOptions,
  start: (name: string, args: readonly string[]) => ChildCommand,
  state: { readonly isStopping: boolean },
  io: Io,
): Promise<void> {
  const main = start('main', ['render', 'main', ...mainArgs]);
  const listen = await main.ready;
  const address = reachable(listen['rpc']!); // a main node has one
  if (state.isStopping) return;
  const nodes = Array.from({ length: workers }, (_, at) =>
    start(`worker ${at + 1}`, [
      'render',
      'worker',
      `--main=${address}`,
      '--listen=127.0.0.1:0',
      `--name=worker ${at + 1}`,
      ...workerArgs,
    ]),
  );
  const listens = await Promise.all(nodes.map(({ ready }) => ready));
  if (state.isStopping) return;
  const listed = nodes.map(({ pid }, at) => ({ pid, listen: listens[at]! }));
  io.stdout.write(
    `${json ? JSON.stringify({ event: 'ready', pid: process.pid, listen, main: address, workers: listed }) : readyText(listen, address, listed)}\n`,
  );
}

async function stop(children: readonly ChildCommand[]): Promise<boolean> {
  const [main, ...workers] = children;
  main?.kill('SIGTERM');
  await main?.ended;
  for (const worker of workers) worker.kill('SIGTERM');
  await Promise.all(workers.map(({ ended }) => ended));
  return children.every(({ exitCode }) => exitCode === 0);
}

/** The wildcard addresses mean this machine too. */
function reachable(address: string): string {
  return address.replace(/^0\.0\.0\.0(?=:\d+$)/, '127.0.0.1').replace(/^\[::\](?=:\d+$)/, '[::1]');
}

function readyText(
  { grpc, http }: ListenTexts,
  main: string,
  workers: readonly { readonly pid: number | undefined; readonly listen: ListenTexts }[],
): string {
  const lines = [
    `reactor-net render: a main node and ${workers.length} worker nodes (process ${process.pid}); Ctrl-C stops`,
    `  main     ${main}  (reactor-net render submit --main ${main} --images 4 --size 64x64 --out images)`,
    ...(grpc === undefined ? [] : [`  gRPC     ${grpc}`]),
    ...(http === undefined ? [] : [`  pages    http://${reachable(http)}/`]),
    ...workers.map(({ listen }, at) => `  worker ${at + 1}  ${listen['rpc'] ?? ''}`),
  ];
  return lines.join('\n');
}
