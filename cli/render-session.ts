// What the client commands of the area `render` stand on: how the main node is reached, how a failure is told, what Ctrl-C does.
// Exit codes: 1 the farm said no, 3 nobody was reached, 130 interrupted.

import { readFileSync } from 'node:fs';
import { FarmClient, type FarmClientOptions, RenderError } from '../render/index.js';
import { EXIT_FAILED, EXIT_UNREACHABLE, type Io } from './main.js';
import type { RenderTargetFlags } from './render-client-flags.js';
import { EXIT_INTERRUPTED } from './shutdown.js';

export function clientOptionsOf(flags: RenderTargetFlags): FarmClientOptions {
  const { main, timeoutMs, token, tokenFile, tls, tlsCa, tlsCert, tlsKey, tlsServerName } = flags;
  const shown = token ?? (tokenFile === null ? null : readFileSync(tokenFile, 'utf8').trim());
  const isTls = tls || tlsCa !== null || tlsCert !== null || tlsServerName !== null;
  const tlsOptions = {
    ...(tlsCa === null ? {} : { caFile: tlsCa }),
    ...(tlsCert === null || tlsKey === null ? {} : { certFile: tlsCert, keyFile: tlsKey }),
    ...(tlsServerName === null ? {} : { serverName: tlsServerName }),
  };
  return {
    main,
    callTimeoutMs: timeoutMs,
    ...(shown === null ? {} : { token: shown }),
    ...(isTls ? { tls: tlsOptions } : {}),
  };
}

/** Runs `work` with a client of the farm, which is closed behind it. @returns the exit code */
export function withFarm(
  flags: RenderTargetFlags,
  io: Io,
  work: (farm: FarmClient, signal: AbortSignal) => Promise<number>,
): Promise<number> {
  return interruptible(flags, io, async (signal) => {
    const farm = new FarmClient(clientOptionsOf(flags));
    try {
      return await work(farm, signal);
    } finally {
      await farm.close();
    }
  });
}

/**
 * Runs `work`; the first SIGINT or SIGTERM aborts its signal, a second one ends the process at once. Words what fails.
 * @returns the exit code
 */
export async function interruptible(
  { json }: { readonly json: boolean },
  io: Io,
  work: (signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const stopping = new AbortController();
  const stop = (): void => {
    if (stopping.signal.aborted) process.exit(EXIT_INTERRUPTED);
    stopping.abort();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    const exitCode = await work(stopping.signal);
    return stopping.signal.aborted ? EXIT_INTERRUPTED : exitCode;
  } catch (error) {
    if (stopping.signal.aborted) return EXIT_INTERRUPTED;
    return reportRenderFailure(error, io, json);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

/** Prints it on standard error. @returns the exit code */
export function reportRenderFailure(error: unknown, io: Io, json: boolean): number {
  if (!(error instanceof RenderError)) throw error;
  const { code, message, retryAfterMs } = error;
  const facts = { event: 'error', code, message, ...(retryAfterMs === null ? {} : { retryAfterMs }) };
  if (json) io.stderr.write(`${JSON.stringify(facts)}\n`);
  else if (code === 'RENDER_UNAVAILABLE')
    io.stderr.write(`reactor-net: could not reach the main node: ${message}\n`);
  else io.stderr.write(`reactor-net: ${code}: ${message}\n`);
  return code === 'RENDER_UNAVAILABLE' ? EXIT_UNREACHABLE : EXIT_FAILED;
}

/** One fact: a JSON line, or a line for people; null: nothing for them. */
export function say(io: Io, json: boolean, facts: object, text: string | null): void {
  if (json) io.stdout.write(`${JSON.stringify(facts, withoutBigints)}\n`);
  else if (text !== null) io.stdout.write(`${text}\n`);
}

/** Ids and times are far below 2^53. */
function withoutBigints(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}
