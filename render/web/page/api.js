// Requests to the main node. A failure is an ApiError with the code and message that it told.

/** @import { WebFarm, WebImage, WebJob, WebLoad, WebOutcome, WebWorker } from '../shapes.js' */

const TIMEOUT_MS = 15_000;

export class ApiError extends Error {
  /**
   * @param {number} status 0: it could not be reached
   * @param {string} code
   * @param {string} message
   */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/**
 * @param {string} path
 * @param {{ method?: string, body?: unknown }} [options]
 * @returns {Promise<unknown>}
 */
async function ask(path, { method = 'GET', body } = {}) {
  /** @type {Response} */
  let response;
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      // No form and no foreign page can send the first one.
      headers: method === 'GET' ? {} : { 'x-reactor-net': '1', 'content-type': 'application/json' },
      credentials: 'same-origin',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new ApiError(0, 'UNREACHABLE', 'the main node cannot be reached');
  }
  if (response.status === 204) return null;
  const value = await response.json().catch(() => null);
  if (response.ok) return value;
  const { code = 'UNKNOWN', message = `status ${response.status}` } = value ?? {};
  throw new ApiError(response.status, code, message);
}

// The casts trust the OpenAPI document, which a test holds against what is served.
export const api = {
  /** @returns {Promise<WebFarm>} */
  farm: async () => /** @type {WebFarm} */ (await ask('/farm')),

  /**
   * @param {{ offset?: number, limit?: number, states?: readonly string[] }} query
   * @returns {Promise<{ jobs: WebJob[], total: number }>}
   */
  jobs: async ({ offset = 0, limit = 50, states = [] }) => {
    const query = new URLSearchParams({ offset: String(offset), limit: String(limit) });
    if (states.length > 0) query.set('state', states.join(','));
    return /** @type {{ jobs: WebJob[], total: number }} */ (await ask(`/jobs?${query.toString()}`));
  },

  /**
   * @param {number} id
   * @param {number} offset
   * @param {number} limit
   * @param {string} [state] of images, where not all are wanted
   * @returns {Promise<{ job: WebJob, images: WebImage[] }>}
   */
  job: async (id, offset, limit, state = '') =>
    /** @type {{ job: WebJob, images: WebImage[] }} */ (
      await ask(`/jobs/${id}?offset=${offset}&limit=${limit}&state=${state}`)
    ),

  /**
   * @param {string} action
   * @param {readonly number[]} ids
   * @param {number} [priority]
   * @returns {Promise<WebOutcome[]>}
   */
  act: async (action, ids, priority) => {
    const body = { action, ids, ...(priority === undefined ? {} : { priority }) };
    const answer = await ask('/jobs/actions', { method: 'POST', body });
    return /** @type {{ outcomes: WebOutcome[] }} */ (answer).outcomes;
  },

  /** @returns {Promise<WebWorker[]>} */
  workers: async () => /** @type {{ workers: WebWorker[] }} */ (await ask('/workers')).workers,

  /** @returns {Promise<{ stepMs: number, points: WebLoad[] }>} */
  load: async () => /** @type {{ stepMs: number, points: WebLoad[] }} */ (await ask('/load')),

  /** @param {number} serial */
  drain: async (serial) => {
    await ask(`/workers/${serial}/drain`, { method: 'POST' });
  },

  /**
   * @param {number} job
   * @param {number} index
   * @returns {Promise<{ text: string, node: string, attempt: number }>}
   */
  log: async (job, index) =>
    /** @type {{ text: string, node: string, attempt: number }} */ (
      await ask(`/jobs/${job}/images/${index}/log`)
    ),

  /** @param {string} token */
  logIn: async (token) => {
    await ask('/session', { method: 'POST', body: { token } });
  },

  logOut: async () => {
    await ask('/session', { method: 'DELETE' });
  },
};

/**
 * Where an image is to be had.
 * @param {number} job
 * @param {number} index
 * @param {number} [width]
 */
export function imageUrl(job, index, width) {
  return `/api/v1/jobs/${job}/images/${index}.png${width === undefined ? '' : `?width=${width}`}`;
}
