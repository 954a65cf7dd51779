// The worker nodes that get nothing more of a job, because they failed so many tasks of it in a row, whichever images these
// were. scheduler.ts tells of failures and successes, and asks whether anybody is left. Pure.

import { failureText, type Job } from './job.js';
import type { SchedulerEffect } from './effects.js';
import type { WorkerNode, WorkerNodes } from './worker-nodes.js';

export class Blocklist {
  readonly #blockAfter: number;
  readonly #nodes: WorkerNodes;
  readonly #tell: (effect: SchedulerEffect) => void;
  #nodesBlocked = 0;

  constructor(blockAfter: number, nodes: WorkerNodes, tell: (effect: SchedulerEffect) => void) {
    this.#blockAfter = blockAfter;
    this.#nodes = nodes;
    this.#tell = tell;
  }

  /** How often one was blocked for a job. */
  get nodesBlocked(): number {
    return this.#nodesBlocked;
  }

  /** One more failed attempt of the node for this job. */
  failed(job: Job, node: WorkerNode, error: string): void {
    job.lastError = failureText(error);
    this.#nodes.failed(node);
    const streak = (job.streaks.get(node.id) ?? 0) + 1;
    job.streaks.set(node.id, streak);
    if (streak < this.#blockAfter || job.blocked.has(node.id)) return;
    job.blocked.add(node.id);
    this.#nodesBlocked += 1;
    this.#tell({ kind: 'blocked', job: job.id, node: node.id, error: job.lastError });
  }

  /** It rendered something of the job: what it failed before is no row any more. */
  rendered(job: Job, node: WorkerNode): void {
    if (job.streaks.size > 0) job.streaks.delete(node.id);
  }

  /** The job begins anew, on nodes with a clean slate. */
  clear(job: Job): void {
    job.streaks.clear();
    job.blocked.clear();
  }

  /** Why nobody will ever take the job's images; null while somebody may, or while there is nobody at all. */
  reason(job: Job): string | null {
    if (job.blocked.size === 0) return null;
    const { able, unblocked } = this.#nodes.countFor(job);
    if (able === 0 || unblocked > 0) return null;
    return (
      `every worker node that could render it (${able}) is blocked for this job after ${this.#blockAfter} ` +
      `failures in a row, the last with: ${job.lastError}`
    );
  }
}
