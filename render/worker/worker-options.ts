// What a worker node may be asked for: who it is, where, what it keeps; defaults and checks, once.
// worker-node.ts reads it; inside, options are complete.

import type { TlsClientOptions, TlsServerOptions } from '../../reactor/index.js';
import { RenderError } from '../errors.js';
import type { AutoscalerOptions } from './autoscaler.js';
import type { TaskTableOptions } from './render-task.js';
import type { RendererPoolOptions } from './renderer-pool.js';

export interface WorkerAddress {
  readonly host: string;
  readonly port: number;
}

export interface DeskOptions {
  /** Bytes that images of requests which are here may take; more is refused with RENDER_OVERLOAD. Default 1 GiB. */
  readonly resultBytesMax?: number;
  /** How long an answered request is kept, should its answer have been lost on the way. Default 10,000. */
  readonly keptMs?: number;
  /** A request that nobody listens to for so long is canceled. Default 30,000. */
  readonly orphanMs?: number;
  /** Characters of what renderers printed, of all images of late, and how many images these are. Default 8 Mi and 4,096. */
  readonly logCharsMax?: number;
  readonly logImagesMax?: number;
  /** Images that are black although lights are on, and files without an end, are EC_BAD_IMAGE. Default false. */
  readonly checkImages?: boolean;
}

export interface SceneOptions {
  /** Folder for scenes, of this node alone. Default: one of its own, removed at the end. */
  readonly folder?: string | null;
  /** Bytes of all scenes together. Default 8 GiB. */
  readonly bytesMax?: number;
}

export interface WorkerNodeOptions {
  /** The main node, host:port; several with commas where others stand by for it. */
  readonly main?: string | null;
  /** Registries, host:port with commas, which know the main node. One of the two is needed. */
  readonly registry?: string | null;
  /** Default 127.0.0.1 and 7610. */
  readonly listen?: WorkerAddress;
  /** Where the main node reaches this one. Default: where it listens, and of a wildcard the way to the main node. */
  readonly advertise?: WorkerAddress | null;
  /** Default: the machine's name and the port. */
  readonly name?: string;
  readonly tags?: readonly string[];
  /** Share of the work beside other nodes, 1 to 1,000. Default 1. */
  readonly weight?: number;
  /** Shown to the main node, and asked of whoever calls. Default none. */
  readonly token?: string;
  /** Of this node as server, and as client of the main node. Default: no TLS. */
  readonly tls?: (TlsServerOptions & TlsClientOptions) | null;
  readonly pool?: RendererPoolOptions;
  readonly autoscaler?: Omit<AutoscalerOptions, 'min' | 'max'>;
  readonly tasks?: TaskTableOptions;
  readonly desk?: DeskOptions;
  readonly scenes?: SceneOptions;
  /** Resident bytes at which a renderer is ended in the middle of an image, with EC_OOM. Default: twice `rssBytesMax`. */
  readonly rssBytesKill?: number;
  /** How the load is smoothed. Default 'window'. */
  readonly smoothing?: 'window' | 'average';
  /** Between two looks at the machine, in ms. Default 1,000. */
  readonly sampleMs?: number;
}

const MIB = 1024 ** 2;
const RSS_BYTES_MAX = 4096 * MIB; // as renderer-options.ts has it

export const WORKER_PORT = 7610;

export const DESK_DEFAULTS: Required<DeskOptions> = {
  resultBytesMax: 1024 * MIB,
  keptMs: 10_000,
  orphanMs: 30_000,
  logCharsMax: 8 * MIB,
  logImagesMax: 4096,
  checkImages: false,
};

export type CompleteWorkerOptions = Required<Omit<WorkerNodeOptions, 'desk' | 'scenes'>> & {
  readonly desk: Required<DeskOptions>;
  readonly scenes: Required<SceneOptions>;
};

/** @throws RenderError RENDER_OPTION_INVALID naming the option */
export function completeWorkerOptions(options: WorkerNodeOptions): CompleteWorkerOptions {
  const listen = options.listen ?? { host: '127.0.0.1', port: WORKER_PORT };
  const complete = {
    main: null,
    registry: null,
    advertise: null,
    name: '',
    tags: [],
    weight: 1,
    token: '',
    tls: null,
    pool: {},
    autoscaler: {},
    tasks: {},
    rssBytesKill: 2 * (options.pool?.rssBytesMax ?? RSS_BYTES_MAX),
    smoothing: 'window' as const,
    sampleMs: 1000,
    ...options,
    listen,
    desk: { ...DESK_DEFAULTS, ...options.desk },
    scenes: { folder: null, bytesMax: 8192 * MIB, ...options.scenes },
  };
  if ((complete.main === null) === (complete.registry === null))
    throw invalid('main', 'either main or registry says where the main node is');
  const { weight, sampleMs, rssBytesKill, scenes, desk, tags } = complete;
  if (!Number.isInteger(weight) || weight < 1 || weight > 1000)
    throw invalid('weight', `should be a whole number from 1 to 1000, not ${weight}`);
  if (tags.includes('')) throw invalid('tags', 'a tag is not empty');
  const numbers = { sampleMs, rssBytesKill, scenesBytesMax: scenes.bytesMax, ...desk, checkImages: 1 };
  for (const [name, value] of Object.entries(numbers))
    if (!(value > 0)) throw invalid(name, `should be above 0, not ${String(value)}`);
  return complete;
}

function invalid(name: string, what: string): RenderError {
  return new RenderError('RENDER_OPTION_INVALID', `${name}: ${what}`);
}
