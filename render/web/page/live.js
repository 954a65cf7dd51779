// Keeps the store in step with the farm by server-sent events, and connects again for as long as it takes.
// After every connecting all lists are asked for again: what happened meanwhile is not told twice.

import { api, ApiError } from './api.js';

/** @import { Store } from './store.js' */
/** @import { WebFarm, WebJob, WebLoad, WebWorker } from '../shapes.js' */
/** @import { FarmTotals } from '../../main/farm.js' */

/** @typedef {'connecting' | 'live' | 'lost'} LinkState */

const RETRY_MS = [500, 1000, 2000, 4000, 8000];
/** The main node says something at least every 15 s. */
const SILENCE_MS = 40_000;

export class Live {
  #store;
  #parts;
  /** @type {EventSource | null} */
  #source = null;
  #failures = 0;
  #boot = '';
  #retry = 0;
  #silence = 0;
  #isWanted = false;

  /**
   * @param {Store} store
   * @param {{
   *   onState: (state: LinkState) => void,
   *   onRestart: () => void,
   *   onLogin: () => void,
   *   refresh: () => Promise<void>,
   *   onImages: (job: number, images: readonly { index: number, state: 'rendered' | 'missing' }[]) => void,
   * }} parts
   */
  constructor(store, parts) {
    this.#store = store;
    this.#parts = parts;
  }

  async start() {
    this.stop();
    this.#isWanted = true;
    this.#parts.onState(this.#failures === 0 ? 'connecting' : 'lost');
    try {
      // Events tell nothing of why they cannot be had.
      this.#store.setFarm(await api.farm());
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        this.stop();
        this.#parts.onLogin();
      } else this.#lost();
      return;
    }
    if (this.#isWanted) this.#connect();
  }

  stop() {
    this.#isWanted = false;
    clearTimeout(this.#retry);
    clearTimeout(this.#silence);
    this.#source?.close();
    this.#source = null;
  }

  #connect() {
    const source = new EventSource('/api/v1/events');
    this.#source = source;
    source.addEventListener('error', () => this.#lost());
    source.addEventListener('reload', () => this.#lost());
    const store = this.#store;
    const on = /** @param {string} name @param {(data: any) => void} take */ (name, take) =>
      source.addEventListener(name, (event) => {
        this.#heard();
        take(JSON.parse(event.data));
      });
    on('hello', (/** @type {WebFarm} */ farm) => void this.#greeted(farm));
    on('totals', (/** @type {FarmTotals} */ totals) => {
      store.totals = totals;
      store.changed();
    });
    on('jobs', (/** @type {{ jobs: WebJob[], removed: number[] }} */ { jobs, removed }) => {
      store.removeJobs(removed);
      store.putJobs(jobs);
    });
    on('images', ({ job, images }) => this.#parts.onImages(job, images));
    on('workers', (/** @type {{ workers: WebWorker[], removed: number[] }} */ { workers, removed }) => {
      for (const serial of removed) store.workers.delete(serial);
      for (const worker of workers) store.workers.set(worker.serial, worker);
      store.changed();
    });
    on('load', (/** @type {WebLoad} */ point) => store.putPoint(point));
    on('more', () => void this.#refresh());
  }

  /** @param {WebFarm} farm */
  async #greeted(farm) {
    const isRestarted = this.#boot !== '' && this.#boot !== farm.boot;
    this.#boot = farm.boot;
    this.#store.setFarm(farm);
    if (!(await this.#refresh())) return;
    this.#failures = 0;
    this.#parts.onState('live');
    if (isRestarted) this.#parts.onRestart();
  }

  /** @returns {Promise<boolean>} whether all could be had */
  async #refresh() {
    try {
      await this.#parts.refresh();
      return true;
    } catch {
      this.#lost(); // and said so: it begins anew
      return false;
    }
  }

  #heard() {
    clearTimeout(this.#silence);
    this.#silence = window.setTimeout(() => this.#lost(), SILENCE_MS);
  }

  #lost() {
    if (!this.#isWanted) return;
    this.stop();
    this.#parts.onState('lost');
    const delayMs = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)] ?? 0;
    this.#failures += 1;
    this.#isWanted = true;
    this.#retry = window.setTimeout(() => void this.start(), delayMs);
  }
}
