// `reactor-net render worker` as a command: its flags, and what must agree among them. render-worker.ts carries it out.

import { availableParallelism } from 'node:os';
import { type LogLevel } from '../reactor/index.js';
import { type ArgsContext, type CommandSpec, declareCommand } from './command-spec.js';
import {
  type FlagTable,
  readBytes,
  readChoice,
  readCount,
  readDuration,
  readList,
  readSwitch,
  readText,
  UsageError,
} from './flags.js';
import { readEndpoints } from './kv-client-flags.js';
import { readHostPort } from './kv-serve-command.js';
import {
  type ListenActivated,
  type ListenAddress,
  type ListenDescriptor,
  readListen,
} from './listen-address.js';
import { refuseUnreadable } from './readable-file.js';
import { checkServerTls, drainTimeoutFlag, JSON_FLAG, LOG_LEVEL_FLAG, RUNNING } from './running-flags.js';

type Listen = ListenAddress | ListenDescriptor | ListenActivated | 'off';

const BACKENDS = ['builtin', 'blender'] as const;
const GUARDS = ['demand', 'strict'] as const;
const DEVICES = ['CPU', 'GPU'] as const;
const SMOOTHINGS = ['window', 'average'] as const;

/** What a worker node is told however it is started: alone, or by `render up`. */
export interface WorkerFlags {
  backend: (typeof BACKENDS)[number];
  min: number;
  max: number | null;
  threads: number | null;
  weight: number;
  scene: string | null;
  object: string;
  device: (typeof DEVICES)[number];
  guard: (typeof GUARDS)[number];
  smoothing: (typeof SMOOTHINGS)[number];
  coolDownMs: number;
  idleMs: number;
  rendersMax: number | null;
  rssBytesMax: number;
  checkImages: boolean;
  sceneBytes: number;
  builtinSleepMs: number;
  builtinInstant: boolean;
  tokenFile: string | null;
  tlsCert: string | null;
  tlsKey: string | null;
  tlsCa: string | null;
  drainTimeoutMs: number;
  logLevel: LogLevel;
  json: boolean;
}

interface WorkerCommandFlags extends WorkerFlags {
  main: string | null;
  registry: readonly string[] | null;
  connectTimeoutMs: number;
  listen: Listen;
  advertise: string | null;
  metrics: Listen;
  name: string | null;
  tags: readonly string[];
  token: string | null;
  scenes: string | null;
  lifeline: boolean;
}

/** Complete: null means off. */
export interface RenderWorkerOptions
  extends Omit<WorkerCommandFlags, 'listen' | 'metrics' | 'max' | 'threads'> {
  readonly verb: 'worker';
  listen: ListenAddress;
  metrics: ListenAddress | null;
  max: number;
  threads: number;
}

/** As render/ has it; the render layer itself is loaded when the command runs. */
export const RENDER_WORKER_PORT = 7610;
const RENDERERS_MAX = 256;
const THREADS_MAX = 1024;
const WEIGHT_MAX = 1000;
const EVERYWHERE = '0.0.0.0';
const LOOPBACK = '127.0.0.1';
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const TIB = 2 ** 40;
const MAIN = 'Its main node:';
const LISTEN = 'Listeners (H:P):';
const RENDERING = 'What renders:';
const KEEPING = 'What it keeps:';
const SECURITY = 'Who may come in:';

