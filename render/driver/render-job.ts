// One request for images, from its first sending to its last image: an async iterable of results, each image once.
// render-driver.ts makes it. When the connection breaks it asks again under the same request id, and the main node answers
// from its beginning: what came before is passed over. When the main node forgot the driver, it asks for what is missing.

import { RenderError } from '../errors.js';
import { Code, type EmulateClient, type Position, type RenderReq, type Serial } from '../proto/render.js';
import { errorOfCall, errorOfStatus, isPassing } from './failures.js';
import { ImageAssembly } from './image-assembly.js';
import { LinkedAbort } from './linked-abort.js';
import { canceled, Patience } from './patience.js';
import type { Registration } from './registration.js';
import { type CheckedRequest, requestMessage } from './render-request.js';
import type {
  ImageResult,
  RenderedJob,
  RenderProgress,
  RenderState,
  RenderSummary,
} from './render-results.js';
import { ResultQueue } from './result-queue.js';

export interface RenderOptions {
  /** Cancels the job, here and at the main node. */
  signal?: AbortSignal;
  /** Told of every change and every image; must not throw. */
  onProgress?: (progress: RenderProgress) => void;
  /** Bytes of images that wait to be taken; the stream is held back above them. Default 16 MiB. */
  bufferBytesMax?: number;
  /** How long it is asked for again while nobody can take it, in ms. Default 30,000; 0: not at all. */
  overloadWaitMs?: number;
}

/** What a job needs of its driver. */
export interface JobLink {
  readonly client: EmulateClient;
  readonly registration: Registration;
  readonly reconnectMs: number;
  readonly callTimeoutMs: number;
  nextRequestId(): bigint;
}

interface Asked {
  readonly serial: Serial;
  readonly requestId: bigint;
  /** What its images are in the whole request. */
  readonly indexes: readonly number[];
  /** The same to the byte whenever it is sent again. */
  readonly message: Omit<RenderReq, 'id' | 'requestId' | 'position'>;
}

const BUFFER_BYTES_MAX: number = 16 * 1024 * 1024;
const OVERLOAD_WAIT_MS = 30_000;
/** The main node ends a job at its deadline; this is for its answer to come. */
const DEADLINE_GRACE_MS = 5_000;
/** The RPC layer takes a longer one for none. */
const NO_TIMEOUT_MS: number = 2 ** 31;

export class RenderJob implements AsyncIterable<ImageResult> {
  /** How it ended, once every image has its result; the last ones may not be taken yet. @throws RenderError when some never got one */
  readonly summary: Promise<RenderSummary>;
  readonly #link: JobLink;
  readonly #request: CheckedRequest;
  readonly #options: RenderOptions;
  readonly #position: Position | null;
  readonly #queue: ResultQueue;
  readonly #abort: LinkedAbort;
  readonly #deadline: NodeJS.Timeout | null;
  /** By image: whether it has its result. */
  readonly #isDone: Uint8Array;
  readonly #untilMs: number;
  #asked: Asked | null = null;
  #job: bigint | null = null;
  #rendered = 0;
  #missing = 0;
  #state: RenderState = 'submitting';
  #message = '';
  /** How long it goes on without hearing anything, since it last did. */
  #lost: Patience | null = null;
  #overloaded: Patience | null = null;

  constructor(link: JobLink, request: CheckedRequest, options: RenderOptions) {
    this.#link = link;
    this.#request = request;
    this.#options = options;
    this.#position = request.position ?? link.registration.position;
    this.#queue = new ResultQueue(options.bufferBytesMax ?? BUFFER_BYTES_MAX);
    this.#isDone = new Uint8Array(request.images);
    this.#untilMs = performance.now() + request.deadlineMs;
    this.#abort = new LinkedAbort(options.signal, link.registration.signal);
    // Whoever waits for room in the queue hears it, too: its reader may never come.
    this.#signal.addEventListener('abort', () => this.#queue.release(), { once: true });
    this.#deadline = this.#deadlineTimer(request.deadlineMs + DEADLINE_GRACE_MS);
    this.summary = this.#run();
    this.summary.catch(() => {}); // whoever takes the images hears it there
  }

