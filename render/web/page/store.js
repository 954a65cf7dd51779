// What the page knows of the farm. live.js and the views put it in; whoever shows it is told once per frame.

/** @import { FarmTotals } from '../../main/farm.js' */
/** @import { WebFarm, WebImage, WebJob, WebLoad, WebWorker } from '../shapes.js' */

/** Newest images that came in while the page was open. */
const LATEST_MAX = 12;
const POINTS_MAX = 300;
const JOBS_MAX = 4000;

export class Store {
  /** @type {WebFarm | null} */
  farm = null;
  /** @type {FarmTotals | null} */
  totals = null;
  /** @type {Map<number, WebJob>} */
  jobs = new Map();
  /** Of those that the list asked for. */
  jobsTotal = 0;
  /** @type {Map<number, WebWorker>} */
  workers = new Map();
  /** @type {WebLoad[]} */
  points = [];
  /** Images of the job that is looked at. @type {Map<number, WebImage>} */
  images = new Map();
  /** Whether these are the missing ones alone. */
  isOnlyMissing = false;
  /** @type {{ job: number, index: number }[]} */
  latest = [];
  /** Jobs that are ticked. @type {Set<number>} */
  selected = new Set();
  /** Of the main node's clock. */
  #clockMs = 0;
  /** @type {Set<() => void>} */
  #listeners = new Set();
  #frame = 0;

  /** As the main node has it: clocks of browsers differ. */
  get nowMs() {
    return Date.now() + this.#clockMs;
  }

  /** Where the main node is, as far as this device can tell: HOST:PORT. */
  get main() {
    const main = this.farm?.main ?? '';
    if (main === '') return 'HOST:PORT';
    return main.replace(/^(?:0\.0\.0\.0|\[::\])(?=:)/, location.hostname);
  }

  /** @param {WebFarm} farm */
  setFarm(farm) {
    this.farm = farm;
    this.totals = farm.totals;
    this.#clockMs = farm.nowMs - Date.now();
    this.changed();
  }

  /** @param {readonly WebJob[]} jobs */
  putJobs(jobs) {
    for (const job of jobs) this.jobs.set(job.id, job);
    if (this.jobs.size > JOBS_MAX) this.#forgetOldJobs();
    this.changed();
  }

  /** @param {readonly number[]} ids */
  removeJobs(ids) {
    for (const id of ids) {
      this.jobs.delete(id);
      this.selected.delete(id);
    }
    this.latest = this.latest.filter(({ job }) => !ids.includes(job));
    this.changed();
  }

  /**
   * Of the job that is looked at, ahead of what else is known of them.
   * @param {readonly { index: number, state: 'rendered' | 'missing' }[]} changed
   */
  putImageStates(changed) {
    for (const { index, state } of changed) {
      const image = this.images.get(index);
      if (image !== undefined) this.images.set(index, { ...image, state, kept: state === 'rendered' });
    }
    this.changed();
  }

  /** @param {readonly { job: number, index: number }[]} images the newest last */
  cameIn(images) {
    const added = images.toReversed();
    const isAdded = /** @param {{ job: number, index: number }} old */ (old) =>
      added.some(({ job, index }) => job === old.job && index === old.index);
    this.latest = [...added, ...this.latest.filter((old) => !isAdded(old))].slice(0, LATEST_MAX);
    this.changed();
  }

  /** @param {WebLoad} point */
  putPoint(point) {
    this.points = [...this.points.slice(1 - POINTS_MAX), point];
    for (const load of point.workers) {
      const worker = this.workers.get(load.serial);
      if (worker === undefined) continue;
      const { cpu, mem, gpu, running, queued } = load;
      this.workers.set(load.serial, { ...worker, cpu, mem, gpu, running, queued });
    }
    this.changed();
  }

  /** @param {() => void} listener called before the next painting, once for many changes */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A page may stay open for weeks. */
  #forgetOldJobs() {
    const old = [...this.jobs.keys()].toSorted((a, b) => a - b).slice(0, this.jobs.size - JOBS_MAX / 2);
    for (const id of old) if (!this.selected.has(id)) this.jobs.delete(id);
  }

  changed() {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      for (const listener of this.#listeners) listener();
    });
  }
}
