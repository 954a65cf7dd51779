// What can be done to jobs and workers from the page, with questions before and messages after.

import { api } from './api.js';
import { confirmed, notice } from './notices.js';

/** @import { WebJob, WebWorker } from '../shapes.js' */
/** @typedef {'pause' | 'resume' | 'requeue' | 'cancel' | 'delete'} JobAction */

const FINISHED = new Set(['completed', 'failed', 'canceled']);

/** @type {readonly { action: JobAction, label: string, done: string }[]} */
export const JOB_ACTIONS = [
  { action: 'pause', label: 'Pause', done: 'paused' },
  { action: 'resume', label: 'Resume', done: 'resumed' },
  { action: 'requeue', label: 'Requeue', done: 'queued again' },
  { action: 'cancel', label: 'Cancel', done: 'canceled' },
  { action: 'delete', label: 'Delete', done: 'deleted' },
];

/** @param {WebJob} job */
export function isOver({ state }) {
  return FINISHED.has(state);
}

/**
 * Whether it makes sense for a job as it is.
 * @param {JobAction} action
 * @param {WebJob} job
 */
export function isApplicable(action, job) {
  const isFinished = isOver(job);
  switch (action) {
    case 'pause':
      return !isFinished && job.state !== 'paused';
    case 'resume':
      return job.state === 'paused';
    case 'requeue':
      return isFinished && job.done < job.images;
    case 'cancel':
      return !isFinished;
    case 'delete':
      return isFinished;
    default:
      return false;
  }
}

/**
 * Does it to those of the jobs to which it applies.
 * @param {JobAction} action
 * @param {readonly WebJob[]} jobs
 */
export async function actOn(action, jobs) {
  const ids = jobs.filter((job) => isApplicable(action, job)).map(({ id }) => id);
  if (ids.length === 0) return;
  const what = ids.length === 1 ? `job ${ids[0]}` : `${ids.length} jobs`;
  if (action === 'cancel' || action === 'delete') {
    const consequence =
      action === 'cancel'
        ? 'Images that are being rendered are dropped; those that are done are kept.'
        : 'Their images and logs are forgotten.';
    const label = action === 'cancel' ? 'Cancel' : 'Delete';
    if (!(await confirmed(`${label} ${what}?`, consequence, `${label} ${what}`))) return;
  }
  const done = JOB_ACTIONS.find((entry) => entry.action === action)?.done ?? action;
  await told(api.act(action, ids), done);
}

/**
 * Each from the priority it has; jobs that are over need none.
 * @param {readonly WebJob[]} jobs
 * @param {number} by
 */
export async function raise(jobs, by) {
  const open = jobs.filter((job) => !isOver(job));
  for (const priority of new Set(open.map((job) => job.priority))) {
    const ids = open.filter((job) => job.priority === priority).map(({ id }) => id);
    await told(api.act('priority', ids, priority + by), `at priority ${priority + by}`);
  }
}

/** @param {WebWorker} worker */
export async function drain({ serial, name }) {
  const isSure = await confirmed(
    `Drain ${name}?`,
    'It finishes what it has, takes nothing more, and leaves the farm.',
    `Drain ${name}`,
  );
  if (!isSure) return;
  try {
    await api.drain(serial);
    notice(`${name} drains`, 'good');
  } catch (error) {
    notice(`${name}: ${messageOf(error)}`, 'bad');
  }
}

/**
 * @param {Promise<{ id: number, error: string }[]>} outcomes
 * @param {string} done
 */
async function told(outcomes, done) {
  try {
    const all = await outcomes;
    const good = all.filter(({ error }) => error === '');
    if (good.length > 0)
      notice(good.length === 1 ? `Job ${good[0]?.id} ${done}` : `${good.length} jobs ${done}`, 'good');
    for (const { id, error } of all) if (error !== '') notice(`Job ${id}: ${error}`, 'bad');
  } catch (error) {
    notice(messageOf(error), 'bad');
  }
}

/** @param {unknown} error */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