  get #signal(): AbortSignal {
    return this.#abort.signal;
  }

  get isDetached(): boolean {
    return this.#request.detached;
  }

  get progress(): RenderProgress {
    return {
      state: this.#state,
      job: this.#job,
      images: this.#request.images,
      rendered: this.#rendered,
      missing: this.#missing,
      message: this.#message,
    };
  }

  /** Results as they come, in any order. Leaving the loop early cancels the job. @throws RenderError */
  async *[Symbol.asyncIterator](): AsyncGenerator<ImageResult> {
    try {
      for (;;) {
        const result = await this.#queue.take();
        if (result === null) return;
        yield result;
      }
    } finally {
      if (!this.#queue.isEnded) {
        this.#queue.drop();
        await this.cancel();
      }
    }
  }

  /** All results by index, held at once. @throws RenderError when some images never got one */
  async outcome(): Promise<RenderedJob> {
    const results: ImageResult[] = [];
    for await (const result of this) results[result.index] = result;
    return { ...(await this.summary), results };
  }

  /** Resolves once it has ended; a job that has ended already is not touched. */
  async cancel(): Promise<void> {
    this.#abort.abort(new RenderError('RENDER_CANCELED', 'it was canceled'));
    await this.summary.catch(() => {}); // how it ended is told there
  }

  async #run(): Promise<RenderSummary> {
    try {
      for (;;) {
        try {
          const summary = await this.#ask();
          this.#tell('finished', summary.message);
          this.#queue.end(null);
          return summary;
        } catch (error) {
          await this.#judge(errorOfCall(error));
        }
      }
    } catch (error) {
      const failure = await this.#failure(error);
      this.#tell('failed', failure.message);
      this.#queue.end(failure);
      throw failure;
    } finally {
      this.#abort.unlink();
      if (this.#deadline !== null) clearTimeout(this.#deadline);
    }
  }

  /** Null where timers do not go so far. */
  #deadlineTimer(ms: number): NodeJS.Timeout | null {
    if (ms >= NO_TIMEOUT_MS) return null;
    const late = new RenderError('RENDER_TIMEOUT', 'it was not done, or its images were not taken, in time');
    return setTimeout(() => this.#abort.abort(late), ms);
  }

  /** One attempt, from asking to the last chunk. */
  async #ask(): Promise<RenderSummary> {
    const { client, registration, reconnectMs } = this.#link;
    this.#lost ??= new Patience(Math.min(reconnectMs, this.#remainingMs()), this.#signal);
    const serial = await registration.serial(this.#lost);
    const asked = this.#askedUnder(serial);
    const stream = client.renderStream(
      {
        ...asked.message,
        id: serial,
        requestId: asked.requestId,
        ...(this.#position === null ? {} : { position: this.#position }),
      },
      {
        timeoutMs: Math.min(NO_TIMEOUT_MS, this.#remainingMs() + DEADLINE_GRACE_MS),
        signal: this.#signal,
      },
    );
    const assembly = new ImageAssembly(this.#request, asked.indexes);
    for await (const chunk of stream) {
      if (chunk.status?.code === Code.UNAUTHORIZED) {
        registration.forgotten(serial);
        throw new RenderError('RENDER_UNAVAILABLE', 'the main node does not know this driver any more');
      }
      if (errorOfStatus(chunk.status) === null) this.#heard(chunk.job);
      for (const result of assembly.take(chunk)) await this.#deliver(result);
      if (chunk.last) return this.#ended(chunk.status?.code ?? Code.OK, errorOfStatus(chunk.status));
    }
    throw new RenderError('RENDER_UNAVAILABLE', 'the stream of images ended before its end');
  }

  /** The request that this registration knows already, or one for all that is missing. */
  #askedUnder(serial: Serial): Asked {
    const before = this.#asked;
    if (before !== null && before.serial.serial === serial.serial && before.serial.epoch === serial.epoch)
      return before;
    if (before !== null && this.#request.detached && this.#job !== null) {
      throw new RenderError(
        'RENDER_UNAUTHORIZED',
        `the main node forgot this driver; job ${this.#job} goes on without it, and can be fetched`,
      );
    }
    const indexes = Array.from(this.#isDone.keys()).filter((index) => this.#isDone[index] === 0);
    this.#asked = {
      serial,
      requestId: this.#link.nextRequestId(),
      indexes,
      message: requestMessage(this.#request, indexes, this.#remainingMs()),
    };
    return this.#asked;
  }

  #heard(job: bigint): void {
    this.#lost = null;
    this.#overloaded = null;
    if (job !== 0n) this.#job = job;
    if (this.#state !== 'rendering') this.#tell('rendering', '');
  }

  async #deliver(result: ImageResult): Promise<void> {
    if (this.#isDone[result.index] === 1) return;
    this.#isDone[result.index] = 1;
    if (result.kind === 'rendered') this.#rendered += 1;
    else this.#missing += 1;
    this.#tell(this.#state, this.#message);
    await this.#queue.put(result);
  }

  #ended(code: Code, error: RenderError | null): RenderSummary {
    const { images } = this.#request;
    const rendered = this.#rendered;
    const missing = this.#missing;
    if (rendered + missing < images) {
      const left = images - rendered - missing;
      throw error ?? new RenderError('RENDER_MESSAGE_INVALID', `the main node left out ${left} images`);
    }
    const worst = code === Code.OK ? Code.PARTIAL : code;
    return {
      code: missing === 0 ? Code.OK : worst,
      message: missing === 0 ? '' : (error?.message ?? `${missing} of ${images} images are missing`),
      job: this.#job,
      rendered,
      missing,
    };
  }

  /** Waits until asking again may help. @throws the error: it will not, or it took too long */
  async #judge(error: unknown): Promise<void> {
    if (this.#signal.aborted) throw canceled(this.#signal);
    if (isPassing(error)) {
      this.#lost ??= new Patience(Math.min(this.#link.reconnectMs, this.#remainingMs()), this.#signal);
      this.#tell('reconnecting', messageOf(error));
      await this.#lost.pause(error);
      return;
    }
    if (!isOverload(error)) throw error;
    const waitMs = this.#options.overloadWaitMs ?? OVERLOAD_WAIT_MS;
    this.#overloaded ??= new Patience(Math.min(waitMs, this.#remainingMs()), this.#signal);
    this.#tell('waiting', error.message);
    await this.#overloaded.pause(error, error.retryAfterMs ?? 0);
  }

  /** What the caller hears; a job that was canceled here is canceled at the main node, too. */
  async #failure(error: unknown): Promise<RenderError> {
    if (!this.#signal.aborted) {
      if (isPassing(error) && this.#remainingMs() <= 0)
        return new RenderError('RENDER_TIMEOUT', `not done in time: ${messageOf(error)}`, { cause: error });
      if (error instanceof RenderError) return error;
      return new RenderError('RENDER_FAILED', messageOf(error), { cause: error });
    }
    const reason = canceled(this.#signal);
    const asked = this.#asked;
    // A driver that was closed says good-bye, and with that all its jobs end.
    if (asked === null || this.#link.registration.signal.aborted) return reason;
    try {
      const { client, callTimeoutMs } = this.#link;
      const { serial, requestId } = asked;
      await client.cancel({ id: serial, requestId }, { timeoutMs: callTimeoutMs });
      return reason;
    } catch (untold) {
      const text = `${reason.message}; the main node could not be told: ${messageOf(untold)}`;
      return new RenderError(reason.code, text, { cause: untold });
    }
  }

  #remainingMs(): number {
    return Math.max(0, this.#untilMs - performance.now());
  }

  #tell(state: RenderState, message: string): void {
    this.#state = state;
    this.#message = message;
    this.#options.onProgress?.(this.progress);
  }
}

function isOverload(error: unknown): error is RenderError {
  return (
    error instanceof RenderError &&
    (error.code === 'RENDER_OVERLOAD' || error.code === 'RENDER_IDS_EXHAUSTED')
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
