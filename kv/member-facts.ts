// Who a member is: what its folder says, or, where that is new, what flags and cluster say.
// kv-server.ts asks before it opens the log.

import { createHash } from 'node:crypto';
import type { Logger } from '../reactor/index.js';
import { KvError } from './errors.js';
import { askUntil, CALL_TIMEOUT_MS } from './joining.js';
import type { KvServerOptions } from './kv-server-options.js';
import { type MemberFacts, readMemberFile, writeMemberFile } from './member-file.js';
import { peerContract } from './peer/peer-contract.js';

/** Who this member is: what its folder says, or, for a new one, what flags and cluster say. */
export async function factsOf(
  logger: Logger,
  options: KvServerOptions,
  signal: AbortSignal,
): Promise<MemberFacts> {
  const { dataDir, id, cluster, join: contact = null, clusterId = null } = options;
  const found = await readMemberFile(dataDir);
  if (found !== null) {
    if (found.memberId !== id) {
      throw new KvError(
        'KV_LOG_FOREIGN',
        `the folder ${dataDir} is of member ${found.memberId}, not of ${id}`,
      );
    }
    if (clusterId !== null && found.clusterId !== clusterId) {
      throw new KvError(
        'KV_LOG_FOREIGN',
        `the folder ${dataDir} is of cluster ${found.clusterId}, not of ${clusterId}`,
      );
    }
    return found;
  }
  let facts: MemberFacts;
  if (contact === null) {
    facts = {
      clusterId: clusterId ?? clusterIdOf(cluster),
      memberId: id,
      firstMembers: [...cluster.keys()].toSorted((a, b) => a - b),
    };
  } else {
    const described = await askUntil(logger, options, contact, signal, (client) =>
      client.unary(peerContract().methods.describe, {}, { timeoutMs: CALL_TIMEOUT_MS }),
    );
    const known = Number(described.clusterId);
    if (clusterId !== null && clusterId !== known) {
      throw new KvError('KV_LOG_FOREIGN', `${contact} belongs to cluster ${known}, not to ${clusterId}`);
    }
    facts = { clusterId: known, memberId: id, firstMembers: [] };
  }
  await writeMemberFile(dataDir, facts);
  return facts;
}

/** The same for all that are given the same list. */
function clusterIdOf(cluster: ReadonlyMap<number, string>): number {
  const text = [...cluster]
    .toSorted(([a], [b]) => a - b)
    .map(([id, address]) => `${id}=${address}`)
    .join(',');
  return createHash('sha256').update(text).digest().readUIntLE(0, 6) + 1;
}
