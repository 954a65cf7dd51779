// A driver of a render cluster: moves an object, sets lights, asks for images. What programs use; `render submit` is one.
// It stands on an RpcClient: registration.ts keeps it known to the main node, render-job.ts is one request for images.

import { RpcClient } from '../../rpc/index.js';
import { RenderError } from '../errors.js';
import { EmulateClient, type Position, type Serial, type Status } from '../proto/render.js';
import { clientOf, completeDriverOptions, type CompleteDriverOptions } from './driver-options.js';
import type { RenderDriverOptions } from './driver-options.js';
import { errorOfCall, errorOfStatus, isPassing, withReason } from './failures.js';
import { LinkedAbort } from './linked-abort.js';
import { Patience } from './patience.js';
import { Registration } from './registration.js';
import { type JobLink, RenderJob, type RenderOptions } from './render-job.js';
import { checkPosition, checkRequest, type RenderRequest } from './render-request.js';

export interface DriverCallOptions {
  signal?: AbortSignal;
  /** Default: the driver's `callTimeoutMs`. */
  timeoutMs?: number;
}

export class RenderDriver implements AsyncDisposable {
  readonly #options: CompleteDriverOptions;
  readonly #rpc: RpcClient;
  readonly #client: EmulateClient;
  readonly #registration: Registration;
  readonly #jobs = new Set<RenderJob>();
  #lastRequestId = 0n;
  #closed: Promise<void> | null = null;

  private constructor(options: CompleteDriverOptions) {
    this.#options = options;
    this.#rpc = clientOf(options);
    this.#client = new EmulateClient(this.#rpc);
    this.#registration = new Registration(this.#client, options);
  }

  /**
   * Registers at the main node, and beats from then on.
   * @throws RenderError RENDER_UNAVAILABLE: it was not reached within `callTimeoutMs`; RENDER_UNAUTHORIZED: the token is
   *   wrong; RENDER_IDS_EXHAUSTED; RENDER_VERSION_MISMATCH; RENDER_OPTION_INVALID
   */
  static async connect(
    options: RenderDriverOptions,
    call: { signal?: AbortSignal } = {},
  ): Promise<RenderDriver> {
    const driver = new RenderDriver(completeDriverOptions(options));
    try {
      await driver.serial(call);
      return driver;
    } catch (thrown) {
      const error = withReason(thrown, driver.#rpc);
      await driver.close();
      throw error;
    }
  }

  /** Who it is now; after it was forgotten, who it becomes. @throws RenderError */
  async serial({ signal, timeoutMs }: DriverCallOptions = {}): Promise<Serial> {
    const abort = new LinkedAbort(signal, this.#registration.signal);
    try {
      const patience = new Patience(timeoutMs ?? this.#options.callTimeoutMs, abort.signal);
      return await this.#registration.serial(patience);
    } finally {
      abort.unlink();
    }
  }

  /** How often it has registered; above 1, it was forgotten in between. */
  get registrations(): number {
    return this.#registration.registrations;
  }

  /** Where the object is in images that are asked for from now on. @throws RenderError */
  async move(position: Position, options: DriverCallOptions = {}): Promise<void> {
    checkPosition(position);
    await this.#call(options, async (id, call) => (await this.#client.move({ id, position }, call)).status);
    this.#registration.position = { ...position };
  }

  /** @throws RenderError */
  async getPosition(options: DriverCallOptions = {}): Promise<Position> {
    let position: Position | undefined;
    await this.#call(options, async (id, call) => {
      const answer = await this.#client.getPosition({ id }, call);
      ({ position } = answer);
      return answer.status;
    });
    return position ?? { x: 0, y: 0, z: 0 };
  }

  /**
   * Asks for images. The job begins at once; its images are taken by a loop over it, or all at once by `outcome`.
   * @throws RenderError RENDER_REQUEST_INVALID, RENDER_LIGHTS_MALFORMED, before anything is sent; RENDER_CLOSED
   */
  render(request: RenderRequest, options: RenderOptions = {}): RenderJob {
    if (this.#closed !== null) throw new RenderError('RENDER_CLOSED', 'the driver was closed');
    const { reconnectMs, callTimeoutMs } = this.#options;
    const link: JobLink = {
      client: this.#client,
      registration: this.#registration,
      reconnectMs,
      callTimeoutMs,
      nextRequestId: () => {
        this.#lastRequestId += 1n;
        return this.#lastRequestId;
      },
    };
    const job = new RenderJob(link, checkRequest(request), options);
    this.#jobs.add(job);
    const forget = (): void => void this.#jobs.delete(job);
    job.summary.then(forget, forget);
    return job;
  }

  /** Cancels its jobs, those aside that are detached, and says good-bye. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const bound = Array.from(this.#jobs).filter(({ isDetached }) => !isDetached);
    await Promise.all(bound.map((job) => job.cancel()));
    await this.#registration.close();
    await this.#rpc.close(0);
  }

  /** One question under our serial, asked again while that may help. */
  async #call(
    { signal, timeoutMs }: DriverCallOptions,
    ask: (id: Serial, call: { timeoutMs: number; signal: AbortSignal }) => Promise<Status | undefined>,
  ): Promise<void> {
    const abort = new LinkedAbort(signal, this.#registration.signal);
    try {
      await this.#ask(new Patience(timeoutMs ?? this.#options.callTimeoutMs, abort.signal), ask);
    } finally {
      abort.unlink();
    }
  }

  async #ask(
    patience: Patience,
    ask: (id: Serial, call: { timeoutMs: number; signal: AbortSignal }) => Promise<Status | undefined>,
  ): Promise<void> {
    for (;;) {
      const id = await this.#registration.serial(patience);
      try {
        const call = { timeoutMs: Math.max(1, patience.remainingMs), signal: patience.signal };
        const failure = errorOfStatus(await ask(id, call));
        if (failure === null) return;
        if (failure.code !== 'RENDER_UNAUTHORIZED') throw failure;
        this.#registration.forgotten(id);
        await patience.pause(failure);
      } catch (thrown) {
        const error = errorOfCall(thrown);
        if (!isPassing(error)) throw error;
        await patience.pause(error);
      }
    }
  }
}
