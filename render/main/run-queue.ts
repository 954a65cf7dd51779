// Whose turn it is: jobs by priority, the highest first; in a priority the drivers share by what their images cost; and in
// a driver its jobs do. So a small request waits for a few tasks of a large one, never for all of them.
// Pure. Only jobs that have something to give are in it.

import { FairRing } from './fair-ring.js';
import type { Job } from './job.js';

interface DriverJobs {
  readonly driver: number;
  readonly jobs: FairRing<Job>;
}

interface Level {
  readonly priority: number;
  readonly ring: FairRing<DriverJobs>;
  readonly drivers: Map<number, DriverJobs>;
}

export class RunQueue {
  /** Highest priority first. */
  readonly #levels: Level[] = [];
  readonly #where = new Map<Job, { level: Level; of: DriverJobs }>();
  #spend: (job: Job) => number = () => 0;

  add(job: Job): void {
    if (this.#where.has(job)) return;
    const level = this.#level(job.priority);
    const { driver } = job.request;
    let of = level.drivers.get(driver);
    if (of === undefined) {
      of = { driver, jobs: new FairRing() };
      level.drivers.set(driver, of);
      level.ring.add(of);
    }
    of.jobs.add(job);
    this.#where.set(job, { level, of });
  }

  remove(job: Job): void {
    const place = this.#where.get(job);
    if (place === undefined) return;
    const { level, of } = place;
    this.#where.delete(job);
    of.jobs.remove(job);
    if (of.jobs.size > 0) return;
    level.drivers.delete(of.driver);
    level.ring.remove(of);
    if (level.drivers.size === 0) this.#levels.splice(this.#levels.indexOf(level), 1);
  }

  /**
   * Lets the job whose turn it is give one task away.
   * @param spend returns what it cost, or 0 when this job has none that could be given away now
   * @returns false when no job could
   */
  serve(spend: (job: Job) => number): boolean {
    this.#spend = spend;
    // A level may go away while it is served; then something was given, and we are done.
    for (const level of this.#levels) if (level.ring.serve(this.#serveDriver) > 0) return true;
    return false;
  }

  get size(): number {
    return this.#where.size;
  }

  readonly #serveDriver = (of: DriverJobs): number => of.jobs.serve(this.#spend);

  #level(priority: number): Level {
    const at = this.#levels.findIndex((level) => level.priority <= priority);
    const found = this.#levels[at];
    if (found?.priority === priority) return found;
    const level: Level = { priority, ring: new FairRing(), drivers: new Map() };
    this.#levels.splice(at === -1 ? this.#levels.length : at, 0, level);
    return level;
  }
}
