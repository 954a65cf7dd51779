// The native transport of a thread: one, from its first user to its last.
// The sub-reactor of a thread and all clients on it share it, so that what they send in one batch leaves together.
// client-loop.ts does the same for the loop of clients that were given none.

import assert from 'node:assert/strict';

import { requireAddon } from '../addon/index.js';
import { EpollTransport } from './epoll-transport.js';

/** Each thread has its own copy of this module and so its own. */
let lent: { readonly transport: EpollTransport; users: number } | null = null;

/** It spins as long as any of its users wanted. @throws AddonError ADDON_MISSING */
export function takeThreadTransport(spinMicros: number = 0): EpollTransport {
  lent ??= { transport: new EpollTransport(requireAddon()), users: 0 };
  lent.users += 1;
  lent.transport.spinMicros = Math.max(lent.transport.spinMicros, spinMicros);
  return lent.transport;
}

/** The caller has closed all its connections. */
export function returnThreadTransport(transport: EpollTransport): void {
  assert(lent !== null && lent.transport === transport);
  lent.users -= 1;
  if (lent.users > 0) return;
  lent.transport.close();
  lent = null;
}
