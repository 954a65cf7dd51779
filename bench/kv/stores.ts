// The stores that the KV suite starts, and where their leaders are. Everything they write lies in one folder of the suite's,
// so all of them use the same disk.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { LAUNCHER } from '../paths.js';
import type { Subject, SubjectSpec } from '../subject.js';
import { nodePeer } from '../subjects.js';

export const OURS = 'reactor-net kv';
export const ETCD = 'etcd';
export const REDIS = 'redis appendfsync always';

const ASK_TIMEOUT_MS = 30_000;

/** Three members, as `kv local` runs them: every answer waits for fdatasync of two. */
export function ours(folder: string): SubjectSpec {
  const flags = ['--nodes', '3', '--base-port', '0', '--data', made(folder, 'ours')];
  return {
    name: OURS,
    command: process.execPath,
    args: [LAUNCHER, 'kv', 'local', ...flags, '--log-level', 'error', '--json'],
  };
}

export function etcd(folder: string): SubjectSpec {
  return nodePeer(ETCD, 'etcd-cluster', [made(folder, 'etcd')]);
}

export function redis(folder: string): SubjectSpec {
  return nodePeer(REDIS, 'redis', [made(folder, 'redis')]);
}

export interface MemberListen {
  readonly rpc: string;
  readonly resp: string;
  readonly http: string;
}

export interface MemberStatus {
  readonly id: number;
  readonly leader: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
}

/** Of our members, in the order of their ids. */
export function membersOf(subject: Subject): readonly { id: number; pid: number; listen: MemberListen }[] {
  return subject.ready['members'] as { id: number; pid: number; listen: MemberListen }[]; // as `kv local` prints it
}

export async function statusOf({ http }: MemberListen): Promise<MemberStatus> {
  const response = await fetch(`http://${http}/status`, { signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
  return (await response.json()) as MemberStatus; // kv/kv-server.ts writes it
}

/** Where our leader is. @throws Error when there is none. */
export async function leaderOf(subject: Subject): Promise<MemberListen> {
  const members = membersOf(subject);
  const { leader } = await statusOf(members[0]!.listen); // there are three
  const found = members.find(({ id }) => id === leader);
  if (found === undefined) throw new Error(`${subject.name} has no leader`);
  return found.listen;
}

/** `host:port` that clients of the load generator connect to: the leader's, for both, which is the faster way for both. */
export async function storeAddress(subject: Subject): Promise<string> {
  return subject.name === OURS ? (await leaderOf(subject)).rpc : etcdLeader(subject);
}

async function etcdLeader(subject: Subject): Promise<string> {
  for (const address of Object.values(subject.listen)) {
    const response = await fetch(`http://${address}/v3/maintenance/status`, {
      method: 'POST',
      body: '{}',
      signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
    });
    const { header, leader } = (await response.json()) as { header: { member_id: string }; leader: string };
    if (header.member_id === leader) return address;
  }
  throw new Error(`${subject.name} has no leader`);
}

function made(folder: string, name: string): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  return path;
}
