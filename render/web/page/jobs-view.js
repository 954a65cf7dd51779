// The list of jobs: ticked ones can be paused, canceled and so on together.

import { actOn, isApplicable, isOver, JOB_ACTIONS, raise } from './actions.js';
import { el, KeyedList, setAttribute, setText } from './dom.js';
import { commandLine } from './empty.js';
import { countText, progressText, timeText } from './format.js';
import { Progress } from './progress.js';

/** @import { Store } from './store.js' */
/** @import { WebJob } from '../shapes.js' */

const OPEN = ['queued', 'active', 'paused'];
const FINISHED = ['completed', 'failed', 'canceled'];
const FILTERS = [
  { label: 'All', states: [] },
  { label: 'Open', states: OPEN },
  { label: 'Finished', states: FINISHED },
];
const PAGE = 50;
const LIMIT_MAX = 1000;

export class JobsView {
  #store;
  #onQuery;
  /** @type {readonly string[]} */
  #states = [];
  #limit = PAGE;
  #rows;
  #table;
  #empty;
  #more;
  #count = el('span', { class: 'muted' });
  #all;
  /** @type {{ button: HTMLButtonElement, isUsable: (job: WebJob) => boolean }[]} */
  #buttons;
  #toolbar;
  #command = commandLine();
  node;

  /**
   * @param {Store} store
   * @param {(states: readonly string[], limit: number) => void} onQuery
   */
  constructor(store, onQuery) {
    this.#store = store;
    this.#onQuery = onQuery;
    const body = el('tbody', { role: 'rowgroup' });
    this.#rows = new KeyedList(
      body,
      (/** @type {WebJob} */ { id }) => id,
      (job) => new JobRow(store, job.id),
    );
    this.#all = el('input', {
      type: 'checkbox',
      'aria-label': 'Select all jobs shown',
      change: () => this.#tickAll(),
    });
    this.#buttons = this.#makeButtons();
    this.#toolbar = el(
      'div',
      { class: 'toolbar', role: 'toolbar', 'aria-label': 'Selected jobs' },
      el('label', { class: 'tick' }, this.#all, this.#count),
      ...this.#buttons.map(({ button }) => button),
    );
    const heads = ['Job', 'State', 'Progress', 'Size', 'Priority', 'Time'];
    this.#table = el(
      'table',
      { class: 'jobs', role: 'table', 'aria-labelledby': 'jobs' },
      el(
        'thead',
        { role: 'rowgroup' },
        el(
          'tr',
          { role: 'row' },
          el('th', { role: 'columnheader', scope: 'col' }, el('span', { class: 'hidden', text: 'Selected' })),
          ...heads.map((text) => el('th', { role: 'columnheader', scope: 'col', text })),
        ),
      ),
      body,
    );
    this.#empty = el('div', { class: 'empty' });
    this.#more = el('button', { type: 'button', text: 'Show more', click: () => this.#grow() });
    this.node = el(
      'section',
      { class: 'card', 'aria-labelledby': 'jobs' },
      el('div', { class: 'head' }, el('h2', { id: 'jobs', text: 'Jobs' }), this.#filters()),
      this.#toolbar,
      this.#table,
      this.#empty,
      this.#more,
    );
  }

  get query() {
    return { states: this.#states, limit: this.#limit };
  }

  update() {
    const { jobs, selected, jobsTotal } = this.#store;
    const all = this.#matching();
    const shown = all.slice(0, this.#limit);
    this.#rows.update(shown);
    const ticked = shown.filter(({ id }) => selected.has(id));
    this.#table.hidden = shown.length === 0;
    this.#toolbar.hidden = shown.length === 0;
    this.#more.hidden = Math.max(jobsTotal, all.length) <= shown.length || this.#limit >= LIMIT_MAX;
    this.#all.checked = ticked.length > 0 && ticked.length === shown.length;
    this.#all.indeterminate = ticked.length > 0 && ticked.length < shown.length;
    setText(this.#count, ticked.length === 0 ? 'Select all' : `${ticked.length} selected`);
    for (const { button, isUsable } of this.#buttons) button.disabled = !ticked.some(isUsable);
    this.#updateEmpty(shown.length === 0, jobs.size === 0);
  }

  #shown() {
    return this.#matching().slice(0, this.#limit);
  }

  /** @returns {WebJob[]} newest first */
  #matching() {
    const states = this.#states;
    return [...this.#store.jobs.values()]
      .filter(({ state }) => states.length === 0 || states.includes(state))
      .toSorted((a, b) => b.id - a.id);
  }

  /** @param {boolean} isEmpty @param {boolean} hasNone */
  #updateEmpty(isEmpty, hasNone) {
    this.#empty.hidden = !isEmpty;
    if (!isEmpty) return;
    const text = hasNone ? 'No jobs yet. Ask for some images:' : 'No jobs in this state.';
    if (this.#empty.firstChild?.textContent !== text)
      this.#empty.replaceChildren(el('p', { text }), ...(hasNone ? [this.#command.node] : []));
    this.#command.update(
      `reactor-net render submit --main ${this.#store.main} --images 10 --size 320x240 --out images`,
    );
  }

  #makeButtons() {
    const ticked = () => this.#shown().filter(({ id }) => this.#store.selected.has(id));
    const button = /** @param {string} text @param {() => void} click @param {string} [label] */ (
      text,
      click,
      label,
    ) => el('button', { type: 'button', class: 'small', text, click, 'aria-label': label });
    const isOpen = (/** @type {WebJob} */ job) => !isOver(job);
    return [
      ...JOB_ACTIONS.map(({ action, label }) => ({
        button: button(label, () => void actOn(action, ticked())),
        isUsable: (/** @type {WebJob} */ job) => isApplicable(action, job),
      })),
      { button: button('▲', () => void raise(ticked(), 1), 'Raise priority'), isUsable: isOpen },
      { button: button('▼', () => void raise(ticked(), -1), 'Lower priority'), isUsable: isOpen },
    ];
  }

  #filters() {
    const inputs = FILTERS.map(({ label, states }, at) =>
      el(
        'label',
        {},
        el('input', {
          type: 'radio',
          name: 'filter',
          checked: at === 0,
          change: () => {
            this.#states = states;
            this.#limit = PAGE;
            this.#onQuery(states, PAGE);
            this.update();
          },
        }),
        el('span', { text: label }),
      ),
    );
    return el(
      'fieldset',
      { class: 'filters' },
      el('legend', { class: 'hidden', text: 'Which jobs' }),
      ...inputs,
    );
  }

  #tickAll() {
    for (const { id } of this.#shown()) {
      if (this.#all.checked) this.#store.selected.add(id);
      else this.#store.selected.delete(id);
    }
    this.#store.changed();
  }

  #grow() {
    this.#limit = Math.min(LIMIT_MAX, this.#limit * 2);
    this.#onQuery(this.#states, this.#limit);
  }
}

