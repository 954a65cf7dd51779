// `reactor-net kv status` and the other commands of an operator: their flags and operands. kv-admin.ts carries them out.

import { type ArgsContext, type Command, type CommandSpec, declareCommand } from './command-spec.js';
import { checkKvTarget, KV_TARGET_FLAGS, type KvTargetFlags } from './kv-client-flags.js';

export type KvStatusOptions = KvTargetFlags & { readonly verb: 'status' };
export type KvAdminOptions = KvStatusOptions;

export const KV_ADMIN_COMMANDS: readonly CommandSpec[] = [
  declareCommand({
    words: ['kv', 'status'],
    summary: 'what each endpoint says of itself; exit code 3 where none answers',
    flags: KV_TARGET_FLAGS,
    complete: (flags, _operands, context) => command({ ...flags, verb: 'status' }, context),
  }),
];

function command(options: KvAdminOptions, context: ArgsContext): Command {
  checkKvTarget(options, context);
  return { kind: 'kv', options };
}
