// The commands of the area `render`: each verb declares its own in a file, and render.ts carries them out.

import type { CommandSpec } from './command-spec.js';

export type RenderOptions = { readonly verb: never };

export const RENDER_COMMANDS: readonly CommandSpec[] = [];
