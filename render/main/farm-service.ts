// The service reactornet.render.Farm: a `Farm` over RPC and gRPC. It translates, and fails calls with the statuses of RPC.

import { type MessageInit, RpcError, type RpcStatusCode, type ServerCall } from '../../rpc/index.js';
import { RenderError, type RenderErrorCode } from '../errors.js';
import {
  type FarmService,
  type FetchedImage,
  type FetchRequest,
  type Image,
  ImageState,
  type Job,
  type JobsRequest,
  type JobsResponse,
  JobState as WireJobState,
  type ScenePart,
  type SceneResponse,
  type Worker,
} from '../proto/farm.js';
import { ErrCode } from '../proto/render.js';
import {
  type Farm,
  type FarmImage,
  type FarmJob,
  type FarmOutcome,
  type FarmWorker,
  JOB_STATES,
} from './farm.js';
import type { JobState } from './job.js';

/** Waits for a job to change; what a Fetch that follows needs beside a `Farm`. */
export type WaitForChange = (job: number, signal: AbortSignal) => Promise<void>;

const STATES: Readonly<Record<JobState, WireJobState>> = {
  queued: WireJobState.QUEUED,
  active: WireJobState.ACTIVE,
  paused: WireJobState.PAUSED,
  completed: WireJobState.COMPLETED,
  failed: WireJobState.FAILED,
  canceled: WireJobState.CANCELED,
};
const IMAGE_STATES: Readonly<Record<FarmImage['state'], ImageState>> = {
  waiting: ImageState.WAITING,
  running: ImageState.RUNNING,
  rendered: ImageState.RENDERED,
  missing: ImageState.MISSING,
};

const PIXEL_BYTES_MAX = 3 * 2 ** 20;
const IDS_MAX = 1000;

export function farmService(farm: Farm, waitForChange: WaitForChange): FarmService {
  return {
    listJobs: ({ offset, limit, states }) => {
      const named = JOB_STATES.filter((state) => states.includes(STATES[state]));
      const { jobs, total } = farm.jobs({ offset, limit, states: named });
      return { jobs: jobs.map(jobMessage), total };
    },
    getJob: (request) =>
      told(() => {
        const id = Number(request.id);
        return { job: jobMessage(farm.job(id)), images: farm.images(id, request).map(imageMessage) };
      }),
    pause: (request) => acted(request, (ids) => farm.pause(ids)),
    resume: (request) => acted(request, (ids) => farm.resume(ids)),
    requeue: (request) => acted(request, (ids) => farm.requeue(ids)),
    cancel: (request) => acted(request, (ids) => farm.cancel(ids)),
    delete: (request) => acted(request, (ids) => farm.remove(ids)),
    setPriority: ({ id, priority }) =>
      told(async () => ({ outcomes: [outcomeMessage(await farm.setPriority(Number(id), priority))] })),
    listWorkers: () => ({ workers: farm.workers().map(workerMessage) }),
    drainWorker: ({ serial }) =>
      told(async () => {
        await farm.drainWorker(serial);
        return {};
      }),
    logs: ({ job, image }) =>
      told(async () => {
        const { text, node, attempt } = await farm.log(Number(job), image);
        return { text, node, attempt: attempt >>> 0 };
      }),
    fetch: (request, call) => fetched(farm, waitForChange, request, call),
    findScene: ({ sha256 }) => told(() => sceneMessage(sha256, farm.findScene(sha256)?.bytes ?? null)),
    putScene: (parts) => told(() => putScene(farm, parts)),
    getScene: ({ sha256 }) => sceneParts(farm, sha256),
  };
}

async function* fetched(
  farm: Farm,
  waitForChange: WaitForChange,
  { job, from, follow }: FetchRequest,
  { signal }: ServerCall,
): AsyncGenerator<MessageInit<FetchedImage>> {
  const id = Number(job);
  try {
    const { images } = farm.job(id);
    for (let index = from; index < images && !signal.aborted; index += 1) {
      // Asked before the image, so that no change between the two is missed.
      for (;;) {
        const [image] = farm.images(id, { offset: index, limit: 1 });
        const isOver = image!.state === 'rendered' || image!.state === 'missing';
        if (isOver || !follow || signal.aborted || farm.job(id).finishedAtMs !== null) {
          if (isOver) yield* imageParts(farm, id, image!);
          break;
        }
        await waitForChange(id, signal);
      }
    }
  } catch (error) {
    throw rpcError(error);
  }
}

/** Above 3 MiB in several messages, the first of which has all but the rest of the pixels. */
async function* imageParts(
  farm: Farm,
  job: number,
  image: FarmImage,
): AsyncGenerator<MessageInit<FetchedImage>> {
  const { index } = image;
  const found = await farm.pixels(job, index);
  if (found === null) {
    const isGone = image.state === 'rendered';
    const code = isGone ? ErrCode.EC_NO_OUTPUT : image.code;
    yield { index, code, error: isGone ? 'its pixels are not kept any more' : image.error };
    return;
  }
  const { width, height, format, pixels } = found;
  let at = 0;
  do {
    const part = pixels.subarray(at, at + PIXEL_BYTES_MAX);
    at += part.byteLength;
    yield { index, width, height, format, pixels: part, more: at < pixels.byteLength };
  } while (at < pixels.byteLength);
}

