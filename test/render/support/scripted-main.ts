// A main node that follows a script, in the process of the test: it answers the whole of Emulate and Farm, renders by a
// function of the index, and fails as it is told to. The real one is in render/main; this one shows what drivers do with it.

import { createHash } from 'node:crypto';
import type { TestContext } from 'node:test';
import {
  Farm,
  type FarmService,
  type FetchedImage,
  type Image,
  ImageState,
  type Job,
  type JobOutcome,
  JobState,
} from '../../../render/proto/farm.js';
import {
  Code,
  Emulate,
  type EmulateService,
  ErrCode,
  type Position,
  type RenderReq,
  type RenderRsp,
  type Serial,
} from '../../../render/proto/render.js';
import { imageBytes } from '../../../render/renderer/message.js';
import { implement, type MessageInit, RpcError, RpcServer } from '../../../rpc/index.js';

export interface ScriptedJob {
  readonly id: bigint;
  readonly driver: string;
  readonly request: RenderReq;
  state: JobState;
  code: Code;
}

interface Driver {
  readonly name: string;
  readonly serial: Serial;
  position: Position;
  beats: number;
  readonly jobs: Map<bigint, ScriptedJob>;
}

/** What it does with the images of a stream; the whole of it is optional. */
export interface Script {
  /** Images that cannot be had, and why. */
  missing?: Readonly<Record<number, ErrCode>>;
  /** Called before each image of each stream: may wait, or throw to break the stream off. */
  before?: (index: number, request: RenderReq, stream: number) => void | Promise<void>;
  /** Called before a deletion is done: may wait. */
  beforeDelete?: () => Promise<void>;
  /** How requests are answered before they are begun, the first ones first. */
  refusals?: Code[];
  /** Bytes of `imgs` in a chunk. */
  chunkBytes?: number;
  heartbeatMs?: number;
  token?: string;
}

/** The pixel that every place of an image has. */
export function shadeOf(index: number, lights: readonly number[], position: Position): number {
  return (index * 7 + (lights[0] ?? 0) + Math.round(position.x * 10)) % 251;
}

export class ScriptedMain {
  readonly script: Script;
  readonly requests: RenderReq[] = [];
  readonly canceled: bigint[] = [];
  readonly registered: string[] = [];
  readonly unregistered: number[] = [];
  readonly jobs: Map<bigint, ScriptedJob> = new Map();
  readonly scenes: Map<string, Buffer> = new Map();
  readonly drained: number[] = [];
  readonly fetches: number[] = [];
  /** Chunks that were handed to the RPC layer. */
  chunksSent = 0;
  scenesPut = 0;
  target = '';
  readonly #drivers = new Map<number, Driver>();
  #lastSerial = 0;
  #lastJob = 0n;

  constructor(script: Script = {}) {
    this.script = script;
  }

