// The commands of the area `kv`: each verb declares its own in a file, and kv.ts carries them out.

import type { CommandSpec } from './command-spec.js';
import { KV_ADMIN_COMMANDS, type KvAdminOptions } from './kv-admin-command.js';
import { KV_CLIENT_COMMANDS, type KvKeyOptions } from './kv-client-command.js';
import { KV_SERVE_COMMANDS, type KvLocalOptions, type KvServeOptions } from './kv-serve-command.js';

export type KvOptions = KvServeOptions | KvLocalOptions | KvKeyOptions | KvAdminOptions;

export const KV_COMMANDS: readonly CommandSpec[] = [
  ...KV_SERVE_COMMANDS,
  ...KV_CLIENT_COMMANDS,
  ...KV_ADMIN_COMMANDS,
];
