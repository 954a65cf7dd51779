// Starts the page: which view the address asks for, what it needs, and the parts that are always there.

import { api, ApiError } from './api.js';
import { recolour } from './charts.js';
import { setAttribute, setText } from './dom.js';
import { JobView } from './job-view.js';
import { Live } from './live.js';
import { Login } from './login.js';
import { notice } from './notices.js';
import { Overview } from './overview.js';
import { Store } from './store.js';
import { messageOf } from './actions.js';
import { Viewer } from './viewer.js';

/** @typedef {{ title: string, node: HTMLElement, update: () => void, close: () => void, focus?: () => void }} View */

const IMAGES_PAGE = 200;
const REFRESH_MS = 1000;
const RETRY_MS = 3000;
const LINK_TEXT = { connecting: 'Connecting…', live: 'Live', lost: 'Not connected, trying again…' };
const THEMES = ['system', 'light', 'dark'];

const store = new Store();
const main = by('main');
/** @type {View | null} */
let view = null;
/** @type {Viewer | null} */
let viewer = null;
/** The job that is looked at, and which of its images. @type {{ id: number, limit: number, state: '' | 'missing' } | null} */
let looked = null;
let isAsking = false;
let refreshTimer = 0;

const live = new Live(store, {
  onState: (state) => {
    const link = by('link');
    setText(link, LINK_TEXT[state]);
    setAttribute(link, 'data-state', state);
  },
  onRestart: () => notice('The main node was started again; this page is up to date', 'good'),
  onLogin: askForToken,
  refresh,
  onImages: (job, images) => {
    const rendered = images.filter(({ state }) => state === 'rendered').map(({ index }) => ({ job, index }));
    store.cameIn(rendered);
    if (looked?.id !== job) return;
    store.putImageStates(images);
    refreshJobSoon();
  },
});

function askForToken() {
  live.stop();
  looked = null;
  closeViewer();
  if (!(view instanceof Login)) show(new Login(() => open()));
}

/** @param {unknown} error */
function failed(error) {
  if (error instanceof ApiError && error.status === 401) askForToken();
  else notice(messageOf(error), 'bad');
}

/** Everything that is shown, anew. */
async function refresh() {
  const query = view instanceof Overview ? view.query : { states: [], limit: 50 };
  const [{ jobs, total }, workers, { points }] = await Promise.all([
    api.jobs(query),
    api.workers(),
    api.load(),
  ]);
  store.jobs = new Map(jobs.map((job) => [job.id, job]));
  store.jobsTotal = total;
  store.workers = new Map(workers.map((worker) => [worker.serial, worker]));
  store.points = points;
  for (const id of store.selected) if (!store.jobs.has(id)) store.selected.delete(id);
  by('logout').hidden = store.farm?.hasTokens !== true;
  store.changed();
  await refreshJob();
  if (store.latest.length === 0) await findLatest();
}

/** Images that came in before this page was opened. */
async function findLatest() {
  const newest = [...store.jobs.values()].toSorted((a, b) => b.id - a.id).find(({ done }) => done > 0);
  if (newest === undefined) return;
  const { images } = (await jobOrNull(newest.id, 0, 100)) ?? { images: [] };
  const kept = images.filter(({ kept }) => kept).map(({ index }) => ({ job: newest.id, index }));
  store.cameIn(kept.slice(-12));
}

/**
 * What else is to be known of new images is asked for now and then, however fast they come.
 * @param {number} [delayMs]
 */
function refreshJobSoon(delayMs = REFRESH_MS) {
  if (refreshTimer !== 0) return;
  refreshTimer = window.setTimeout(() => {
    refreshTimer = 0;
    refreshJob().catch(refreshJobAgain);
  }, delayMs);
}

/** Nobody else would ask again. @param {unknown} error */
function refreshJobAgain(error) {
  // A main node that is away is told at the head of the page.
  if (!(error instanceof ApiError && error.status === 0)) failed(error);
  if (looked !== null) refreshJobSoon(RETRY_MS);
}

/** One asking at a time; images that come in meanwhile are asked for afterwards. */
let isAskedAgain = false;
async function refreshJob() {
  if (looked === null) return;
  if (isAsking) {
    isAskedAgain = true;
    return;
  }
  isAsking = true;
  try {
    const asked = looked;
    const { id, limit, state } = asked;
    /** @type {Map<number, import('../shapes.js').WebImage>} */
    const found = new Map();
    for (let offset = 0; offset < limit; offset += IMAGES_PAGE) {
      const page = await jobOrNull(id, offset, IMAGES_PAGE, state);
      if (page === null) store.removeJobs([id]);
      else store.putJobs([page.job]);
      const images = page?.images ?? [];
      for (const image of images) found.set(image.index, image);
      if (images.length < IMAGES_PAGE) break;
    }
    if (looked === asked) store.images = found;
    store.changed();
  } finally {
    isAsking = false;
    if (isAskedAgain) {
      isAskedAgain = false;
      await refreshJob();
    }
  }
}

