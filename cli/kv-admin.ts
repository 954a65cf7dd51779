// The commands of an operator: status.

import { type KvError, type MemberStatus } from '../kv/index.js';
import type { KvStatusOptions } from './kv-admin-command.js';
import { say } from './kv-client.js';
import { withClerk } from './kv-session.js';
import { EXIT_FAILED, EXIT_UNREACHABLE, type Io } from './main.js';
import { formatTable } from './text-table.js';

export function kvStatus(options: KvStatusOptions, io: Io): Promise<number> {
  const { json } = options;
  const endpoints = options.endpoints ?? [];
  return withClerk(options, io, async (clerk) => {
    const asked = await Promise.all(
      endpoints.map((address) =>
        clerk.admin.status(address).then(
          (status) => ({ address, status, error: null }),
          (error: KvError) => ({ address, status: null, error }),
        ),
      ),
    );
    const rows: string[][] = [];
    for (const { address, status, error } of asked) {
      if (status !== null) {
        if (json) say(io, json, { event: 'status', ...status }, null);
        else rows.push(rowOf(status));
      } else {
        const { code, message } = error;
        if (json) say(io, json, { event: 'status', address, error: { code, message } }, null);
        else rows.push([address, '', code]);
      }
    }
    if (!json) io.stdout.write(`${formatTable([HEAD, ...rows], 4)}\n`);
    const reached = asked.filter(({ status }) => status !== null).length;
    if (reached === 0) return EXIT_UNREACHABLE;
    return reached < endpoints.length ? EXIT_FAILED : 0;
  });
}

const HEAD = ['endpoint', 'id', 'role', 'leader', 'term', 'applied', 'revision', 'keys', 'memory', 'log'];

function rowOf(status: MemberStatus): string[] {
  const { address, id, role, leader, term, appliedIndex, revision, keys, memoryBytes, logBytes } = status;
  const numbers = [term, appliedIndex, revision, keys, memoryBytes, logBytes];
  return [address, String(id), role, leader === 0 ? 'none' : String(leader), ...numbers.map(String)];
}
