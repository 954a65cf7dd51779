// One job: what it is, how far it is, what can be done to it, and its images as they come in.

import { actOn, isApplicable, isOver, JOB_ACTIONS, raise } from './actions.js';
import { imageUrl } from './api.js';
import { el, KeyedList, setAttribute, setText } from './dom.js';
import { bytesText, clockText, countText, durationText, progressText, timeText } from './format.js';
import { Progress } from './progress.js';
import { withRetry } from './thumbnails.js';

/** @import { Store } from './store.js' */
/** @import { WebImage, WebJob } from '../shapes.js' */

const THUMBNAIL = 256;

export class JobView {
  title;
  #store;
  #id;
  #heading;
  #state = el('span', { class: 'state' });
  #progress = new Progress();
  #count = el('p', { class: 'muted', role: 'status' });
  #message = el('p', { class: 'message' });
  #facts = el('dl', { class: 'job-facts' });
  #factList;
  #buttons;
  #priority;
  #grid;
  #onlyMissing;
  #none = el('p', { class: 'empty', text: 'No image is missing.' });
  #more;
  #missing = el('p', { class: 'empty', text: 'There is no such job, any more or at all.' });
  #content;
  node;

  /**
   * @param {Store} store
   * @param {number} id
   * @param {{ onMore: () => void, onOnlyMissing: (isWanted: boolean) => void }} parts what asks for other images of it
   */
  constructor(store, id, { onMore, onOnlyMissing }) {
    this.#store = store;
    this.#id = id;
    this.title = `Job ${id}`;
    this.#heading = el('h1', { tabindex: '-1', text: this.title });
    const job = () => [store.jobs.get(id)].flatMap((found) => found ?? []);
    this.#buttons = JOB_ACTIONS.map(({ action, label }) => ({
      action,
      button: el('button', { type: 'button', text: label, click: () => void actOn(action, job()) }),
    }));
    this.#factList = new KeyedList(this.#facts, ({ label }) => label, factItem);
    const grid = el('ul', { class: 'grid', 'aria-label': 'Images' });
    this.#grid = new KeyedList(
      grid,
      (/** @type {WebImage} */ { index }) => index,
      (image) => new Thumbnail(id, image.index),
    );
    this.#more = el('button', { type: 'button', text: 'Show more images', click: onMore });
    const priority = /** @param {string} text @param {string} label @param {number} by */ (text, label, by) =>
      el('button', { type: 'button', text, 'aria-label': label, click: () => void raise(job(), by) });
    this.#priority = [priority('▲', 'Raise priority', 1), priority('▼', 'Lower priority', -1)];
    this.#onlyMissing = el('input', {
      type: 'checkbox',
      change: () => onOnlyMissing(this.#onlyMissing.checked),
    });
    this.#content = el(
      'div',
      { class: 'job' },
      el(
        'section',
        { class: 'card', 'aria-label': 'About the job' },
        el('div', { class: 'head' }, el('div', { class: 'grow' }, this.#heading), this.#state),
        this.#progress.node,
        this.#count,
        this.#message,
        el(
          'div',
          { class: 'toolbar', role: 'toolbar', 'aria-label': 'This job' },
          ...this.#buttons.map(({ button }) => button),
          ...this.#priority,
        ),
        this.#facts,
      ),
      el(
        'section',
        { class: 'card', 'aria-label': 'Its images' },
        el(
          'div',
          { class: 'head' },
          el('h2', { text: 'Images' }),
          el('label', { class: 'tick' }, this.#onlyMissing, 'Only missing ones'),
        ),
        this.#none,
        grid,
        this.#more,
      ),
    );
    this.node = el(
      'div',
      {},
      el('p', { class: 'back' }, el('a', { href: '#/', text: '← All jobs' })),
      this.#content,
      this.#missing,
    );
  }

  focus() {
    this.#heading.focus({ preventScroll: true });
  }

  update() {
    const job = this.#store.jobs.get(this.#id);
    this.#content.hidden = job === undefined;
    this.#missing.hidden = job !== undefined;
    if (job === undefined) return;
    setText(this.#state, job.state);
    setAttribute(this.#state, 'data-state', job.state);
    this.#progress.update(job);
    setText(this.#count, `${progressText(job)} · ${timeText(job, this.#store.nowMs)}`);
    setText(this.#message, job.message);
    this.#message.hidden = job.message === '';
    for (const { action, button } of this.#buttons) button.disabled = !isApplicable(action, job);
    for (const button of this.#priority) button.disabled = isOver(job);
    this.#factList.update(factsOf(job));
    const images = [...this.#store.images.values()].toSorted((a, b) => a.index - b.index);
    this.#grid.update(images);
    this.#none.hidden = images.length > 0 || !this.#onlyMissing.checked;
    this.#more.hidden = images.length >= (this.#onlyMissing.checked ? job.failed : job.images);
  }

  close() {}
}

/** @param {WebJob} job */
function factsOf(job) {
  const facts = [
    { label: 'Driver', text: job.driver },
    { label: 'Size', text: `${job.width}×${job.height}, ${job.format}` },
    { label: 'Samples', text: countText(job.samples) },
    { label: 'Priority', text: String(job.priority) },
    { label: 'Submitted', text: clockText(job.submittedAtMs) },
  ];
  if (job.finishedAtMs !== null) facts.push({ label: 'Finished', text: clockText(job.finishedAtMs) });
  if (job.code !== null) facts.push({ label: 'Result', text: job.code });
  if (job.scene !== '') facts.push({ label: 'Scene', text: job.scene.slice(0, 12) });
  if (job.tag !== '') facts.push({ label: 'Needs', text: `#${job.tag}` });
  if (job.retries > 0) facts.push({ label: 'Retries', text: countText(job.retries) });
  if (job.resultBytes > 0) facts.push({ label: 'Kept', text: bytesText(job.resultBytes) });
  if (job.expiresAtMs !== null) facts.push({ label: 'Kept until', text: clockText(job.expiresAtMs) });
  if (job.blockedNodes.length > 0) facts.push({ label: 'Blocked nodes', text: job.blockedNodes.join(', ') });
  return facts;
}

/** @param {{ label: string, text: string }} fact */
function factItem({ label }) {
  const value = el('dd');
  return {
    node: el('div', {}, el('dt', { text: label }), value),
    /** @param {{ text: string }} fact */
    update: ({ text }) => setText(value, text),
  };
}

class Thumbnail {
  #job;
  #index;
  #link;
  #frame = el('span', { class: 'frame' });
  #shown = '';
  node;

  /** @param {number} job @param {number} index */
  constructor(job, index) {
    this.#job = job;
    this.#index = index;
    this.#link = el('a', { href: `#/jobs/${job}/images/${index}` }, this.#frame);
    this.node = el(
      'li',
      {},
      this.#link,
      el('span', { class: 'caption', 'aria-hidden': 'true', text: String(index) }),
    );
  }

  /** @param {WebImage} image */
  update({ state, kept, error, code, renderMs }) {
    const shown = `${state} ${kept}`;
    const what =
      state === 'rendered'
        ? `rendered in ${durationText(renderMs)}`
        : state === 'missing'
          ? error || code
          : state;
    setAttribute(this.#link, 'aria-label', `Image ${this.#index}: ${what}`);
    setAttribute(this.#link, 'title', what);
    setAttribute(this.node, 'data-state', state);
    if (shown === this.#shown) return;
    this.#shown = shown;
    if (state === 'rendered' && kept) {
      const picture = el('img', { alt: '', loading: 'lazy' });
      this.#frame.replaceChildren(withRetry(picture, imageUrl(this.#job, this.#index, THUMBNAIL)));
    } else {
      this.#frame.replaceChildren(state === 'rendered' ? 'not kept' : state);
    }
  }
}
