// The commands of the area `render`: each verb declares its own in a file, and render.ts carries them out.

import type { CommandSpec } from './command-spec.js';
import { RENDER_CLIENT_COMMANDS, type RenderClientOptions } from './render-client-command.js';
import { RENDER_MAIN_COMMANDS, type RenderMainOptions } from './render-main-command.js';
import { RENDER_UP_COMMANDS, type RenderUpOptions } from './render-up-command.js';
import { RENDER_WORKER_COMMANDS, type RenderWorkerOptions } from './render-worker-command.js';

export type RenderOptions = RenderUpOptions | RenderMainOptions | RenderWorkerOptions | RenderClientOptions;

export const RENDER_COMMANDS: readonly CommandSpec[] = [
  ...RENDER_UP_COMMANDS,
  ...RENDER_MAIN_COMMANDS,
  ...RENDER_WORKER_COMMANDS,
  ...RENDER_CLIENT_COMMANDS,
];
