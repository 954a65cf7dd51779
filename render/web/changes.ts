// Gathers what changed in the farm between two tellings, so that a thousand images a second are a few lines for a page.
// Bounded: what does not fit is told as `more`, upon which a page asks for the list again. Pure; live-events.ts drives it.

import type { FarmEvent } from '../main/farm.js';

/** Of jobs, images and workers each, between two tellings. */
const NAMED_MAX = 500;

export interface Changed {
  readonly jobs: readonly number[];
  readonly jobsRemoved: readonly number[];
  readonly images: ReadonlyMap<number, ReadonlyMap<number, 'rendered' | 'missing'>>;
  readonly workers: readonly number[];
  readonly workersRemoved: readonly number[];
  /** There was more than is named here. */
  readonly more: boolean;
}

export class Changes {
  #jobs = new Set<number>();
  #jobsRemoved = new Set<number>();
  #images = new Map<number, Map<number, 'rendered' | 'missing'>>();
  #imageCount = 0;
  #workers = new Set<number>();
  #workersRemoved = new Set<number>();
  #more = false;

  get isEmpty(): boolean {
    const named = [this.#jobs, this.#jobsRemoved, this.#images, this.#workers, this.#workersRemoved];
    return !this.#more && named.every(({ size }) => size === 0);
  }

  note(event: FarmEvent): void {
    switch (event.kind) {
      case 'job':
        this.#add(this.#jobs, event.job);
        break;
      case 'job-removed':
        this.#jobs.delete(event.job);
        this.#images.delete(event.job);
        this.#add(this.#jobsRemoved, event.job);
        break;
      case 'image':
        this.#add(this.#jobs, event.job);
        this.#image(event.job, event.index, event.state);
        break;
      case 'worker':
        this.#add(this.#workers, event.serial);
        break;
      case 'worker-removed':
        this.#workers.delete(event.serial);
        this.#add(this.#workersRemoved, event.serial);
        break;
      default:
        event satisfies never;
    }
  }

  /** What there is, and begins anew. */
  take(): Changed {
    const changed: Changed = {
      jobs: [...this.#jobs],
      jobsRemoved: [...this.#jobsRemoved],
      images: this.#images,
      workers: [...this.#workers],
      workersRemoved: [...this.#workersRemoved],
      more: this.#more,
    };
    this.#jobs = new Set();
    this.#jobsRemoved = new Set();
    this.#images = new Map();
    this.#imageCount = 0;
    this.#workers = new Set();
    this.#workersRemoved = new Set();
    this.#more = false;
    return changed;
  }

  #add(ids: Set<number>, id: number): void {
    if (ids.size < NAMED_MAX || ids.has(id)) ids.add(id);
    else this.#more = true;
  }

  #image(job: number, index: number, state: 'rendered' | 'missing'): void {
    if (this.#imageCount >= NAMED_MAX) {
      this.#more = true;
      return;
    }
    const images = this.#images.get(job) ?? new Map<number, 'rendered' | 'missing'>();
    this.#images.set(job, images.set(index, state));
    this.#imageCount += 1;
  }
}
