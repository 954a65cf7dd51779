// What the web side of a main node can be told, and what it takes when it is not told.

import type { TlsServerOptions } from '../../reactor/index.js';
import { RenderError } from '../errors.js';

export interface FarmWebOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 7680; 0: a free one. */
  readonly port?: number;
  /**
   * Who shows one of these may see and do everything; none: whoever gets here may. Asked at each request, so that new ones
   * count at once. Default: none.
   */
  readonly tokens?: () => readonly string[];
  /** Names by which browsers may call this server while it has no tokens, beside addresses, localhost and its own. */
  readonly hosts?: readonly string[];
  readonly tls?: TlsServerOptions | null;
  /** Null: the main node accepts work; else why it does not. Default: it does. */
  readonly notReady?: () => string | null;
  /** More figures for /metrics, as Prometheus text. */
  readonly metrics?: () => Promise<string>;
  /** HOST:PORT where drivers and worker nodes reach the main node: the page puts it into the commands it shows. */
  readonly mainAddress?: string;
  /** Of the program. */
  readonly version?: string;
  /** Told of what was answered with 500. */
  readonly onError?: (error: unknown) => void;
  /** Pages that are kept up to date at once. Default 64. */
  readonly watchersMax?: number;
  /** Unread bytes after which a watcher is told to reload, and dropped. Default 1 MiB. */
  readonly watcherBytesMax?: number;
  /** How long changes are gathered before watchers are told, in ms. Default 200. */
  readonly gatherMs?: number;
  /** Time between two points of the load graphs, in ms. Default 2000. */
  readonly loadStepMs?: number;
}

export type FarmWebSettings = Required<FarmWebOptions>;

export const FARM_WEB_DEFAULTS: FarmWebSettings = {
  host: '127.0.0.1',
  port: 7680,
  tokens: () => [],
  hosts: [],
  tls: null,
  notReady: () => null,
  metrics: async () => '',
  mainAddress: '',
  version: '',
  onError: () => {},
  watchersMax: 64,
  watcherBytesMax: 1024 * 1024,
  gatherMs: 200,
  loadStepMs: 2000,
};

const NUMBERS = {
  port: [0, 65_535],
  watchersMax: [1, 65_536],
  watcherBytesMax: [1024, 2 ** 30],
  gatherMs: [0, 60_000],
  loadStepMs: [10, 600_000],
} as const satisfies Partial<Record<keyof FarmWebSettings, readonly [number, number]>>;

/** @throws RenderError RENDER_OPTION_INVALID */
export function completeFarmWebOptions(options: FarmWebOptions): FarmWebSettings {
  const settings: FarmWebSettings = { ...FARM_WEB_DEFAULTS, ...options };
  for (const [name, [min, max]] of Object.entries(NUMBERS)) {
    const value = settings[name as keyof typeof NUMBERS]; // the names of the table
    if (Number.isInteger(value) && value >= min && value <= max) continue;
    throw new RenderError(
      'RENDER_OPTION_INVALID',
      `${name} should be a whole number from ${min} to ${max}, not ${value}`,
    );
  }
  return settings;
}
