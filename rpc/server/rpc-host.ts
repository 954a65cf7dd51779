// The handler module of every RPC server: loads the user's service module on this thread and puts it to work.
// The reactor imports it once per thread, and again under another query for a reload; what outlives a reload is in
// thread-servers.ts.

import type { EventLoop, Handlers } from '../../reactor/index.js';
import { RpcError } from '../errors.js';
import { checkApplication, type RpcModule } from './application.js';
import { threadServer } from './thread-servers.js';
import type { ThreadServerSpec } from './thread-server.js';

/** What RpcServer gives every thread. */
export interface RpcHostData {
  readonly spec: ThreadServerSpec;
  /** The user's service module. */
  readonly servicesUrl: string;
}

export default async (loop: EventLoop, data?: unknown): Promise<Handlers> => {
  const { spec, servicesUrl } = data as RpcHostData; // rpc-server.ts gives it
  const module = await importServices(servicesUrl);
  const server = threadServer(loop, spec);
  server.bind(checkApplication(await module(loop)));
  return server.handlers();
};

async function importServices(servicesUrl: string): Promise<RpcModule> {
  const url = new URL(servicesUrl);
  // Node never forgets a module: the query that made this one new makes the user's new as well.
  const reload = new URL(import.meta.url).searchParams.get('reload');
  if (reload !== null) url.searchParams.set('reload', reload);
  const { default: module } = (await import(url.href)) as { default?: unknown };
  if (typeof module !== 'function')
    throw new RpcError('RPC_OPTION_INVALID', `${servicesUrl} has no default export that is a function`);
  return module as RpcModule; // checkApplication judges what it returns
}
