// Becomes another user for good: called once the listeners are bound, before a client can say anything.
// The numbers come from `id`, which asks the system's user databases as login does.

import { execFileSync } from 'node:child_process';
import { UsageError } from './flags.js';

/** Documented by Node, missing from its typings. */
type WithInitgroups = NodeJS.Process & { initgroups?(user: number, extraGroup: number): void };

/** @throws UsageError when there is no such user */
export function dropPrivileges(user: string): void {
  const uid = numberOf('-u', user);
  const gid = numberOf('-g', user);
  // Groups first: afterwards there is no right to change them any more.
  (process as WithInitgroups).initgroups?.(uid, gid);
  process.setgid?.(gid);
  process.setuid?.(uid);
}

function numberOf(what: '-u' | '-g', user: string): number {
  try {
    return Number(
      execFileSync('id', [what, '--', user], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    );
  } catch {
    throw new UsageError(`--user: there is no user "${user}" on this system`); // id said so on the closed stream
  }
}
