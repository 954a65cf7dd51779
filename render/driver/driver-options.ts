// The options of those who call a main node, with their defaults, checked once.
// render-driver.ts and farm-client.ts complete theirs here, and connect with them.

import type { TlsClientOptions } from '../../reactor/index.js';
import { RpcClient } from '../../rpc/index.js';
import { RenderError } from '../errors.js';
import { errorOfCall } from './failures.js';

export interface FarmClientOptions {
  /** RPC address of the main node, `host:port`; several with commas when a standby may take over. */
  main: string;
  /** Shown to main nodes that ask for one. Default none. */
  token?: string;
  tls?: TlsClientOptions;
  /** Milliseconds for one question, all attempts together. Default 10,000. */
  callTimeoutMs?: number;
  /** How long images are awaited while the main node cannot be reached, in ms. Default 60,000. */
  reconnectMs?: number;
}

export interface RenderDriverOptions extends FarmClientOptions {
  /** Shown to people beside its jobs. Default 'driver'. */
  name?: string;
  /** Of the cluster it wants; main nodes may refuse others. Default '': any. */
  version?: string;
}

export type CompleteClientOptions = Required<Omit<FarmClientOptions, 'tls'>> & {
  readonly tls: TlsClientOptions | null;
};
export type CompleteDriverOptions = CompleteClientOptions &
  Required<Pick<RenderDriverOptions, 'name' | 'version'>>;

const DURATION_MS_MAX = 2 ** 31 - 1;

/** @throws RenderError RENDER_OPTION_INVALID naming the option */
export function completeClientOptions(options: FarmClientOptions): CompleteClientOptions {
  const { main, token = '', tls = null, callTimeoutMs = 10_000, reconnectMs = 60_000 } = options;
  if (typeof main !== 'string' || main === '')
    throw new RenderError('RENDER_OPTION_INVALID', 'main must be the address of a main node, host:port');
  if (typeof token !== 'string') throw new RenderError('RENDER_OPTION_INVALID', 'token must be text');
  checkNumber('callTimeoutMs', callTimeoutMs, 1, DURATION_MS_MAX);
  checkNumber('reconnectMs', reconnectMs, 0, DURATION_MS_MAX);
  return { main, token, tls, callTimeoutMs, reconnectMs };
}

/** @throws RenderError RENDER_OPTION_INVALID naming the option */
export function completeDriverOptions(options: RenderDriverOptions): CompleteDriverOptions {
  const { name = 'driver', version = '' } = options;
  if (typeof name !== 'string' || typeof version !== 'string')
    throw new RenderError('RENDER_OPTION_INVALID', 'name and version must be text');
  return { ...completeClientOptions(options), name, version };
}

/** Connects to nothing yet. @throws RenderError RENDER_OPTION_INVALID */
export function clientOf(options: CompleteClientOptions): RpcClient {
  const { main, token, tls, callTimeoutMs } = options;
  try {
    return new RpcClient({
      target: main,
      name: `the main node ${main}`,
      timeoutMs: callTimeoutMs,
      ...(token === '' ? {} : { token }),
      ...(tls === null ? {} : { tls }),
      // There is one main node at a time: to leave it alone because it failed would be to stop.
      selector: { outlier: false, breaker: false },
      pool: { connectionsMin: 1, backoffFirstMs: 100, backoffMaxMs: 2_000, connectTimeoutMs: callTimeoutMs },
    });
  } catch (error) {
    throw errorOfCall(error);
  }
}

/** @throws RenderError RENDER_OPTION_INVALID naming the option */
export function checkNumber(name: string, value: unknown, min: number, max: number): void {
  if (typeof value === 'number' && value >= min && value <= max) return;
  throw new RenderError('RENDER_OPTION_INVALID', `${name} must be a number from ${min} to ${max}`);
}
