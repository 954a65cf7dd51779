// Members in front of one machine, each a service on a socket of its own, and a clerk that knows them.
// What one member's calls do can be changed under way, so that a test decides what gets lost.

import type { TestContext } from 'node:test';
import { Clerk, type ClerkOptions } from '../../../kv/index.js';
import { KvService } from '../../../kv/service/kv-service.js';
import { implement, type MessageInit, RpcServer, type ServerCall } from '../../../rpc/index.js';
import { type ExecuteRequest, type ExecuteResponse, Kv, type WatchResponse } from '../../../kv/proto/kv.js';
import { LocalBackend } from '../support/local-backend.js';

export type Execute = () => Promise<MessageInit<ExecuteResponse>>;

export type WatchMessages = () => AsyncIterable<MessageInit<WatchResponse>>;

export interface ServedMember {
  readonly address: string;
  /** Stands in front of what Execute does; `next` does it. */
  onExecute: ((next: Execute, request: ExecuteRequest, call: ServerCall) => ReturnType<Execute>) | null;
  /** Stands in front of what Watch does; `next` does it. */
  onWatch: ((next: WatchMessages) => ReturnType<WatchMessages>) | null;
  /** Ends it at once, as a crash does. */
  stop(): Promise<void>;
}

export interface ServedCluster {
  readonly backend: LocalBackend;
  readonly members: readonly ServedMember[];
  readonly clerk: (options?: Partial<ClerkOptions>) => Clerk;
}

export async function serveMember(backend: LocalBackend, port = 0): Promise<ServedMember> {
  const service = new KvService(backend);
  const handlers = service.handlers();
  const execute: typeof handlers.execute = (request, call) => {
    const next = async () => handlers.execute(request, call);
    return member.onExecute === null ? next() : member.onExecute(next, request, call);
  };
  const watch: typeof handlers.watch = (requests, call) => {
    const next: WatchMessages = () => handlers.watch(requests, call) as ReturnType<WatchMessages>;
    return member.onWatch === null ? next() : member.onWatch(next);
  };
  const server = new RpcServer({
    host: '127.0.0.1',
    port,
    threads: 0,
    services: [implement(Kv, { ...handlers, execute, watch })],
  });
  const address = (await server.listen()) as { port: number };
  let isStopped = false;
  const member: ServedMember = {
    address: `127.0.0.1:${address.port}`,
    onExecute: null,
    onWatch: null,
    stop: async () => {
      if (isStopped) return;
      isStopped = true;
      service.stop();
      await server.force();
    },
  };
  return member;
}

/** Everything is closed when the test ends. A backend without a cluster id serves whoever calls. */
export async function serveCluster(
  t: TestContext,
  count = 1,
  backend: LocalBackend = new LocalBackend(),
): Promise<ServedCluster> {
  const members: ServedMember[] = [];
  const clerks: Clerk[] = [];
  t.after(async () => {
    await Promise.all(clerks.map((clerk) => clerk.close(0)));
    await Promise.all(members.map((member) => member.stop()));
    backend.close();
  });
  for (let index = 0; index < count; index += 1) members.push(await serveMember(backend));
  return {
    backend,
    members,
    clerk: (options = {}) => {
      const clerk = new Clerk({
        endpoints: members.map(({ address }) => address),
        timeoutMs: 60_000,
        attemptTimeoutMs: 20_000,
        ...options,
      });
      clerks.push(clerk);
      return clerk;
    },
  };
}
