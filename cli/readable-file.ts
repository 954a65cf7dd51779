// Files that flags name are looked at before anything starts, so that the mistake is named by its flag.
// serve-command.ts, registry-command.ts and rpc-target-flags.ts do so.

import type { ArgsContext } from './command-spec.js';
import { UsageError } from './flags.js';

/** @throws UsageError naming the flag: the file cannot be read. Null: the flag was not given. */
export function refuseUnreadable(flag: string, path: string | null, context: ArgsContext): void {
  if (path === null) return;
  try {
    context.readFile(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--${flag}: should be a file that can be read: ${reason}`);
  }
}
