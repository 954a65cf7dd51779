// Load over time, drawn by uPlot in the colours of the page.

import uPlot from './vendor/uplot.js';
import { el } from './dom.js';

/**
 * @typedef {object} ChartSeries
 * @property {string} label
 * @property {string} colour name of a colour of the page, such as `--cpu`
 * @property {boolean} [isFilled]
 */

const HEIGHT = 96;
/** @type {Set<Chart>} */
const charts = new Set();

/** Draws all of them anew, in the colours of now. */
export function recolour() {
  for (const chart of charts) chart.rebuild();
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', recolour);

export class Chart {
  node = el('div', { class: 'chart', role: 'img' });
  #series;
  #format;
  #max;
  #height;
  /** @type {uPlot | null} */
  #plot = null;
  /** @type {uPlot.AlignedData} */
  #data;
  #observer;

  /**
   * @param {readonly ChartSeries[]} series
   * @param {{ format: (value: number) => string, max: number | null, height?: number }} options `max` null: as high as needed
   */
  constructor(series, { format, max, height = HEIGHT }) {
    this.#series = series;
    this.#format = format;
    this.#max = max;
    this.#height = height;
    this.#data = [[], ...series.map(() => [])];
    this.#observer = new ResizeObserver(() => this.#fit());
    this.#observer.observe(this.node);
    charts.add(this);
  }

  /**
   * @param {readonly number[]} times in seconds
   * @param {readonly (readonly (number | null)[])[]} values one list for each series
   * @param {string} summary for those who do not see it
   */
  update(times, values, summary) {
    this.node.setAttribute('aria-label', summary);
    this.#data = /** @type {uPlot.AlignedData} */ ([times, ...values]);
    this.#plot?.setData(this.#data);
  }

  rebuild() {
    this.#plot?.destroy();
    this.#plot = null;
    this.#fit();
  }

  close() {
    charts.delete(this);
    this.#observer.disconnect();
    this.#plot?.destroy();
    this.#plot = null;
  }

  #fit() {
    const width = Math.floor(this.node.clientWidth);
    if (width === 0) return;
    if (this.#plot === null) this.#plot = new uPlot(this.#options(width), this.#data, this.node);
    else if (this.#plot.width !== width) this.#plot.setSize({ width, height: this.#height });
  }

  /**
   * @param {number} width
   * @returns {uPlot.Options}
   */
  #options(width) {
    const colours = getComputedStyle(this.node);
    const of = (/** @type {string} */ name) => colours.getPropertyValue(name).trim();
    const line = { stroke: of('--line'), width: 1 };
    const axis = {
      stroke: of('--muted'),
      font: '11px system-ui, sans-serif',
      grid: line,
      ticks: { show: false },
    };
    const format = this.#format;
    const max = this.#max;
    return {
      width,
      height: this.#height,
      padding: [8, 4, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: true },
        y: { range: (_plot, _low, high) => [0, max ?? Math.max(1, (high ?? 0) * 1.15)] },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 22, space: 70, values: (_plot, times) => times.map(clock) },
        { ...axis, size: 44, space: 28, values: (_plot, values) => values.map((value) => format(value)) },
      ],
      series: [
        {},
        ...this.#series.map(({ label, colour, isFilled = false }) => ({
          label,
          stroke: of(colour),
          width: 1.75,
          points: { show: false },
          ...(isFilled ? { fill: `${of(colour)}22` } : {}),
        })),
      ],
    };
  }
}

/** @param {number} seconds */
function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString('en-GB', {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });
}
