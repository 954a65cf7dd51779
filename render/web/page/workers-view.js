// Worker nodes, each with its load over time and its renderer processes.

import { drain } from './actions.js';
import { Chart } from './charts.js';
import { el, KeyedList, setAttribute, setText } from './dom.js';
import { commandLine } from './empty.js';
import { agoText, bytesText, countText, durationText, shareText } from './format.js';

/** @import { Store } from './store.js' */
/** @import { WebWorker } from '../shapes.js' */
/** @typedef {WebWorker['processes'][number]} WebProcess */

/** No beat for so long: it may be gone. */
const SILENT_MS = 3000;
const GRAPHS_MAX = 24;

export class WorkersView {
  #store;
  #cards;
  /** @type {Map<number, WorkerCard>} */
  #bySerial = new Map();
  #empty;
  #command = commandLine();
  node;

  /** @param {Store} store */
  constructor(store) {
    this.#store = store;
    const list = el('ul', { class: 'workers' });
    this.#cards = new KeyedList(
      list,
      (/** @type {WebWorker} */ { serial }) => serial,
      (worker) => {
        const card = new WorkerCard(store, worker.serial, this.#bySerial.size < GRAPHS_MAX);
        this.#bySerial.set(worker.serial, card);
        return card;
      },
    );
    this.#empty = el(
      'div',
      { class: 'empty' },
      el('p', { text: 'No worker node has registered yet, so nothing is rendered. Start one:' }),
      this.#command.node,
    );
    this.node = el(
      'section',
      { class: 'card', 'aria-labelledby': 'workers' },
      el('div', { class: 'head' }, el('h2', { id: 'workers', text: 'Worker nodes' })),
      list,
      this.#empty,
    );
  }

  update() {
    const workers = [...this.#store.workers.values()].toSorted((a, b) => a.serial - b.serial);
    for (const [serial, card] of this.#bySerial) {
      if (this.#store.workers.has(serial)) continue;
      card.close();
      this.#bySerial.delete(serial);
    }
    this.#cards.update(workers);
    this.#empty.hidden = workers.length > 0;
    this.#command.update(`reactor-net render worker --main ${this.#store.main} --backend builtin`);
  }

  close() {
    for (const card of this.#bySerial.values()) card.close();
  }
}

class WorkerCard {
  #store;
  #serial;
  #name = el('h3');
  #where = el('p', { class: 'muted' });
  #state = el('span', { class: 'state' });
  #drain;
  #cpu = legend('CPU', 'cpu');
  #mem = legend('Memory', 'mem');
  #gpu = legend('GPU', 'gpu');
  #chart;
  #facts = el('p', { class: 'facts' });
  #processes;
  #rows;
  #summary = el('summary');
  /** The points that the graph shows. @type {Store['points'] | null} */
  #drawn = null;
  node;

  /** @param {Store} store @param {number} serial @param {boolean} hasGraph */
  constructor(store, serial, hasGraph) {
    this.#store = store;
    this.#serial = serial;
    this.#drain = el('button', {
      type: 'button',
      class: 'small',
      text: 'Drain',
      click: () => {
        const worker = store.workers.get(serial);
        if (worker !== undefined) void drain(worker);
      },
    });
    this.#chart = hasGraph
      ? new Chart(
          [
            { label: 'CPU', colour: '--cpu', isFilled: true },
            { label: 'Memory', colour: '--mem' },
            { label: 'GPU', colour: '--gpu' },
          ],
          { format: shareText, max: 1 },
        )
      : null;
    const body = el('tbody');
    this.#rows = new KeyedList(body, (/** @type {WebProcess} */ { pid }) => pid, processRow);
    const heads = ['Process', 'CPU', 'Memory', 'Images'];
    this.#processes = el(
      'details',
      { open: true },
      this.#summary,
      el(
        'table',
        { class: 'processes' },
        el('thead', {}, el('tr', {}, ...heads.map((text) => el('th', { scope: 'col', text })))),
        body,
      ),
    );
    this.node = el(
      'li',
      { class: 'worker' },
      el(
        'div',
        { class: 'head' },
        el('div', { class: 'grow' }, this.#name, this.#where),
        this.#state,
        this.#drain,
      ),
      el('div', { class: 'legend' }, this.#cpu.node, this.#mem.node, this.#gpu.node),
      ...(this.#chart === null ? [] : [this.#chart.node]),
      this.#facts,
      this.#processes,
    );
  }

  /** @param {WebWorker} worker */
  update(worker) {
    const { name, address, tags, version, isDraining, cpu, mem, gpu, processes } = worker;
    const silentMs = this.#store.nowMs - Math.max(worker.lastBeatMs, worker.registeredAtMs);
    const isSilent = worker.lastBeatMs > 0 && silentMs > SILENT_MS;
    setText(this.#name, name);
    setText(this.#where, [address, version, ...tags.map((tag) => `#${tag}`)].filter(Boolean).join(' · '));
    const state = isDraining ? 'draining' : isSilent ? 'silent' : worker.running > 0 ? 'busy' : 'idle';
    setText(
      this.#state,
      isSilent && !isDraining ? `silent, ${agoText(worker.lastBeatMs, this.#store.nowMs)}` : state,
    );
    setAttribute(this.#state, 'data-state', state);
    this.#drain.disabled = isDraining;
    setAttribute(this.#drain, 'aria-label', `Drain ${name}`);
    const others = worker.cpuOthers < cpu ? `, others ${shareText(worker.cpuOthers)}` : '';
    this.#cpu.update(`${shareText(cpu)}${others}`);
    this.#mem.update(shareText(mem));
    this.#gpu.node.hidden = gpu === 0 && worker.gpuTemp === 0;
    this.#gpu.update(`${shareText(gpu)}${worker.gpuTemp > 0 ? `, ${Math.round(worker.gpuTemp)} °C` : ''}`);
    this.#draw(worker);
    const failed = worker.imagesFailed > 0 ? `, ${countText(worker.imagesFailed)} failed` : '';
    setText(
      this.#facts,
      `${countText(worker.running)} running, ${countText(worker.queued)} waiting · ${countText(worker.imagesRendered)} rendered${failed} · up ${durationText(this.#store.nowMs - worker.registeredAtMs)}`,
    );
    setText(this.#summary, `${processes.length} of at most ${worker.slotsMax} renderer processes`);
    this.#rows.update(processes);
  }

  close() {
    this.#chart?.close();
  }

  /** @param {WebWorker} worker */
  #draw({ name, cpu, mem }) {
    const { points } = this.#store;
    if (this.#chart === null || points === this.#drawn) return;
    this.#drawn = points;
    const loads = points.map(({ workers }) => workers.find(({ serial }) => serial === this.#serial));
    const hasGpu = loads.some((load) => (load?.gpu ?? 0) > 0);
    this.#chart.update(
      points.map(({ atMs }) => atMs / 1000),
      [
        loads.map((load) => load?.cpu ?? null),
        loads.map((load) => load?.mem ?? null),
        loads.map((load) => (hasGpu ? (load?.gpu ?? null) : null)),
      ],
      `Load of ${name} over the last minutes, now CPU ${shareText(cpu)}, memory ${shareText(mem)}`,
    );
  }
}

/** @param {string} label @param {string} colour */
function legend(label, colour) {
  const value = el('strong');
  return {
    node: el('span', { class: `key ${colour}` }, `${label} `, value),
    /** @param {string} text */
    update: (text) => setText(value, text),
  };
}

/** @param {WebProcess} first */
function processRow(first) {
  const cells = Array.from({ length: 3 }, () => el('td'));
  const [cpu, memory, images] = cells;
  return {
    node: el('tr', {}, el('th', { scope: 'row', text: String(first.pid) }), ...cells),
    /** @param {WebProcess} process */
    update(process) {
      if (cpu) setText(cpu, shareText(process.cpu));
      if (memory) setText(memory, bytesText(process.rssBytes));
      if (images) setText(images, countText(process.renders));
    },
  };
}
