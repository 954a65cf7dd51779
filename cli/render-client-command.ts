// The commands of the area `render` for those who use a farm; the servers have theirs beside it.

import type { CommandSpec } from './command-spec.js';
import { RENDER_FARM_COMMANDS, type RenderFarmOptions } from './render-farm-command.js';
import { RENDER_SUBMIT_COMMANDS, type RenderSubmitOptions } from './render-submit-command.js';

export type RenderClientOptions = RenderSubmitOptions | RenderFarmOptions;

export const RENDER_CLIENT_COMMANDS: readonly CommandSpec[] = [
  ...RENDER_SUBMIT_COMMANDS,
  ...RENDER_FARM_COMMANDS,
];