  static async start(t: TestContext, script: Script = {}): Promise<ScriptedMain> {
    const main = new ScriptedMain(script);
    const server = new RpcServer({
      host: '127.0.0.1',
      port: 0,
      threads: 0,
      services: [implement(Emulate, main.#emulate()), implement(Farm, main.#farm())],
    });
    const { port } = await server.listen();
    main.target = `127.0.0.1:${port}`;
    t.after(() => server.close({ graceMs: 0 }));
    return main;
  }

  get beats(): number {
    return Array.from(this.#drivers.values()).reduce((sum, { beats }) => sum + beats, 0);
  }

  get drivers(): number {
    return this.#drivers.size;
  }

  positionOf(serial: number): Position | undefined {
    return this.#drivers.get(serial)?.position;
  }

  /** As a main node does that was restarted without a journal. */
  forgetDrivers(): void {
    this.#drivers.clear();
  }

  pixels(
    index: number,
    { lights, lightCount, width, height, format }: RenderReq,
    position: Position,
  ): Buffer {
    const set = lights.slice(index * lightCount, (index + 1) * lightCount);
    return Buffer.alloc(imageBytes(width, height, format) ?? 100, shadeOf(index, set, position));
  }

  #of(id: Serial | undefined): Driver | undefined {
    const driver = this.#drivers.get(id?.serial ?? 0);
    return driver?.serial.epoch === id?.epoch ? driver : undefined;
  }

  #emulate(): EmulateService {
    const unknown = { code: Code.UNAUTHORIZED, message: 'unknown driver' };
    return {
      registerDriver: ({ name, token }) => {
        if (token !== (this.script.token ?? ''))
          return { status: { code: Code.UNAUTHORIZED, message: 'wrong token' } };
        this.registered.push(name);
        const serial = { serial: (this.#lastSerial += 1), epoch: BigInt(this.#lastSerial) * 1000n };
        const position = { x: 0, y: 0, z: 0 };
        this.#drivers.set(serial.serial, { name, serial, position, beats: 0, jobs: new Map() });
        return { status: {}, serial, heartbeatMs: this.script.heartbeatMs ?? 50, lives: 3 };
      },
      unRegisterDriver: (id) => {
        if (this.#of(id) === undefined) return unknown;
        this.#drivers.delete(id.serial);
        this.unregistered.push(id.serial);
        return {};
      },
      heartBeatUser: (id) => {
        const driver = this.#of(id);
        if (driver === undefined) return unknown;
        driver.beats += 1;
        return {};
      },
      move: ({ id, position }) => {
        const driver = this.#of(id);
        if (driver === undefined) return { status: unknown };
        driver.position = position ?? { x: 0, y: 0, z: 0 };
        return { status: {} };
      },
      getPosition: ({ id }) => {
        const driver = this.#of(id);
        return driver === undefined ? { status: unknown } : { status: {}, position: driver.position };
      },
      render: notInTheScript,
      registerNode: notInTheScript,
      unRegisterNode: notInTheScript,
      heartBeatNode: notInTheScript,
      renderStream: (request) => this.#stream(request),
      cancel: ({ id, requestId }) => {
        const job = this.#of(id)?.jobs.get(requestId);
        if (job === undefined) return { code: Code.NOT_FOUND };
        this.canceled.push(requestId);
        job.state = JobState.CANCELED;
        return {};
      },
    };
  }

  async *#stream(request: RenderReq): AsyncGenerator<MessageInit<RenderRsp>> {
    const stream = this.requests.push(request);
    const driver = this.#of(request.id);
    if (driver === undefined) {
      yield { status: { code: Code.UNAUTHORIZED, message: 'unknown driver' }, last: true };
      return;
    }
    const refusal = this.script.refusals?.shift();
    if (refusal !== undefined) {
      yield { status: { code: refusal, message: 'as the script says', retryAfterMs: 20 }, last: true };
      return;
    }
    const job = driver.jobs.get(request.requestId) ?? this.#newJob(driver, request);
    yield* this.#images(job, request, request.position ?? driver.position, stream);
  }

  async *#images(
    job: ScriptedJob,
    request: RenderReq,
    position: Position,
    stream: number,
  ): AsyncGenerator<MessageInit<RenderRsp>> {
    const { taskCount, width, height, format } = request;
    const { missing = {}, before, chunkBytes = 2 ** 20 } = this.script;
    let chunk = 0;
    const piece = (fields: MessageInit<RenderRsp>): MessageInit<RenderRsp> => {
      this.chunksSent += 1;
      return { job: job.id, chunk: chunk++, width, height, format, ...fields };
    };
    yield piece({});
    for (let index = 0; index < taskCount; index += 1) {
      await before?.(index, request, stream);
      const code = missing[index] ?? ErrCode.EC_OK;
      const pixels = this.pixels(index, request, position);
      if (code !== ErrCode.EC_OK) pixels.fill(0);
      let offset = 0;
      for (; pixels.length - offset > chunkBytes; offset += chunkBytes)
        yield piece({ imgs: pixels.subarray(offset, offset + chunkBytes) });
      const error = code === ErrCode.EC_OK ? '' : 'as the script says';
      const task = { index, code, error, attempts: 1, renderMs: 3, node: { serial: 1, epoch: 1n } };
      yield piece({ imgs: pixels.subarray(offset), tasks: [task] });
    }
    job.code = Object.keys(missing).length > 0 ? Code.PARTIAL : Code.OK;
    job.state = JobState.COMPLETED;
    yield piece({ status: { code: job.code }, last: true });
  }

  #newJob(driver: Driver, request: RenderReq): ScriptedJob {
    this.#lastJob += 1n;
    const job = { id: this.#lastJob, driver: driver.name, request, state: JobState.ACTIVE, code: Code.OK };
    driver.jobs.set(request.requestId, job);
    this.jobs.set(job.id, job);
    return job;
  }

  #farm(): FarmService {
    const acted =
      (state: JobState) =>
      ({ ids }: { ids: bigint[] }): { outcomes: MessageInit<JobOutcome>[] } => ({
        outcomes: ids.map((id) => {
          const job = this.jobs.get(id);
          if (job === undefined) return { id, error: `there is no job ${id}` };
          job.state = state;
          return { id, state };
        }),
      });
    const wanted = (id: bigint): ScriptedJob => {
      const job = this.jobs.get(id);
      if (job === undefined) throw new RpcError('RPC_NOT_FOUND', `there is no job ${id}`);
      return job;
    };
    return {
      listJobs: () => ({
        jobs: Array.from(this.jobs.values(), (job) => this.#told(job)),
        total: this.jobs.size,
      }),
      getJob: ({ id, offset, limit }) => {
        const job = wanted(id);
        const count = Math.min(job.request.taskCount - offset, limit);
        const images = Array.from({ length: count }, (_, at) => this.#image(offset + at));
        return { job: this.#told(job), images };
      },
      pause: acted(JobState.PAUSED),
      resume: acted(JobState.ACTIVE),
      requeue: acted(JobState.QUEUED),
      cancel: acted(JobState.CANCELED),
      delete: async ({ ids }) => {
        await this.script.beforeDelete?.();
        return {
          outcomes: ids.map((id) => (this.jobs.delete(id) ? { id } : { id, error: `there is no job ${id}` })),
        };
      },
      setPriority: ({ id }) => ({ outcomes: [{ id: wanted(id).id, state: wanted(id).state }] }),
      listWorkers: () => ({
        workers: [{ serial: 1, name: 'one', address: '127.0.0.1:7610', slots: 2, slotsMax: 4, cpu: 0.5 }],
      }),
      drainWorker: ({ serial }) => {
        this.drained.push(serial);
        return {};
      },
      logs: ({ job, image }) => ({
        text: `image ${image} of job ${wanted(job).id}\n`,
        node: 'one',
        attempt: 1,
      }),
      fetch: (request) => this.#fetch(wanted(request.job), request.from),
      findScene: ({ sha256 }) => ({ sha256, present: this.scenes.has(sha256) }),
      getScene: notInTheScript,
      putScene: async (parts) => {
        let sha256 = '';
        const data: Uint8Array[] = [];
        for await (const part of parts) {
          sha256 ||= part.sha256;
          data.push(part.data);
        }
        const whole = Buffer.concat(data);
        if (createHash('sha256').update(whole).digest('hex') !== sha256)
          throw new RpcError('RPC_INVALID_ARGUMENT', 'the bytes have another sum');
        this.scenesPut += 1;
        this.scenes.set(sha256, whole);
        return { sha256, present: true, bytes: BigInt(whole.length) };
      },
    };
  }

  #told({ id, driver, state, request, code }: ScriptedJob): MessageInit<Job> {
    const { width, height, format, taskCount: images } = request;
    return { id, driver, state, images, width, height, format, submittedAtMs: id * 1000n, code };
  }

  #image(index: number): Omit<Image, 'renderMs' | 'node'> {
    const code = this.script.missing?.[index] ?? ErrCode.EC_OK;
    const kept = code === ErrCode.EC_OK;
    const state = kept ? ImageState.RENDERED : ImageState.MISSING;
    return { index, state, code, error: kept ? '' : 'as the script says', attempts: 1, kept };
  }

  async *#fetch({ request }: ScriptedJob, from: number): AsyncGenerator<MessageInit<FetchedImage>> {
    const stream = this.fetches.push(from);
    for (let index = from; index < request.taskCount; index += 1) {
      await this.script.before?.(index, request, stream);
      const { code, error } = this.#image(index);
      const { width, height, format } = request;
      const pixels =
        code === ErrCode.EC_OK
          ? this.pixels(index, request, request.position ?? { x: 0, y: 0, z: 0 })
          : new Uint8Array(0);
      const { chunkBytes = 2 ** 20 } = this.script;
      let at = 0;
      do {
        const part = pixels.subarray(at, at + chunkBytes);
        at += chunkBytes;
        yield { index, width, height, format, pixels: part, code, error, more: at < pixels.length };
      } while (at < pixels.length);
    }
  }
}

function notInTheScript(): never {
  throw new RpcError('RPC_UNIMPLEMENTED', 'not in the script');
}
