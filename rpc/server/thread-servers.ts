// The RPC servers of this thread, by the key of their spec, and the tasks by which the main thread steers them.
// rpc-host.ts asks for them on worker threads, rpc-server.ts where the only thread is its own.

import type { EventLoop } from '../../reactor/index.js';
import { ThreadServer, type ThreadServerSpec } from './thread-server.js';

/** Each thread has its own copy of this module and so its own. */
const servers = new Map<string, ThreadServer>();

export type ServerTask = 'drain' | 'idle' | 'cut' | 'figures';

export function taskName(key: string, task: ServerTask): string {
  return `rpc.${key}.${task}`;
}

/** The thread's part of the server, made when it is asked for first. */
export function threadServer(loop: EventLoop, spec: ThreadServerSpec): ThreadServer {
  const known = servers.get(spec.key);
  if (known !== undefined) return known;
  const server = new ThreadServer(loop, spec);
  servers.set(spec.key, server);
  loop.register(taskName(spec.key, 'drain'), (graceMs) => server.startDraining(graceMs as number));
  loop.register(taskName(spec.key, 'idle'), (graceMs) => server.idleWithin(graceMs as number));
  loop.register(taskName(spec.key, 'cut'), () => server.cut());
  loop.register(taskName(spec.key, 'figures'), () => server.figures());
  return server;
}

/** The server is closed; only where the thread outlives it. */
export function forgetThreadServer(key: string): void {
  servers.delete(key);
}