async function putScene(farm: Farm, parts: AsyncIterable<ScenePart>): Promise<MessageInit<SceneResponse>> {
  const iterator = parts[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) throw new RenderError('RENDER_REQUEST_INVALID', 'no part of a scene came');
  const { sha256, bytes, data } = first.value;
  const found = await farm.putScene(sha256, Number(bytes), rest(data, iterator));
  return sceneMessage(found.sha256, found.bytes);
}

async function* rest(first: Uint8Array, iterator: AsyncIterator<ScenePart>): AsyncGenerator<Uint8Array> {
  yield first;
  for (;;) {
    const next = await iterator.next();
    if (next.done === true) return;
    yield next.value.data;
  }
}

async function* sceneParts(farm: Farm, sha256: string): AsyncGenerator<MessageInit<ScenePart>> {
  try {
    const scene = farm.findScene(sha256);
    if (scene === null) throw new RenderError('RENDER_NOT_FOUND', `there is no scene ${sha256}`);
    let head: MessageInit<ScenePart> = { sha256, bytes: BigInt(scene.bytes) };
    for await (const data of farm.readScene(sha256)) {
      yield { ...head, data };
      head = {};
    }
  } catch (error) {
    throw rpcError(error);
  }
}

async function acted(
  { ids }: JobsRequest,
  act: (ids: readonly number[]) => Promise<readonly FarmOutcome[]>,
): Promise<MessageInit<JobsResponse>> {
  if (ids.length > IDS_MAX)
    throw new RpcError('RPC_INVALID_ARGUMENT', `${ids.length} jobs at once; at most ${IDS_MAX}`);
  return told(async () => ({ outcomes: (await act(ids.map(Number))).map(outcomeMessage) }));
}

async function told<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw rpcError(error);
  }
}

const RPC_CODES: Readonly<Partial<Record<RenderErrorCode, RpcStatusCode>>> = {
  RENDER_REQUEST_INVALID: 'RPC_INVALID_ARGUMENT',
  RENDER_REQUEST_TOO_LARGE: 'RPC_INVALID_ARGUMENT',
  RENDER_NOT_FOUND: 'RPC_NOT_FOUND',
  RENDER_STATE: 'RPC_FAILED_PRECONDITION',
  RENDER_OVERLOAD: 'RPC_RESOURCE_EXHAUSTED',
  RENDER_UNAVAILABLE: 'RPC_UNAVAILABLE',
  RENDER_CLOSED: 'RPC_UNAVAILABLE',
};

function rpcError(error: unknown): unknown {
  if (!(error instanceof RenderError)) return error;
  const { retryAfterMs: retryPushbackMs } = error;
  return new RpcError(RPC_CODES[error.code] ?? 'RPC_INTERNAL', error.message, {
    cause: error,
    ...(retryPushbackMs === null ? {} : { retryPushbackMs }),
  });
}

function jobMessage(job: FarmJob): MessageInit<Job> {
  const { submittedAtMs, finishedAtMs, expiresAtMs, remainingMs, resultBytes } = job;
  return {
    ...job,
    id: BigInt(job.id),
    state: STATES[job.state],
    code: job.code ?? 0,
    blockedNodes: [...job.blockedNodes],
    submittedAtMs: time(submittedAtMs),
    finishedAtMs: time(finishedAtMs),
    expiresAtMs: time(expiresAtMs),
    remainingMs: time(remainingMs),
    resultBytes: BigInt(resultBytes),
  };
}

function imageMessage(image: FarmImage): MessageInit<Image> {
  return { ...image, state: IMAGE_STATES[image.state] };
}

function workerMessage(worker: FarmWorker): MessageInit<Worker> {
  const { processes, registeredAtMs, lastBeatMs, imagesRendered, imagesFailed, isDraining } = worker;
  return {
    ...worker,
    tags: [...worker.tags],
    draining: isDraining,
    processes: processes.map(({ pid, cpu, rssBytes, gpu, renders }) => ({
      pid,
      cpu,
      rssBytes: BigInt(rssBytes),
      gpu,
      renders,
    })),
    registeredAtMs: time(registeredAtMs),
    lastBeatMs: time(lastBeatMs),
    imagesRendered: BigInt(imagesRendered),
    imagesFailed: BigInt(imagesFailed),
  };
}

function outcomeMessage({ id, error, state }: FarmOutcome): JobsResponse['outcomes'][number] {
  return { id: BigInt(id), error, state: state === null ? WireJobState.QUEUED : STATES[state] };
}

function sceneMessage(sha256: string, bytes: number | null): MessageInit<SceneResponse> {
  return { sha256, present: bytes !== null, bytes: BigInt(bytes ?? 0) };
}

function time(ms: number | null): bigint {
  return BigInt(Math.round(ms ?? 0));
}
