// `reactor-net render up` as a command: the flags of its main node and its worker nodes, and a few of its own. render-up.ts
// carries it out.

import { type CommandSpec, declareCommand } from './command-spec.js';
import { type Flag, type FlagTable, readCount, UsageError } from './flags.js';
import { type ListenAddress, readListen } from './listen-address.js';
import {
  addressOf,
  checkMain,
  MAIN_FLAGS,
  type MainFlags,
  mainArgs,
  RENDER_MAIN_PORT,
} from './render-main-command.js';
import { checkWorker, WORKER_FLAGS, type WorkerFlags } from './render-worker-command.js';

interface UpFlags extends MainFlags, WorkerFlags {
  workers: number;
  listen: ListenAddress | 'off' | { readonly fd: number } | { readonly activated: string };
  http: ListenAddress | 'off' | { readonly fd: number } | { readonly activated: string };
}

/** Complete: what each process is started with. */
export interface RenderUpOptions {
  readonly verb: 'up';
  readonly workers: number;
  readonly main: readonly string[];
  readonly worker: readonly string[];
  readonly json: boolean;
}

const WORKERS_MAX = 64;
const LOOPBACK = '127.0.0.1';
const WEB_PORT = 7680;
const LISTEN = 'Listeners (H:P):';

const UP_FLAGS: FlagTable<UpFlags> = {
  workers: {
    flag: 'workers',
    value: 'N',
    group: 'The farm:',
    summary: 'worker nodes',
    read: readCount(1, WORKERS_MAX),
    fallback: 2,
    fallbackText: '2',
  },
  listen: {
    flag: 'listen',
    value: 'H:P',
    group: LISTEN,
    summary: 'RPC of the main node, for drivers and people',
    read: readListen(LOOPBACK),
    fallback: { host: LOOPBACK, port: RENDER_MAIN_PORT },
    fallbackText: `${LOOPBACK}:${RENDER_MAIN_PORT}`,
  },
  http: {
    flag: 'http',
    value: 'H:P',
    group: LISTEN,
    summary: 'the web page of the main node',
    read: readListen(LOOPBACK),
    fallback: { host: LOOPBACK, port: WEB_PORT },
    fallbackText: `${LOOPBACK}:${WEB_PORT}`,
  },
  ...WORKER_FLAGS,
  ...MAIN_FLAGS,
};

/** Of the main node; a worker node has its own disk and its own figures. */
const NOT_OF_WORKERS: ReadonlySet<string> = new Set(['json', 'sceneBytes']);

export const RENDER_UP_COMMANDS: readonly CommandSpec[] = [
  declareCommand({
    words: ['render', 'up'],
    summary: 'run a whole farm on this machine: a main node and its worker nodes',
    flags: UP_FLAGS,
    complete: (flags, _operands, context) => {
      checkMain(flags, context);
      checkWorker(flags, context);
      const listen = addressOf('listen', flags.listen);
      if (listen === null) throw new UsageError('--listen: a main node needs an address to be found at');
      const http = addressOf('http', flags.http);
      const main = [
        `--listen=${textOf(listen)}`,
        ...(http === null ? [] : [`--http=${textOf(http)}`]),
        ...mainArgs(flags),
      ];
      const options: RenderUpOptions = {
        verb: 'up',
        workers: flags.workers,
        main,
        worker: workerArgs(flags),
        json: flags.json,
      };
      return { kind: 'render', options };
    },
  }),
];

function workerArgs(flags: UpFlags): string[] {
  const args: string[] = [];
  for (const [key, { flag }] of Object.entries<Flag<unknown>>(WORKER_FLAGS)) {
    // Worker nodes show the main node what it asks of them.
    const given =
      key === 'tokenFile' ? (flags.nodeTokenFile ?? flags.tokenFile) : flags[key as keyof WorkerFlags];
    if (given !== null && !NOT_OF_WORKERS.has(key)) args.push(`--${flag}=${String(given)}`);
  }
  return args;
}

function textOf({ host, port }: ListenAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
