// The event loop of clients that were given none: one per thread, from the first such client to the last.
// tcp-client.ts takes and returns it; inside a handler module the module's own loop serves instead.

import assert from 'node:assert/strict';

import { BufferPool } from './buffer-pool.js';
import { EventLoop } from './event-loop.js';
import { poolBytesMaxDefault } from './limits.js';
import { SharedBudget } from './shared-budget.js';
import { ThreadMesh } from './thread-mesh.js';

interface LentLoop {
  readonly loop: EventLoop;
  readonly mesh: ThreadMesh;
  clients: number;
}

/** Each thread has its own copy of this module and so its own. */
let lent: LentLoop | null = null;

export function takeClientLoop(): EventLoop {
  lent ??= createLoop();
  lent.clients += 1;
  return lent.loop;
}

export function returnClientLoop(loop: EventLoop): void {
  assert(lent !== null && lent.loop === loop);
  lent.clients -= 1;
  if (lent.clients > 0) return;
  lent.loop.close();
  lent.mesh.close();
  lent = null;
}

function createLoop(): LentLoop {
  const mesh = ThreadMesh.create({ threads: 0 });
  const pool = new BufferPool({}, 0, SharedBudget.create(poolBytesMaxDefault(), 1));
  return { loop: new EventLoop(mesh.seat, pool), mesh, clients: 0 };
}