export const WORKER_FLAGS: FlagTable<WorkerFlags> = {
  backend: {
    flag: 'backend',
    value: 'NAME',
    group: RENDERING,
    summary: 'builtin (a small path tracer that is always there) or blender',
    choices: BACKENDS,
    read: readChoice(BACKENDS),
    fallback: 'builtin',
    fallbackText: 'builtin',
  },
  min: {
    flag: 'min',
    value: 'N',
    group: RENDERING,
    summary: 'renderer processes at least, and at first',
    read: readCount(1, RENDERERS_MAX),
    fallback: 2,
    fallbackText: '2',
  },
  max: {
    flag: 'max',
    value: 'N',
    group: RENDERING,
    summary: 'renderer processes at most',
    read: readCount(1, RENDERERS_MAX),
    fallback: null,
    fallbackText: 'cores / threads, and no fewer than --min',
  },
  threads: {
    flag: 'threads',
    value: 'N',
    group: RENDERING,
    summary: 'threads of each Blender',
    read: readCount(1, THREADS_MAX),
    fallback: null,
    fallbackText: 'cores / --max, or 1',
  },
  weight: {
    flag: 'weight',
    value: 'W',
    group: MAIN,
    summary: 'its share of the work beside other worker nodes',
    read: readCount(1, WEIGHT_MAX),
    fallback: 1,
    fallbackText: '1',
  },
  scene: {
    flag: 'scene',
    value: 'FILE',
    group: RENDERING,
    summary: 'with --backend blender: a .blend file to start with',
    read: readText,
    fallback: null,
    fallbackText: 'a scene built by the script',
  },
  object: {
    flag: 'object',
    value: 'NAME',
    group: RENDERING,
    summary: 'with --backend blender: name of the object that drivers move',
    read: readText,
    fallback: 'Object',
    fallbackText: 'Object',
  },
  device: {
    flag: 'device',
    value: 'NAME',
    group: RENDERING,
    summary: 'with --backend blender: CPU or GPU',
    choices: DEVICES,
    read: readChoice(DEVICES),
    fallback: 'CPU',
    fallbackText: 'CPU',
  },
  guard: {
    flag: 'guard',
    value: 'NAME',
    group: RENDERING,
    summary:
      'what keeps it from starting more renderers: demand (memory, GPU and what others use of the CPU) or strict (any of CPU, memory and GPU above 80 %)',
    choices: GUARDS,
    read: readChoice(GUARDS),
    fallback: 'demand',
    fallbackText: 'demand',
  },
  smoothing: {
    flag: 'smoothing',
    value: 'NAME',
    group: RENDERING,
    summary: 'of the load: window (the mean of the last ten seconds) or average (older samples fade)',
    choices: SMOOTHINGS,
    read: readChoice(SMOOTHINGS),
    fallback: 'window',
    fallbackText: 'window',
  },
  coolDownMs: {
    flag: 'cool-down',
    value: 'TIME',
    group: RENDERING,
    summary: 'between two changes of the number of renderers',
    read: readDuration,
    fallback: 10_000,
    fallbackText: '10s',
  },
  idleMs: {
    flag: 'idle',
    value: 'TIME',
    group: RENDERING,
    summary: 'a renderer beyond --min that had nothing to do for so long is stopped',
    read: readDuration,
    fallback: 60_000,
    fallbackText: '1m',
  },
  rendersMax: {
    flag: 'renders-max',
    value: 'N',
    group: RENDERING,
    summary: 'images after which a renderer process is replaced',
    read: readCount(1, Number.MAX_SAFE_INTEGER),
    fallback: null,
    fallbackText: '10000 with Blender',
  },
  rssBytesMax: {
    flag: 'memory-max',
    value: 'BYTES',
    group: RENDERING,
    summary: 'memory beyond which a renderer is replaced after its image, and at twice as much at once',
    read: readBytes(MIB, TIB),
    fallback: 4 * GIB,
    fallbackText: '4GiB',
  },
  checkImages: {
    flag: 'check-images',
    group: RENDERING,
    summary: 'images that are black although lights are on, and files without an end, count as failed',
    read: readSwitch,
    fallback: false,
  },
  sceneBytes: {
    flag: 'scene-bytes',
    value: 'BYTES',
    group: KEEPING,
    summary: 'disk for scenes that drivers sent; what was used longest ago goes first',
    read: readBytes(MIB, TIB),
    fallback: 8 * GIB,
    fallbackText: '8GiB',
  },
  builtinSleepMs: {
    flag: 'builtin-sleep',
    value: 'TIME',
    group: RENDERING,
    summary: 'with --backend builtin: time that each image takes more',
    hidden: true,
    read: readDuration,
    fallback: 0,
  },
  builtinInstant: {
    flag: 'builtin-instant',
    group: RENDERING,
    summary: 'with --backend builtin: every pixel the same, without tracing a ray',
    hidden: true,
    read: readSwitch,
    fallback: false,
  },
  tokenFile: {
    flag: 'token-file',
    value: 'FILE',
    group: SECURITY,
    summary: 'a secret that is shown to the main node, and asked of it',
    read: readText,
    fallback: null,
  },
  tlsCert: {
    flag: 'tls-cert',
    value: 'FILE',
    group: SECURITY,
    summary: 'certificate chain (PEM): it speaks TLS, with its main node too',
    read: readText,
    fallback: null,
  },
  tlsKey: {
    flag: 'tls-key',
    value: 'FILE',
    group: SECURITY,
    summary: 'its private key (PEM)',
    read: readText,
    fallback: null,
  },
  tlsCa: {
    flag: 'tls-ca',
    value: 'FILE',
    group: SECURITY,
    summary: 'authorities (PEM) that the main node has its certificate from',
    read: readText,
    fallback: null,
  },
  drainTimeoutMs: drainTimeoutFlag('to finish the images it has'),
  logLevel: LOG_LEVEL_FLAG,
  json: JSON_FLAG,
};

