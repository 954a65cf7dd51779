// Makes the data folder of a member of a new cluster from a backup: `kv restore`, once for each member, with the same file and
// the same list of members. The cluster has an id of its own, so that members of the old one cannot take part in it; where the
// old members were is forgotten. Everything else is as it was, sessions and leases too.

import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { KvError } from '../errors.js';
import { BatchWriter, ItemWriter } from '../machine/batch.js';
import { Machine } from '../machine/machine.js';
import { writeMemberFile } from '../member-file.js';
import { stateChunks } from '../node/state-file.js';
import { membershipOf } from '../raft/index.js';
import { DiskFiles } from '../wal/disk-files.js';
import { SnapshotFiles } from '../wal/snapshot-files.js';
import { Wal } from '../wal/wal.js';
import { type BackupFacts, type BackupSeal, readBackup } from './backup-file.js';

export interface RestoreOptions {
  readonly dataDir: string;
  /** The member whose folder it is. */
  readonly id: number;
  /** Ids and RPC addresses of the members of the new cluster. */
  readonly cluster: ReadonlyMap<number, string>;
  /** Default: made of the backup and the members. */
  readonly clusterId?: number | null;
}

export interface Restored extends BackupFacts, BackupSeal {
  readonly newClusterId: number;
  readonly keys: number;
}

/** Settings that say where members of the old cluster were. */
const OLD_MEMBERS = /^(?:member:\d+|removed-members|alarm-disk-\d+)$/;
const WRITE = 1;

/** @throws KvError KV_OPTION_INVALID: the folder is not empty; KV_SNAPSHOT_DAMAGED, KV_IO */
export async function restoreMember(file: string, options: RestoreOptions): Promise<Restored> {
  const { dataDir, id, cluster } = options;
  if (!cluster.has(id)) throw new KvError('KV_OPTION_INVALID', `the new cluster has no member ${id}`);
  const files = await DiskFiles.open(dataDir);
  if ((await readdir(dataDir)).length > 0)
    throw new KvError(
      'KV_OPTION_INVALID',
      `${dataDir} is not empty: a restored member begins in an empty folder`,
    );
  const loader = Machine.loader();
  const backup = await readBackup(file, (piece) => loader.write(piece));
  const machine = loader.finish();
  const position = forgetMembers(machine, backup);
  const newClusterId = options.clusterId ?? clusterIdOf(backup, cluster);
  const snapshots = await SnapshotFiles.open(files, newClusterId);
  const voters = [...cluster.keys()].toSorted((a, b) => a - b);
  const snapshot = machine.snapshot();
  try {
    await snapshots.write(position, stateChunks(membershipOf(voters), snapshot.chunks()));
  } finally {
    snapshot.close();
  }
  await beginLog(files, { clusterId: newClusterId, memberId: id }, position);
  // Last: without it the folder is none of a member.
  await writeMemberFile(dataDir, { clusterId: newClusterId, memberId: id, firstMembers: voters });
  return { ...backup, newClusterId, keys: machine.keyspace.size };
}

/** One more entry than the backup had, the same for every member. */
function forgetMembers(machine: Machine, { index, term }: BackupFacts): { index: number; term: number } {
  const items = new ItemWriter();
  for (const [name] of machine.settings.entries()) if (OLD_MEMBERS.test(name)) items.setting(name, '');
  const batch = new BatchWriter();
  batch.add(items.take());
  const position = { index: index + 1, term: term + 1 };
  machine.apply(position.index, position.term, batch.take({ origin: 0, boot: 0, sequence: 0 }, 0), false);
  return position;
}

async function beginLog(
  files: DiskFiles,
  owner: { clusterId: number; memberId: number },
  position: { index: number; term: number },
): Promise<void> {
  const write = {
    snapshot: position,
    hardState: { term: position.term, vote: null, commit: position.index },
  };
  let settle: (error: KvError | null) => void = () => {};
  const written = new Promise<KvError | null>((resolve) => {
    settle = resolve;
  });
  const wal = await Wal.open(files, owner, (_token, error) => settle(error));
  try {
    wal.append(WRITE, write);
    const failure = await written;
    if (failure !== null) throw failure;
  } finally {
    await wal.close();
  }
}

/** The same for every member of the new cluster, and not that of the old one. */
function clusterIdOf(
  { clusterId, sha256, index }: BackupFacts & BackupSeal,
  cluster: ReadonlyMap<number, string>,
): number {
  const members = [...cluster].toSorted(([a], [b]) => a - b);
  const text = JSON.stringify(['restored', clusterId, sha256, index, members]);
  return createHash('sha256').update(text).digest().readUIntLE(0, 6) + 1;
}
