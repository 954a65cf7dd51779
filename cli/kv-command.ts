// The commands of the area `kv`: each verb declares its own in a file, and kv.ts carries them out.

import type { CommandSpec } from './command-spec.js';
import { KV_SERVE_COMMANDS, type KvLocalOptions, type KvServeOptions } from './kv-serve-command.js';

export type KvOptions = KvServeOptions | KvLocalOptions;

export const KV_COMMANDS: readonly CommandSpec[] = [...KV_SERVE_COMMANDS];