const COMMAND_FLAGS: FlagTable<WorkerCommandFlags> = {
  main: {
    flag: 'main',
    value: 'H:P,…',
    group: MAIN,
    summary: 'RPC address of the main node, and of those that stand by for it',
    read: (text) => readEndpoints(text).join(),
    fallback: null,
    fallbackText: 'must be given, or --registry',
  },
  registry: {
    flag: 'registry',
    value: 'H:P,…',
    group: MAIN,
    summary: 'registries that know the main node',
    read: readEndpoints,
    fallback: null,
  },
  connectTimeoutMs: {
    flag: 'connect-timeout',
    value: 'TIME',
    group: MAIN,
    summary: 'how long to try to register at the start; 0: for ever',
    read: readDuration,
    fallback: 0,
    fallbackText: '0',
  },
  listen: {
    flag: 'listen',
    value: 'H:P',
    group: LISTEN,
    summary: 'RPC, for the main node',
    read: readListen(EVERYWHERE),
    fallback: { host: LOOPBACK, port: RENDER_WORKER_PORT },
    fallbackText: `${LOOPBACK}:${RENDER_WORKER_PORT}`,
  },
  advertise: {
    flag: 'advertise',
    value: 'H:P',
    group: LISTEN,
    summary: 'where the main node reaches it',
    read: readHostPort,
    fallback: null,
    fallbackText: 'as --listen; of 0.0.0.0 the address from which it reaches the main node',
  },
  metrics: {
    flag: 'metrics',
    value: 'H:P',
    group: LISTEN,
    summary: '/metrics, /healthz and /readyz',
    read: readListen(LOOPBACK),
    fallback: 'off',
    fallbackText: 'off',
  },
  name: {
    flag: 'name',
    value: 'NAME',
    group: MAIN,
    summary: 'what people see of it',
    read: readText,
    fallback: null,
    fallbackText: 'host name and port',
  },
  tags: {
    flag: 'tags',
    value: 'TAG,…',
    group: MAIN,
    summary: 'kinds of jobs it takes beside those without a tag',
    read: readList,
    fallback: [],
  },
  token: {
    flag: 'token',
    value: 'TEXT',
    group: SECURITY,
    summary: 'as --token-file, for tests: others on this machine can see it',
    read: readText,
    fallback: null,
  },
  scenes: {
    flag: 'scenes',
    value: 'DIR',
    group: KEEPING,
    summary: 'folder that keeps scenes over a restart, of this node alone',
    read: readText,
    fallback: null,
    fallbackText: 'a temporary one',
  },
  lifeline: {
    flag: 'lifeline',
    group: RUNNING,
    summary: 'stop when standard input ends: whoever started this process is gone',
    hidden: true,
    read: readSwitch,
    fallback: false,
  },
  ...WORKER_FLAGS,
};

export const RENDER_WORKER_COMMANDS: readonly CommandSpec[] = [
  declareCommand({
    words: ['render', 'worker'],
    summary: 'run a worker node: renderer processes that do what a main node hands out',
    flags: COMMAND_FLAGS,
    complete: (flags, _operands, context) => {
      checkWorker(flags, context);
      const { main, registry, token, tokenFile } = flags;
      if (main === null && registry === null)
        throw new UsageError(
          '--main: say where the main node is, such as --main 10.0.0.1:7600, or --registry',
        );
      if (main !== null && registry !== null) throw new UsageError('--registry: either this or --main');
      if (token !== null && tokenFile !== null) throw new UsageError('--token: either this or --token-file');
      const listen = addressOf('listen', flags.listen);
      if (listen === null) throw new UsageError('--listen: a worker node has to be reached');
      const options: RenderWorkerOptions = {
        ...flags,
        ...sizesOf(flags),
        verb: 'worker',
        listen,
        metrics: addressOf('metrics', flags.metrics),
      };
      return { kind: 'render', options };
    },
  }),
];

/** How many renderers, and how many threads each: together they fill the machine. */
export function sizesOf(
  { min, max, threads }: Pick<WorkerFlags, 'min' | 'max' | 'threads'>,
  cores: number = availableParallelism(),
): { max: number; threads: number } {
  const most = max ?? Math.max(min, Math.min(RENDERERS_MAX, Math.floor(cores / (threads ?? 1))));
  return { max: most, threads: threads ?? (max === null ? 1 : Math.max(1, Math.floor(cores / max))) };
}

/** What must agree, however it is started. @throws UsageError */
export function checkWorker(flags: WorkerFlags, context: ArgsContext): void {
  const { min, max, tlsCert, tlsKey, tlsCa, backend, scene } = flags;
  if (max !== null && max < min) throw new UsageError(`--max: should be at least --min, which is ${min}`);
  if (backend !== 'blender' && scene !== null) throw new UsageError('--scene: needs --backend blender');
  checkServerTls(flags);
  refuseUnreadable('tls-cert', tlsCert, context);
  refuseUnreadable('tls-key', tlsKey, context);
  refuseUnreadable('tls-ca', tlsCa, context);
  refuseUnreadable('token-file', flags.tokenFile, context);
  refuseUnreadable('scene', scene, context);
}

function addressOf(flag: string, listen: Listen): ListenAddress | null {
  if (listen === 'off') return null;
  if ('port' in listen) return listen;
  throw new UsageError(`--${flag}: should be HOST:PORT, not an inherited socket`);
}
