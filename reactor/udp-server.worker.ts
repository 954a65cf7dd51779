// Runs inside a UDP server's thread: takes its seat in the mesh, builds the loop, and serves until terminated.
// udp-thread.ts starts it with a UdpWorkerStart; everything else comes as tasks to udp-service.ts.

import { workerData } from 'node:worker_threads';

import { loadAddon } from '../addon/index.js';
import { BufferPool } from './buffer-pool.js';
import { EventLoop } from './event-loop.js';
import { MeshSeat, type MeshSeatData } from './mesh-seat.js';
import { SharedBudget } from './shared-budget.js';
import { UDP_TASKS, UdpService } from './udp-service.js';

export interface UdpWorkerStart {
  readonly thread: number;
  readonly mesh: MeshSeatData;
  readonly budget: SharedArrayBuffer;
}

const start = workerData as UdpWorkerStart; // posted by udp-thread.ts of this very version

loadAddon()?.setThreadName(`udp-${start.thread}`);

const pool = new BufferPool({}, start.thread, new SharedBudget(start.budget));
const loop: EventLoop = new EventLoop(MeshSeat.join(start.mesh), pool, undefined, {
  onTaskError: (error) => loop.post('main', UDP_TASKS.trouble, error.toWire()),
});
loop.ref(); // a thread without datagrams waits for them
void new UdpService(loop);
