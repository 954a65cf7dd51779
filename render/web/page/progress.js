// How far a job is, as a bar: what is done, and what is missing for good.

import { el, setAttribute } from './dom.js';
import { progressText } from './format.js';

/** @import { WebJob } from '../shapes.js' */

export class Progress {
  #done = el('span', { class: 'done' });
  #failed = el('span', { class: 'failed' });
  node = el('div', { class: 'progress', role: 'progressbar', 'aria-valuemin': 0 }, this.#done, this.#failed);

  /** @param {WebJob} job */
  update(job) {
    const images = Math.max(1, job.images);
    this.#done.style.width = `${(job.done / images) * 100}%`;
    this.#failed.style.width = `${(job.failed / images) * 100}%`;
    setAttribute(this.node, 'data-state', job.state);
    setAttribute(this.node, 'aria-label', `Progress of job ${job.id}`);
    setAttribute(this.node, 'aria-valuemax', job.images);
    setAttribute(this.node, 'aria-valuenow', job.done + job.failed);
    setAttribute(this.node, 'aria-valuetext', progressText(job));
  }
}
