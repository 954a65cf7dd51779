// The options of a main node, with their defaults and what they have to be.

import type { TlsClientOptions, TlsServerOptions } from '../../reactor/index.js';
import { RenderError } from '../errors.js';
import { RENDERER_MESSAGE_BYTES_MAX } from '../renderer/message.js';
import type { SchedulerOptions } from './scheduler-options.js';

export interface MainAddress {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
}

export interface MainNodeOptions {
  /** RPC, for drivers, worker nodes and people. Default 0.0.0.0:7600. */
  readonly listen?: MainAddress;
  /** The same services over gRPC. Default null: not offered. */
  readonly grpc?: MainAddress | null;
  /** Folder that keeps jobs, results and scenes over a restart. Default null: a temporary one for what memory does not hold. */
  readonly dataDir?: string | null;
  /** What drivers and people show. Default '': everybody may come. */
  readonly driverToken?: string;
  /** What worker nodes show, and are shown. Default: `driverToken`. */
  readonly nodeToken?: string;
  readonly tls?: (TlsServerOptions & TlsClientOptions) | null;
  /** How many may be registered at once. Default 1,024 each. */
  readonly driversMax?: number;
  readonly nodesMax?: number;
  /** How often drivers and nodes beat, and after how many missed beats one is gone. Default 1,000 ms and 3. */
  readonly heartbeatMs?: number;
  readonly lives?: number;
  /** What worker nodes have to render with. Default null: all with the same, as the first of them has it. */
  readonly nodeVersion?: string | null;
  /** Of one image as it is sent. Default 256 MiB, which is also the most. */
  readonly imageBytesMax?: number;
  /** Of a message, either way. Default 4 MiB. */
  readonly messageBytesMax?: number;
  /** Of images that are kept: in memory, and in memory and on disk together. Default 256 MiB and 8 GiB. */
  readonly resultMemoryBytes?: number;
  readonly resultBytesMax?: number;
  /** How long images of a finished job are kept, and how long it is known. Default 1 hour and 1 day. */
  readonly resultKeepMs?: number;
  readonly jobKeepMs?: number;
  /** Of .blend files. Default 2 GiB. */
  readonly sceneBytesMax?: number;
  readonly scheduler?: SchedulerOptions;
}

export type CompleteMainOptions = Required<MainNodeOptions>;

export const MAIN_PORT = 7600;
const MIB = 2 ** 20;
const IMAGE_BYTES_MAX = RENDERER_MESSAGE_BYTES_MAX - 64 * 1024;

const DEFAULTS: CompleteMainOptions = {
  listen: { host: '0.0.0.0', port: MAIN_PORT },
  grpc: null,
  dataDir: null,
  driverToken: '',
  nodeToken: '',
  tls: null,
  driversMax: 1024,
  nodesMax: 1024,
  heartbeatMs: 1000,
  lives: 3,
  nodeVersion: null,
  imageBytesMax: IMAGE_BYTES_MAX,
  messageBytesMax: 4 * MIB,
  resultMemoryBytes: 256 * MIB,
  resultBytesMax: 8192 * MIB,
  resultKeepMs: 3_600_000,
  jobKeepMs: 86_400_000,
  sceneBytesMax: 2048 * MIB,
  scheduler: {},
};

/** @throws RenderError RENDER_OPTION_INVALID naming the option */
export function mainOptions(given: MainNodeOptions): CompleteMainOptions {
  const options = { ...DEFAULTS, ...given };
  for (const [name, value] of Object.entries(options)) {
    if (typeof value !== 'number') continue;
    if (!(Number.isFinite(value) && value > 0))
      throw new RenderError('RENDER_OPTION_INVALID', `${name}: ${value} is no number above 0`);
  }
  if (options.messageBytesMax < 4 * MIB)
    throw new RenderError(
      'RENDER_OPTION_INVALID',
      'messageBytesMax: below 4 MiB chunks of images do not fit',
    );
  if (options.imageBytesMax > IMAGE_BYTES_MAX)
    throw new RenderError(
      'RENDER_OPTION_INVALID',
      `imageBytesMax: renderers answer with ${IMAGE_BYTES_MAX} at most`,
    );
  return options.nodeToken === '' ? { ...options, nodeToken: options.driverToken } : options;
}