class JobRow {
  #store;
  #id;
  #tick;
  #driver = el('span', { class: 'muted' });
  #state = el('span', { class: 'state' });
  #progress = new Progress();
  #count = el('span', { class: 'muted' });
  #size = cell('Size');
  #priority = cell('Priority');
  #time = cell('Time');
  node;

  /** @param {Store} store @param {number} id */
  constructor(store, id) {
    this.#store = store;
    this.#id = id;
    this.#tick = el('input', {
      type: 'checkbox',
      'aria-label': `Select job ${id}`,
      change: () => {
        if (this.#tick.checked) store.selected.add(id);
        else store.selected.delete(id);
        store.changed();
      },
    });
    this.node = el(
      'tr',
      { role: 'row' },
      el('td', { role: 'cell', class: 'tick-cell' }, el('label', { class: 'tick' }, this.#tick)),
      el(
        'td',
        { role: 'cell', class: 'name-cell' },
        el('a', { href: `#/jobs/${id}`, text: `Job ${id}` }),
        this.#driver,
      ),
      el('td', { role: 'cell', class: 'state-cell' }, this.#state),
      el('td', { role: 'cell', class: 'progress-cell' }, this.#progress.node, this.#count),
      this.#size,
      this.#priority,
      this.#time,
    );
  }

  /** @param {WebJob} job */
  update(job) {
    this.#tick.checked = this.#store.selected.has(this.#id);
    setAttribute(this.node, 'aria-selected', this.#tick.checked ? 'true' : null);
    setText(this.#driver, job.driver);
    setText(this.#state, job.state);
    setAttribute(this.#state, 'data-state', job.state);
    this.#progress.update(job);
    setText(this.#count, progressText(job));
    setText(this.#size, `${job.width}×${job.height}`);
    setText(this.#priority, job.priority === 0 ? '0' : countText(job.priority));
    setText(this.#time, timeText(job, this.#store.nowMs));
  }
}

/** @param {string} label */
function cell(label) {
  return el('td', { role: 'cell', 'data-label': label });
}
