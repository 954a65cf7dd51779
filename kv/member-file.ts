// What a data folder belongs to: cluster, member, and the voters that the cluster began with. Written once, when the
// member starts for the first time; later flags that say otherwise are refused. kv-server.ts reads it before the log.

import { open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { KvError } from './errors.js';

export interface MemberFacts {
  readonly clusterId: number;
  readonly memberId: number;
  /** Empty for a member that joined. */
  readonly firstMembers: readonly number[];
}

const NAME = 'MEMBER';
const FORMAT = 1;

/** null: the folder is new. @throws KvError KV_LOG_FOREIGN, KV_IO */
export async function readMemberFile(folder: string): Promise<MemberFacts | null> {
  const file = path.join(folder, NAME);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new KvError('KV_IO', `${file} cannot be read: ${String(error)}`, { cause: error, file });
  }
  try {
    const { format, clusterId, memberId, firstMembers } = JSON.parse(text) as Record<string, unknown>;
    const isRight =
      format === FORMAT &&
      Number.isSafeInteger(clusterId) &&
      Number.isSafeInteger(memberId) &&
      Array.isArray(firstMembers) &&
      firstMembers.every(Number.isSafeInteger);
    if (isRight) return { clusterId, memberId, firstMembers } as MemberFacts; // judged above
  } catch {
    // told below
  }
  throw new KvError('KV_LOG_FOREIGN', `${file} is not of this version, or damaged`, { file });
}

/** Durable once it resolves. @throws KvError KV_IO */
export async function writeMemberFile(folder: string, facts: MemberFacts): Promise<void> {
  const file = path.join(folder, NAME);
  try {
    const temporary = await open(`${file}.tmp`, 'w', 0o600);
    try {
      await temporary.writeFile(`${JSON.stringify({ format: FORMAT, ...facts })}\n`);
      await temporary.sync();
    } finally {
      await temporary.close();
    }
    await rename(`${file}.tmp`, file);
    const directory = await open(folder, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (error) {
    throw new KvError('KV_IO', `${file} cannot be written: ${String(error)}`, { cause: error, file });
  }
}
