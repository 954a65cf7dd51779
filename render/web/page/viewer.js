// One image of a job, large, with the log of its last attempt; the arrow keys go to the next one.

import { api, imageUrl } from './api.js';
import { messageOf } from './actions.js';
import { el, setAttribute, setText } from './dom.js';
import { durationText } from './format.js';
import { withRetry } from './thumbnails.js';

/** @import { Store } from './store.js' */

export class Viewer {
  #store;
  #job;
  #index;
  #dialog;
  #title = el('h2', { id: 'viewer-title' });
  #facts = el('p', { class: 'muted', role: 'status' });
  #frame = el('div', { class: 'viewer-frame' });
  #log = el('pre', { class: 'log', tabindex: '0', 'aria-label': 'Log' });
  #logButton;
  #open;
  #previous;
  #next;
  #shown = '';
  #logShown = '';

  /**
   * @param {Store} store
   * @param {number} job
   * @param {number} index
   * @param {() => void} onClose
   */
  constructor(store, job, index, onClose) {
    this.#store = store;
    this.#job = job;
    this.#index = index;
    const button = /** @param {string} text @param {string} label @param {() => void} click */ (
      text,
      label,
      click,
    ) => el('button', { type: 'button', text, 'aria-label': label, click });
    this.#previous = button('←', 'Image before', () => this.#go(-1));
    this.#next = button('→', 'Next image', () => this.#go(1));
    this.#logButton = el('button', {
      type: 'button',
      text: 'Log',
      'aria-expanded': 'false',
      click: () => this.#toggleLog(),
    });
    this.#open = el('a', { class: 'button', text: 'PNG', target: '_blank', rel: 'noopener' });
    this.#log.hidden = true;
    this.#dialog = el(
      'dialog',
      { class: 'viewer', 'aria-labelledby': 'viewer-title' },
      el(
        'div',
        { class: 'head' },
        el('div', { class: 'grow' }, this.#title, this.#facts),
        this.#previous,
        this.#next,
        this.#logButton,
        this.#open,
        button('✕', 'Close', () => this.#dialog.close()),
      ),
      this.#frame,
      this.#log,
    );
    this.#dialog.addEventListener('keydown', (event) => {
      if (event.target === this.#log) return;
      if (event.key === 'ArrowLeft') this.#go(-1);
      if (event.key === 'ArrowRight') this.#go(1);
    });
    this.#dialog.addEventListener('close', () => {
      this.#dialog.remove();
      onClose();
    });
    document.body.append(this.#dialog);
    this.#dialog.showModal();
    this.update();
  }

  get job() {
    return this.#job;
  }

  /** Another one of the same job. @param {number} index */
  show(index) {
    this.#index = index;
    this.update();
    if (!this.#log.hidden) void this.#loadLog();
  }

  update() {
    const job = this.#store.jobs.get(this.#job);
    const image = this.#store.images.get(this.#index);
    const last = (job?.images ?? 1) - 1;
    setText(this.#title, `Image ${this.#index} of job ${this.#job}`);
    this.#previous.disabled = this.#neighbour(-1) === null;
    this.#next.disabled = this.#neighbour(1) === null;
    const state = image?.state ?? 'waiting';
    const parts = [`${this.#index + 1} of ${last + 1}`, state];
    if (image !== undefined && image.attempts > 0) {
      if (image.renderMs > 0) parts.push(durationText(image.renderMs));
      if (image.node !== '') parts.push(image.node);
      if (image.attempts > 1) parts.push(`${image.attempts} attempts`);
    }
    setText(this.#facts, parts.join(' · '));
    const hasPixels = state === 'rendered' && image?.kept === true;
    const shown = `${this.#index} ${state} ${hasPixels}`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    const url = imageUrl(this.#job, this.#index);
    setAttribute(this.#open, 'href', hasPixels ? url : null);
    this.#open.hidden = !hasPixels;
    if (hasPixels) {
      const picture = el('img', { alt: `Image ${this.#index} of job ${this.#job}` });
      if (job !== undefined && job.width < 512) picture.classList.add('small-picture');
      this.#frame.replaceChildren(withRetry(picture, url));
    } else {
      const why =
        state === 'missing' ? `Missing: ${image?.error || image?.code || 'unknown'}` : `It is ${state}.`;
      this.#frame.replaceChildren(el('p', { class: 'empty', text: why }));
    }
  }

  close() {
    this.#dialog.close();
  }

  /** @param {1 | -1} by */
  #go(by) {
    const index = this.#neighbour(by);
    if (index !== null) location.replace(`#/jobs/${this.#job}/images/${index}`);
  }

  /** @param {1 | -1} by */
  #neighbour(by) {
    const { images, isOnlyMissing, jobs } = this.#store;
    if (!isOnlyMissing) {
      const index = this.#index + by;
      return index >= 0 && index < (jobs.get(this.#job)?.images ?? 0) ? index : null;
    }
    const beyond = [...images.keys()].filter((index) => (index - this.#index) * by > 0);
    return beyond.length === 0 ? null : by > 0 ? Math.min(...beyond) : Math.max(...beyond);
  }

  #toggleLog() {
    this.#log.hidden = !this.#log.hidden;
    setAttribute(this.#logButton, 'aria-expanded', this.#log.hidden ? 'false' : 'true');
    if (!this.#log.hidden) void this.#loadLog();
  }

  async #loadLog() {
    const asked = `${this.#index}`;
    this.#logShown = asked;
    this.#log.textContent = 'Asking the worker node…';
    let text;
    try {
      const log = await api.log(this.#job, this.#index);
      text = `${log.node}\n\n${log.text || '(nothing was printed)'}`;
    } catch (error) {
      text = messageOf(error);
    }
    if (this.#logShown === asked) this.#log.textContent = text;
  }
}
