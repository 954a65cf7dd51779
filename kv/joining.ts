// Being taken in by a cluster that runs, from both sides: asking it who it is and to take this member in, and answering.
// kv-server.ts does the one at its start and puts the other behind the Peer service.

import { RpcClient, RpcError } from '../rpc/index.js';
import type { Logger } from '../reactor/index.js';
import { KvError } from './errors.js';
import { type KvServerOptions, respAddressOf } from './kv-server-options.js';
import { PROTOCOL_VERSION } from './machine/protocol-version.js';
import { systemClock } from './node/node-clock.js';
import type { KvNode, NodeEvent } from './node/kv-node.js';
import { type DescribeResponse, type JoinRequest, peerContract } from './peer/peer-contract.js';

/** Of one call to a member. */
export const CALL_TIMEOUT_MS = 5000;
const JOIN_RETRY_MS = 300;

/** Asks the cluster to take this member in until it has. */
export async function joinCluster(
  logger: Logger,
  options: KvServerOptions,
  node: KvNode,
  clusterId: number,
  stopped: Promise<NodeEvent>,
  signal: AbortSignal,
): Promise<void> {
  const isIn = (): boolean => {
    const { voters, learners } = node.status();
    return voters.includes(options.id) || learners.includes(options.id);
  };
  const own = { id: options.id, rpc: options.cluster.get(options.id)!, resp: respAddressOf(options) };
  let contact = options.join!;
  void stopped.then((event) => {
    if (event.kind === 'removed') logger.warn({}, 'the cluster has removed this member');
  });
  for (let attempt = 0; !isIn(); attempt += 1) {
    if (signal.aborted) throw new KvError('KV_CLOSED', 'stopped before the cluster had taken this member in');
    try {
      const described = await ask(options, contact, (client) =>
        client.unary(peerContract().methods.describe, {}, { timeoutMs: CALL_TIMEOUT_MS }),
      );
      node.learnAddresses(described.members);
      const leader = described.members.find(({ id }) => id === described.leader);
      if (leader !== undefined && leader.rpc !== '') {
        const request: JoinRequest = {
          clusterId: BigInt(clusterId),
          member: own,
          learner: options.learner === true,
          protocolVersion: options.protocolVersion ?? PROTOCOL_VERSION,
        };
        await ask(options, leader.rpc, (client) =>
          client.unary(peerContract().methods.join, request, { timeoutMs: CALL_TIMEOUT_MS }),
        );
      }
    } catch (error) {
      if (error instanceof RpcError && error.status === 'INVALID_ARGUMENT') {
        throw new KvError('KV_MEMBER_INVALID', error.message, { cause: error });
      }
      if (attempt % 10 === 0)
        logger.warn({ contact }, `the cluster has not taken this member in yet: ${String(error)}`);
      contact = options.join!;
    }
    if (!isIn()) await pause(JOIN_RETRY_MS, signal);
  }
}

export async function askUntil<A>(
  logger: Logger,
  options: KvServerOptions,
  address: string,
  signal: AbortSignal,
  call: (client: RpcClient) => Promise<A>,
): Promise<A> {
  for (let attempt = 0; ; attempt += 1) {
    if (signal.aborted) throw new KvError('KV_CLOSED', `stopped before ${address} had answered`);
    try {
      return await ask(options, address, call);
    } catch (error) {
      if (attempt % 10 === 0) logger.warn({ address }, `${address} does not answer: ${String(error)}`);
      await pause(JOIN_RETRY_MS, signal);
    }
  }
}

async function ask<A>(
  options: KvServerOptions,
  address: string,
  call: (client: RpcClient) => Promise<A>,
): Promise<A> {
  const { tls = null, token = '' } = options;
  const client = new RpcClient({
    target: address,
    token,
    ...(tls === null ? {} : { tls }),
    retry: { attemptsMax: 1 },
    pool: { connectionsMin: 0, connectionsMax: 1, connectTimeoutMs: CALL_TIMEOUT_MS },
  });
  try {
    return await call(client);
  } finally {
    await client.close(0);
  }
}

export function describe(node: KvNode | null, clusterId: number, id: number): DescribeResponse {
  const status = node?.status();
  const members =
    status?.members.map((member) => ({ id: member.id, rpc: member.rpc, resp: member.resp })) ?? [];
  return { clusterId: BigInt(clusterId), id, leader: status?.leader ?? 0, members };
}

export function join(node: KvNode | null, { member, learner, protocolVersion }: JoinRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    if (node === null) throw new RpcError('RPC_UNAVAILABLE', 'this member is starting', { executed: 'no' });
    if (member === undefined) throw new RpcError('RPC_INVALID_ARGUMENT', 'the member is missing');
    node.addMember({ ...member, version: Math.max(1, protocolVersion) }, learner, (error) => {
      if (error === null) resolve();
      else reject(joinError(error));
    });
  });
}

function joinError(error: KvError): RpcError {
  const code =
    error.code === 'KV_MEMBER_INVALID'
      ? 'RPC_INVALID_ARGUMENT'
      : error.code === 'KV_NOT_LEADER'
        ? 'RPC_FAILED_PRECONDITION'
        : 'RPC_UNAVAILABLE';
  return new RpcError(code, error.message, { cause: error });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = systemClock.after(ms, finish);
    function finish(): void {
      cancel();
      signal.removeEventListener('abort', finish);
      resolve();
    }
    if (signal.aborted) finish();
    else signal.addEventListener('abort', finish, { once: true });
  });
}
