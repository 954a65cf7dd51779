// `reactor-net kv member` and `kv move`: who belongs to the cluster.
// A move is made of the same steps as by hand, each looked at before it is done, so that it can be repeated after a failure.

import { setTimeout as pause } from 'node:timers/promises';
import { type Clerk, type ClusterMember, KvError } from '../kv/index.js';
import type { KvMemberOptions, KvMoveOptions } from './kv-admin-command.js';
import { say } from './kv-client.js';
import { withClerk } from './kv-session.js';
import type { Io } from './main.js';
import { formatTable } from './text-table.js';

export function kvMember(options: KvMemberOptions, io: Io): Promise<number> {
  return withClerk(options, io, async (clerk) => {
    show(await changed(clerk, options), options.json, io);
    return 0;
  });
}

function changed(clerk: Clerk, options: KvMemberOptions): Promise<readonly ClusterMember[]> {
  const { admin } = clerk;
  switch (options.action) {
    case 'list':
      return admin.members({ stale: options.stale });
    case 'add':
      return admin.addMember(
        { id: options.id, address: options.address, respAddress: options.resp },
        { asVoter: options.voter },
      );
    case 'promote':
      return admin.promoteMember(options.id);
    case 'remove':
      return admin.removeMember(options.id);
    default:
      return options satisfies never;
  }
}

function show(members: readonly ClusterMember[], json: boolean, io: Io): void {
  for (const member of json ? members : []) say(io, json, { event: 'member', ...member }, null);
  if (json) return;
  const rows = members.map(({ id, role, address, respAddress, isLeader }) => [
    String(id),
    `${role}${isLeader ? ', leader' : ''}`,
    address,
    respAddress,
  ]);
  io.stdout.write(`${formatTable([['id', 'role', 'RPC', 'Redis'], ...rows], 4)}\n`);
}

const STEP_MS = 250;

export function kvMove(options: KvMoveOptions, io: Io): Promise<number> {
  const { from, to, json, resp, timeoutMs } = options;
  const endMs = performance.now() + timeoutMs;
  const tell = (step: string, text: string): void =>
    say(io, json, { event: 'move', step, from, to: to.id }, text);
  return withClerk(options, io, async (clerk) => {
    const { admin } = clerk;
    let told = '';
    const once = (step: string, text: string): void => {
      if (told !== step) tell(step, text);
      told = step;
    };
    let failure: KvError | null = null;
    while (performance.now() < endMs) {
      try {
        const members = await admin.members();
        const next = nextStep(members, from, to.id);
        switch (next) {
          case 'add':
            once('add', `taking member ${to.id} in`);
            await admin.addMember({ ...to, respAddress: resp });
            break;
          case 'promote':
            once('catch-up', `member ${to.id} catches up`);
            if (await hasCaughtUp(clerk, members, to)) await promote(clerk, to.id);
            break;
          case 'transfer':
            once('transfer', `member ${from} hands the leadership over`);
            await admin.transfer(0);
            break;
          case 'remove':
            once('remove', `taking member ${from} out`);
            await admin.removeMember(from);
            break;
          case 'done':
            tell('done', `member ${to.id} has the place of member ${from}`);
            show(members, json, io);
            return 0;
          default:
            next satisfies never;
        }
        failure = null;
      } catch (error) {
        if (!(error instanceof KvError) || !PASSING.has(error.code)) throw error;
        failure = error;
      }
      await pause(STEP_MS);
    }
    const text = `not done in ${timeoutMs} ms, and may be repeated${failure === null ? '' : `: ${failure.message}`}`;
    throw new KvError('KV_TIMEOUT', text, failure === null ? {} : { cause: failure });
  });
}

/** What the members say decides the step, not what was done before. */
export function nextStep(
  members: readonly Pick<ClusterMember, 'id' | 'role' | 'isLeader'>[],
  from: number,
  to: number,
): 'add' | 'promote' | 'transfer' | 'remove' | 'done' {
  const old = members.find(({ id }) => id === from);
  const added = members.find(({ id }) => id === to);
  if (added === undefined && old === undefined)
    throw new KvError('KV_MEMBER_INVALID', `there is neither a member ${from} nor a member ${to}`);
  if (added === undefined) return 'add';
  if (added.role !== 'voter') return 'promote';
  if (old === undefined) return 'done';
  return old.isLeader ? 'transfer' : 'remove';
}

/** Errors after which the next look at the members tells what to do. */
const PASSING: ReadonlySet<string> = new Set([
  'KV_OUTCOME_UNKNOWN',
  'KV_BUSY',
  'KV_NO_LEADER',
  'KV_NOT_LEADER',
  'KV_TIMEOUT',
  'KV_UNREACHABLE',
]);

/** The cluster may have promoted it by itself meanwhile. */
async function promote({ admin }: Clerk, id: number): Promise<void> {
  try {
    await admin.promoteMember(id);
  } catch (error) {
    if (!(error instanceof KvError) || error.code !== 'KV_MEMBER_INVALID') throw error;
  }
}

async function hasCaughtUp(
  clerk: Clerk,
  members: readonly ClusterMember[],
  to: { readonly id: number; readonly address: string },
): Promise<boolean> {
  const leader = members.find(({ isLeader }) => isLeader);
  if (leader === undefined) return false;
  const wait = { timeoutMs: 2000 };
  const [led, added] = await Promise.all([
    clerk.admin.status(leader.address, wait),
    clerk.admin.status(to.address, wait),
  ]);
  if (added.id !== to.id)
    throw new KvError('KV_MEMBER_INVALID', `at ${to.address} is member ${added.id}, not ${to.id}`);
  return added.appliedIndex + BEHIND_MAX >= led.commitIndex;
}

/** Entries that the new member may lack when it begins to vote. */
const BEHIND_MAX = 1000;