/**
 * Null: it is not there, any more or at all.
 * @param {number} id @param {number} offset @param {number} limit @param {string} [state]
 */
async function jobOrNull(id, offset, limit, state) {
  try {
    return await api.job(id, offset, limit, state);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

/** Shows what the address asks for. */
function open() {
  void live.start();
  route();
}

function route() {
  const [, job, image] = /^#\/jobs\/(\d+)(?:\/images\/(\d+))?$/.exec(location.hash) ?? [];
  if (job === undefined) {
    looked = null;
    store.images = new Map();
    closeViewer();
    if (!(view instanceof Overview)) show(new Overview(store, (states, limit) => void query(states, limit)));
    return;
  }
  const id = Number(job);
  const index = image === undefined ? null : Number(image);
  if (looked?.id !== id) {
    look({ id, limit: IMAGES_PAGE, state: '' });
    store.images = new Map();
    closeViewer();
    show(new JobView(store, id, { onMore, onOnlyMissing }));
  }
  if (index === null) {
    closeViewer();
    return;
  }
  if (looked !== null && looked.state === '' && index >= looked.limit)
    look({ ...looked, limit: Math.ceil((index + 1) / IMAGES_PAGE) * IMAGES_PAGE });
  if (viewer?.job === id) viewer.show(index);
  else openViewer(id, index);
}

/** @param {number} job @param {number} index */
function openViewer(job, index) {
  const back = document.activeElement;
  viewer = new Viewer(store, job, index, () => {
    viewer = null;
    if (location.hash.includes('/images/')) location.hash = `#/jobs/${job}`;
    if (back instanceof HTMLElement && back.isConnected) back.focus();
  });
}

function closeViewer() {
  viewer?.close();
}

/** @param {NonNullable<typeof looked>} next */
function look(next) {
  looked = next;
  store.isOnlyMissing = next.state === 'missing';
  refreshJob().catch(refreshJobAgain);
}

function onMore() {
  if (looked !== null) look({ ...looked, limit: looked.limit + IMAGES_PAGE });
}

/** @param {boolean} isWanted */
function onOnlyMissing(isWanted) {
  if (looked !== null) look({ ...looked, limit: IMAGES_PAGE, state: isWanted ? 'missing' : '' });
}

/** @param {readonly string[]} states @param {number} limit */
async function query(states, limit) {
  try {
    const { jobs, total } = await api.jobs({ states, limit });
    store.jobsTotal = total;
    store.putJobs(jobs);
  } catch (error) {
    failed(error);
  }
}

/** @param {View} next */
function show(next) {
  const isFirst = view === null;
  view?.close();
  view = next;
  main.replaceChildren(next.node);
  document.title = next.title === 'Render farm' ? next.title : `${next.title} · Render farm`;
  next.update();
  if (isFirst && !(next instanceof Login)) return;
  // Whoever cannot see it hears where they are.
  scrollTo(0, 0);
  if (next.focus === undefined) main.focus({ preventScroll: true });
  else next.focus();
}

/** @param {string} id */
function by(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no #${id}`);
  return element;
}

function theme() {
  const at = THEMES.indexOf(document.documentElement.dataset['theme'] ?? 'system');
  return THEMES[at] ?? 'system';
}

function showTheme() {
  setText(by('theme-name'), theme());
  setAttribute(by('theme'), 'aria-label', `Theme: ${theme()}`);
  recolour();
}

by('theme').addEventListener('click', () => {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length] ?? 'system';
  localStorage.setItem('theme', next);
  if (next === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = next;
  showTheme();
});
by('logout').addEventListener('click', () => {
  live.stop();
  api.logOut().then(
    () => location.reload(),
    (error) => notice(messageOf(error), 'bad'),
  );
});
by('skip').addEventListener('click', (event) => {
  event.preventDefault(); // the address says which view is shown
  main.focus();
});
window.addEventListener('hashchange', route);
store.listen(() => {
  view?.update();
  viewer?.update();
});
// Ages and silences grow although nothing happens.
setInterval(() => store.changed(), 5000);
showTheme();
open();
