// `reactor-net kv backup` and `kv restore`.

import { restoreMember, writeBackup } from '../kv/index.js';
import type { KvBackupOptions, KvRestoreOptions } from './kv-admin-command.js';
import { say } from './kv-client.js';
import { reportKvFailure, withClerk } from './kv-session.js';
import type { Io } from './main.js';

export function kvBackup(options: KvBackupOptions, io: Io): Promise<number> {
  const { file, member, json } = options;
  return withClerk(options, io, async (clerk) => {
    const written = await writeBackup(file, clerk.admin.backup(member));
    const { bytes, index, revision } = written;
    say(
      io,
      json,
      { event: 'backup', file, ...written },
      `${file}: ${bytes} bytes, entry ${index}, revision ${revision}`,
    );
    return 0;
  });
}

export async function kvRestore(options: KvRestoreOptions, io: Io): Promise<number> {
  const { file, data, id, cluster, clusterId, json } = options;
  try {
    const restored = await restoreMember(file, { dataDir: data, id, cluster, clusterId });
    const { newClusterId, keys, revision } = restored;
    const start = `reactor-net kv serve --id ${id} --data ${data} --cluster ${[...cluster].map(([member, at]) => `${member}=${at}`).join(',')}`;
    const text = `${data}: member ${id} of cluster ${newClusterId}, ${keys} keys, revision ${revision}\nstart it with: ${start}`;
    say(io, json, { event: 'restore', id, data, ...restored }, text);
    return 0;
  } catch (error) {
    return reportKvFailure(error, io, json);
  }
}
