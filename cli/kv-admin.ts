// The commands of an operator that look at a cluster or nudge it: status, transfer, snapshot, check.

import { type Clerk, KvError, type MemberStatus, type StateHash } from '../kv/index.js';
import type {
  KvCheckOptions,
  KvSnapshotOptions,
  KvStatusOptions,
  KvTransferOptions,
} from './kv-admin-command.js';
import { say } from './kv-client.js';
import { withClerk } from './kv-session.js';
import { EXIT_FAILED, EXIT_UNREACHABLE, type Io } from './main.js';
import { formatTable } from './text-table.js';

type Asked<A> =
  | { readonly address: string; readonly answer: A; readonly error: null }
  | { readonly address: string; readonly answer: null; readonly error: KvError };

export function kvStatus(options: KvStatusOptions, io: Io): Promise<number> {
  const { json } = options;
  return withClerk(options, io, async (clerk) => {
    const asked = await askEach(options.endpoints ?? [], (address) => clerk.admin.status(address));
    const rows: string[][] = [];
    for (const { address, answer: status, error } of asked) {
      if (status !== null) say(io, json, { event: 'status', ...status }, null);
      else
        say(
          io,
          json,
          { event: 'status', address, error: { code: error.code, message: error.message } },
          null,
        );
      rows.push(status === null ? [address, '', error.code] : rowOf(status));
    }
    if (!json) io.stdout.write(`${formatTable([HEAD, ...rows], 4)}\n`);
    return codeOf(asked);
  });
}

export function kvTransfer(options: KvTransferOptions, io: Io): Promise<number> {
  return withClerk(options, io, async (clerk) => {
    const leader = await clerk.admin.transfer(options.to);
    say(
      io,
      options.json,
      { event: 'transfer', leader },
      leader === 0 ? 'handed over' : `member ${leader} leads`,
    );
    return options.to !== 0 && leader !== 0 && leader !== options.to ? EXIT_FAILED : 0;
  });
}

export function kvSnapshot(options: KvSnapshotOptions, io: Io): Promise<number> {
  const { json } = options;
  return withClerk(options, io, async (clerk) => {
    const asked = await askEach(options.endpoints ?? [], (address) => clerk.admin.snapshot(address));
    for (const { address, answer, error } of asked) {
      if (answer !== null) {
        say(
          io,
          json,
          { event: 'snapshot', address, ...answer },
          `${address}  at entry ${answer.index}, ${answer.bytes} bytes`,
        );
      } else {
        const { code, message } = error;
        say(
          io,
          json,
          { event: 'snapshot', address, error: { code, message } },
          `${address}  ${code}: ${message}`,
        );
      }
    }
    return codeOf(asked);
  });
}

/** All members at the same entry: a mark is put into the log, and each says the hash of its state as of it. */
export function kvCheck(options: KvCheckOptions, io: Io): Promise<number> {
  const { json } = options;
  return withClerk(options, io, async (clerk) => {
    const { members, hashes } = await hashesOf(clerk);
    for (const [at, { address, answer, error }] of hashes.entries()) {
      const { id } = members[at]!;
      if (answer !== null) {
        say(io, json, { event: 'hash', id, address, ...answer }, `${id}  ${address}  ${answer.hash}`);
      } else {
        const { code, message } = error;
        say(
          io,
          json,
          { event: 'hash', id, address, error: { code, message } },
          `${id}  ${address}  ${code}: ${message}`,
        );
      }
    }
    const known = hashes.flatMap(({ answer }) => (answer === null ? [] : [answer]));
    const isSame = new Set(known.map(({ hash }) => hash)).size === 1;
    const isComplete = known.length === members.length;
    const index = known[0]?.index ?? 0;
    const verdict = !isSame
      ? 'they differ'
      : isComplete
        ? 'all the same'
        : 'the same, as far as they answered';
    say(
      io,
      json,
      { event: 'check', index, same: isSame, complete: isComplete },
      `at entry ${index}: ${verdict}`,
    );
    return isSame && isComplete ? 0 : EXIT_FAILED;
  });
}

async function hashesOf(
  clerk: Clerk,
): Promise<{ members: readonly { id: number; address: string }[]; hashes: readonly Asked<StateHash>[] }> {
  const members = await clerk.admin.members();
  const { index } = await clerk.admin.hash({ index: 0 });
  const hashes = await askEach(
    members.map(({ address }) => address),
    (address) => clerk.admin.hash({ address, index }),
  );
  return { members, hashes };
}

function askEach<A>(addresses: readonly string[], ask: (address: string) => Promise<A>): Promise<Asked<A>[]> {
  return Promise.all(
    addresses.map(async (address): Promise<Asked<A>> => {
      try {
        return { address, answer: await ask(address), error: null };
      } catch (error) {
        if (!(error instanceof KvError)) throw error;
        return { address, answer: null, error };
      }
    }),
  );
}

/** Some did not answer: 1; none did: 3. */
function codeOf(asked: readonly Asked<unknown>[]): number {
  const answered = asked.filter(({ error }) => error === null).length;
  if (answered === asked.length) return 0;
  return answered === 0 ? EXIT_UNREACHABLE : EXIT_FAILED;
}

const HEAD = ['endpoint', 'id', 'role', 'leader', 'term', 'applied', 'revision', 'keys', 'memory', 'log'];

function rowOf(status: MemberStatus): string[] {
  const { address, id, role, leader, term, appliedIndex, revision, keys, memoryBytes, logBytes } = status;
  const numbers = [term, appliedIndex, revision, keys, memoryBytes, logBytes];
  return [address, String(id), role, leader === 0 ? 'none' : String(leader), ...numbers.map(String)];
}
