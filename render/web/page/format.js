// Numbers, times and names as people read them. Pure.

/** @import { WebJob } from '../shapes.js' */

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** @param {number} bytes */
export function bytesText(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** @param {number} ms */
export function durationText(ms) {
  const seconds = Math.round(ms / 1000);
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

/** @param {number} share */
export function shareText(share) {
  return `${Math.round(share * 100)} %`;
}

/** @param {number} value */
export function rateText(value) {
  return value >= 10 || value === 0 ? String(Math.round(value)) : value.toFixed(1);
}

/** @param {number} value */
export function countText(value) {
  return value.toLocaleString('en');
}

/**
 * `1 job`, `2 jobs`.
 * @param {number} value
 * @param {string} noun
 */
export function countedText(value, noun) {
  return `${countText(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/**
 * @param {number} atMs
 * @param {number} nowMs
 */
export function agoText(atMs, nowMs) {
  const ms = Math.max(0, nowMs - atMs);
  return ms < 5000 ? 'just now' : `${durationText(ms)} ago`;
}

/** @param {number} atMs */
export function clockText(atMs) {
  return new Date(atMs).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });
}

/**
 * How far a job is, in a few words.
 * @param {WebJob} job
 */
export function progressText(job) {
  const parts = [`${countText(job.done)} of ${countText(job.images)}`];
  if (job.failed > 0) parts.push(`${countText(job.failed)} missing`);
  return parts.join(', ');
}

/**
 * What comes next for a job, or how long it took.
 * @param {WebJob} job
 * @param {number} nowMs
 */
export function timeText(job, nowMs) {
  if (job.finishedAtMs !== null) return `took ${durationText(job.finishedAtMs - job.submittedAtMs)}`;
  if (job.state === 'paused') return 'paused';
  if (job.remainingMs !== null) return `${durationText(job.remainingMs)} left`;
  return agoText(job.submittedAtMs, nowMs);
}
