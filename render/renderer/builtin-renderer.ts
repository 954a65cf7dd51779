// The built-in renderer as a program to start: a small path tracer in a Node process of its own.
// With it everything works where there is no Blender; its faults are for tests and rehearsals. builtin/main.ts is the program.

import { fileURLToPath } from 'node:url';

import type { Renderer } from './renderer.js';

/** What it shall do wrong at its Nth request, counted from 1 in every process anew; 0: before it is ready. */
export type BuiltinFault =
  | 'crash' // dies half-way through the image
  | 'hang' // stops half-way through the image, deaf to SIGTERM
  | 'garbage' // replies with bytes that are no message
  | 'stray' // replies to a request that nobody made
  | 'error'; // replies EC_RENDER_FAILED

export interface BuiltinRendererOptions {
  /** Every pixel the same, without tracing a ray. Default false. */
  instant?: boolean;
  /** Milliseconds that each request takes more. Default 0. */
  sleepMs?: number;
  /** Lines it prints at each request. Default 0. */
  chatterLines?: number;
  faults?: readonly { readonly fault: BuiltinFault; readonly at: number }[];
}

/** It does not grow; starting another one takes as long as hundreds of small images. */
const RENDERS_MAX = 1_000_000;
const MAIN = new URL('./builtin/main.js', import.meta.url);

export function builtinRenderer(options: BuiltinRendererOptions = {}): Renderer {
  const { instant = false, sleepMs = 0, chatterLines = 0, faults = [] } = options;
  const addon = process.env['REACTOR_NET_ADDON'];
  return {
    name: 'builtin',
    rendersMax: RENDERS_MAX,
    command: process.execPath,
    args: [
      fileURLToPath(MAIN),
      ...(instant ? ['--instant'] : []),
      ...(sleepMs > 0 ? ['--sleep-ms', String(sleepMs)] : []),
      ...(chatterLines > 0 ? ['--chatter-lines', String(chatterLines)] : []),
      ...faults.flatMap(({ fault, at }) => ['--fault', `${fault}@${at}`]),
    ],
    environment: addon === undefined ? {} : { REACTOR_NET_ADDON: addon },
    backing: 'auto',
  };
}
