// Jobs over HTTP: what there are, one with its images, what can be done to them, an image as PNG, its log.

import { JOB_STATES } from '../main/farm.js';
import type { Farm, FarmImage, FarmImageState, FarmJob, FarmPage } from '../main/farm.js';
import { RenderError } from '../errors.js';
import { type Answer, jsonAnswer } from './answer.js';
import { BUSY, ID_MAX, IMAGE_INDEX, INDEX_MAX, JOB_ID, json, NO_SUCH, PAGING } from './documented.js';
import type { FarmImages } from './farm-images.js';
import { act, decodeAction } from './job-actions.js';
import { countOf, type Exchange, type Route } from './route.js';
import { ref } from './schemas.js';
import { webImage, webJob } from './shapes.js';

const LIMIT = { min: 1, max: 1000, fallback: 100 };
const OFFSET = { max: ID_MAX, fallback: 0 };
const IMAGE_STATES: readonly FarmImageState[] = ['waiting', 'running', 'rendered', 'missing'];
const WIDTH_MIN = 16;
const WIDTH_MAX = 1024;

export function jobRoutes(farm: Farm, images: FarmImages): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/jobs',
      id: 'listJobs',
      summary: 'Jobs, newest first.',
      query: [
        ...PAGING,
        {
          name: 'state',
          summary: 'Only of these states, separated by commas.',
          schema: { type: 'string', examples: ['queued,active'] },
        },
      ],
      answers: { 200: json('Jobs, and how many there are in all.', 'Jobs') },
      handle: ({ query }) => {
        const states = statesOf(query.get('state'), JOB_STATES);
        const { jobs, total } = farm.jobs({ ...pageOf(query), ...(states === null ? {} : { states }) });
        return jsonAnswer(200, { jobs: jobs.map(webJob), total });
      },
    },
    {
      method: 'POST',
      path: '/api/v1/jobs/actions',
      id: 'actOnJobs',
      summary: 'Pauses, resumes, requeues, cancels or deletes jobs, or sets their priority.',
      body: ref('Action'),
      answers: { 200: json('What it met, job by job.', 'Outcomes') },
      handle: async (exchange) =>
        jsonAnswer(200, { outcomes: await act(farm, decodeAction(await exchange.json())) }),
    },
    {
      method: 'GET',
      path: '/api/v1/jobs/{id}',
      id: 'getJob',
      summary: 'A job and a page of its images.',
      parameters: [JOB_ID],
      query: [
        ...PAGING,
        {
          name: 'state',
          summary: 'Only images in these states, separated by commas.',
          schema: { type: 'string', examples: ['missing,running'] },
        },
      ],
      answers: { 200: json('The job.', 'JobWithImages'), ...NO_SUCH },
      handle: ({ params, query }) => {
        const id = idOf(params);
        const job = farm.job(id);
        const states = statesOf(query.get('state'), IMAGE_STATES);
        const page = pageOf(query);
        const images = states === null ? farm.images(id, page) : imagesIn(farm, job, states, page);
        return jsonAnswer(200, { job: webJob(job), images: images.map(webImage) });
      },
    },
    {
      method: 'GET',
      path: '/api/v1/jobs/{id}/images/{index}.png',
      id: 'getImage',
      summary: 'An image as PNG. Values above 1 are cut, EXR files are not shown.',
      parameters: [JOB_ID, IMAGE_INDEX],
      query: [
        {
          name: 'width',
          summary: 'A smaller one, at most so many pixels wide. Default: the whole image.',
          schema: { type: 'integer', minimum: WIDTH_MIN, maximum: WIDTH_MAX },
        },
      ],
      answers: {
        200: { summary: 'The image.', type: 'image/png' },
        304: { summary: 'It is the one of If-None-Match.', type: null },
        ...NO_SUCH,
        ...BUSY,
      },
      handle: async (exchange) => await imageAnswer(images, exchange),
    },
    {
      method: 'GET',
      path: '/api/v1/jobs/{id}/images/{index}/log',
      id: 'getLog',
      summary: 'What the renderer printed while it had the last attempt of an image.',
      parameters: [JOB_ID, IMAGE_INDEX],
      answers: { 200: json('The log.', 'Log'), ...NO_SUCH, ...BUSY },
      handle: async ({ params }) => jsonAnswer(200, await farm.log(idOf(params), indexOf(params))),
    },
  ];
}

async function imageAnswer(images: FarmImages, { params, query, request }: Exchange): Promise<Answer> {
  const width = query.get('width');
  const widthMax = width === null ? 0 : countOf('width', width, { min: WIDTH_MIN, max: WIDTH_MAX });
  const { bytes, etag } = await images.png(idOf(params), indexOf(params), widthMax);
  // A job's id may be another job's after the main node began anew: browsers ask each time whether it is still the same.
  const headers = { 'content-type': 'image/png', 'cache-control': 'private, no-cache', etag };
  return request.headers['if-none-match'] === etag
    ? { status: 304, headers, body: '' }
    : { status: 200, headers, body: bytes };
}

function idOf(params: Readonly<Record<string, string>>): number {
  return countOf('id', params['id'], { max: ID_MAX });
}

function indexOf(params: Readonly<Record<string, string>>): number {
  return countOf('index', params['index'], { max: INDEX_MAX });
}

function pageOf(query: URLSearchParams): Required<FarmPage> {
  return {
    offset: countOf('offset', query.get('offset'), OFFSET),
    limit: countOf('limit', query.get('limit'), LIMIT),
  };
}

/** Null: whatever their state. @throws RenderError RENDER_REQUEST_INVALID */
function statesOf<T extends string>(text: string | null, known: readonly T[]): readonly T[] | null {
  if (text === null || text === '') return null;
  return text.split(',').map((word) => {
    const state = known.find((name) => name === word);
    if (state === undefined)
      throw new RenderError('RENDER_REQUEST_INVALID', `state should be of ${known.join(', ')}`);
    return state;
  });
}

/** Looks through the images of a job for those in some states. */
function imagesIn(
  farm: Farm,
  job: FarmJob,
  states: readonly FarmImageState[],
  { offset, limit }: Required<FarmPage>,
): readonly FarmImage[] {
  const found: FarmImage[] = [];
  for (let from = 0; from < job.images && found.length < offset + limit; from += LIMIT.max)
    for (const image of farm.images(job.id, { offset: from, limit: LIMIT.max }))
      if (states.includes(image.state)) found.push(image);
  return found.slice(offset, offset + limit);
}
