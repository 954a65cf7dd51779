// The first view: totals, images as they come in, jobs, and worker nodes.

import { imageUrl } from './api.js';
import { Chart } from './charts.js';
import { el, KeyedList, setText } from './dom.js';
import { bytesText, countedText, countText, rateText } from './format.js';
import { JobsView } from './jobs-view.js';
import { withRetry } from './thumbnails.js';
import { WorkersView } from './workers-view.js';

/** @import { Store } from './store.js' */

const THUMBNAIL = 192;

export class Overview {
  title = 'Render farm';
  #store;
  #jobs;
  #workers;
  #chart = new Chart([{ label: 'Images per second', colour: '--accent', isFilled: true }], {
    format: rateText,
    max: null,
    height: 120,
  });
  #rate = tile('Images per second');
  #open = tile('Images to do');
  #active = tile('Jobs under way');
  #nodes = tile('Worker nodes');
  #slots = tile('Renderer processes');
  #kept = tile('Images kept');
  #latest;
  #latestCard;
  node;

  /**
   * @param {Store} store
   * @param {(states: readonly string[], limit: number) => void} onQuery the list of jobs wants others
   */
  constructor(store, onQuery) {
    this.#store = store;
    this.#jobs = new JobsView(store, onQuery);
    this.#workers = new WorkersView(store);
    const strip = el('ul', { class: 'strip' });
    this.#latest = new KeyedList(strip, ({ job, index }) => `${job} ${index}`, latestItem);
    this.#latestCard = el(
      'section',
      { class: 'card', 'aria-labelledby': 'latest' },
      el('h2', { id: 'latest', text: 'Latest images' }),
      strip,
    );
    const tiles = [this.#rate, this.#open, this.#active, this.#nodes, this.#slots, this.#kept];
    this.node = el(
      'div',
      { class: 'overview' },
      el('h1', { class: 'hidden', text: 'Render farm' }),
      el('dl', { class: 'tiles', 'aria-label': 'Totals' }, ...tiles.map(({ node }) => node)),
      el(
        'div',
        { class: 'columns' },
        el('div', { class: 'column' }, this.#jobs.node, this.#latestCard),
        el(
          'div',
          { class: 'column' },
          el(
            'section',
            { class: 'card', 'aria-labelledby': 'throughput' },
            el('h2', { id: 'throughput', text: 'Images per second' }),
            this.#chart.node,
          ),
          this.#workers.node,
        ),
      ),
    );
  }

  /** Which jobs the list shows. */
  get query() {
    return this.#jobs.query;
  }

  update() {
    const { totals, points, latest, jobs } = this.#store;
    const rate = points.at(-1)?.imagesPerSecond ?? 0;
    if (totals !== null) {
      const { jobs: byState, workers, imagesOpen, resultBytes } = totals;
      this.#rate.update(rateText(rate), `${countText(totals.imagesRendered)} in all`);
      this.#open.update(countText(imagesOpen), `${countText(totals.imagesFailed)} missing`);
      this.#active.update(countText(byState.active + byState.queued), `${countText(byState.paused)} paused`);
      this.#nodes.update(
        countText(workers),
        workers === 0 ? 'none yet' : countedText(totals.drivers, 'driver'),
      );
      const running = [...this.#store.workers.values()].reduce((sum, worker) => sum + worker.running, 0);
      this.#slots.update(countText(totals.slots), `${countedText(running, 'image')} in hand`);
      this.#kept.update(
        bytesText(resultBytes),
        `of ${countedText(byState.completed + byState.failed, 'finished job')}`,
      );
    }
    this.#chart.update(
      points.map(({ atMs }) => atMs / 1000),
      [points.map(({ imagesPerSecond }) => imagesPerSecond)],
      `Images per second over the last minutes, now ${rateText(rate)}`,
    );
    this.#latest.update(latest.filter(({ job }) => jobs.has(job)));
    this.#latestCard.hidden = latest.length === 0;
    this.#jobs.update();
    this.#workers.update();
  }

  close() {
    this.#chart.close();
    this.#workers.close();
  }
}

/** @param {string} label */
function tile(label) {
  const value = el('span', { class: 'tile-value' });
  const detail = el('span', { class: 'tile-detail' });
  return {
    node: el('div', { class: 'tile' }, el('dt', { text: label }), el('dd', {}, value, detail)),
    /** @param {string} text @param {string} more */
    update(text, more) {
      setText(value, text);
      setText(detail, more);
    },
  };
}

/** @param {{ job: number, index: number }} image */
function latestItem({ job, index }) {
  const name = `Image ${index} of job ${job}`;
  const picture = withRetry(el('img', { alt: '', loading: 'lazy' }), imageUrl(job, index, THUMBNAIL));
  const link = el('a', { href: `#/jobs/${job}/images/${index}`, 'aria-label': name }, picture);
  return {
    node: el(
      'li',
      {},
      link,
      el('span', { class: 'caption', 'aria-hidden': 'true', text: `${job} · ${index}` }),
    ),
    update() {},
  };
}
