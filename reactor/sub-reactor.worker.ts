// Runs inside a sub-reactor's thread: takes its seat in the mesh, builds the loop, and serves until told to stop.
// sub-reactor-thread.ts starts it with a WorkerStart and hears of it through the mesh and the worker's 'exit'.

import { workerData } from 'node:worker_threads';

import { loadAddon } from '../addon/index.js';
import { BufferPool, type BufferPoolOptions } from './buffer-pool.js';
import { EventLoop } from './event-loop.js';
import { MeshSeat, type MeshSeatData } from './mesh-seat.js';
import type { TransportName } from './reactor-options.js';
import { SharedBudget } from './shared-budget.js';
import { SharedCounters, type SharedCountersMemory } from './shared-counters.js';
import { SharedOccupancy, type SharedOccupancyMemory } from './shared-occupancy.js';
import { SubReactor } from './sub-reactor.js';

/** Everything a sub-reactor needs to start; all memory in it is shared. */
export interface WorkerStart {
  readonly thread: number;
  readonly transport: TransportName;
  readonly spinMicros: number;
  readonly incarnation: number;
  readonly mesh: MeshSeatData;
  readonly budget: SharedArrayBuffer;
  readonly counters: SharedCountersMemory;
  readonly occupancy: SharedOccupancyMemory;
  readonly adopted: SharedArrayBuffer;
  readonly pool: BufferPoolOptions;
  readonly name: string;
  /** Processors this thread may run on; empty: any. */
  readonly cpus: readonly number[];
}

const start = workerData as WorkerStart; // posted by sub-reactor-thread.ts of this very version

const addon = loadAddon();
addon?.setThreadName(start.name);
if (start.cpus.length > 0) addon?.setThreadAffinity([...start.cpus]);

const pool = new BufferPool(start.pool, start.thread, new SharedBudget(start.budget));
const loop = new EventLoop(MeshSeat.join(start.mesh), pool, undefined, {
  onTaskError: (error) => subReactor.trouble(error), // the loop runs nothing before this module is evaluated
});
loop.ref(); // a thread without connections waits for work
const subReactor = new SubReactor(loop, {
  thread: start.thread,
  transport: start.transport,
  spinMicros: start.spinMicros,
  incarnation: start.incarnation,
  counters: SharedCounters.attach(start.counters).row(start.thread),
  occupancy: new SharedOccupancy(start.occupancy),
  adopted: new Int32Array(start.adopted),
});
subReactor.refreshGauges();
