// What the main node may ask of a worker node: images, whole or in pieces as they come; cancel; drain; what a renderer printed.
// The desk does the work; here requests and results become messages. Every call of the same request gets all its images.

import {
  detached,
  implement,
  type MessageInit,
  RpcError,
  type ServerCall,
  type ServiceImplementation,
} from '../../rpc/index.js';
import { RenderError } from '../errors.js';
import {
  type AttemptLogRequest,
  type AttemptLogResponse,
  FarmWorker,
  type FarmWorkerService,
} from '../proto/farm.js';
import {
  type CancelReq,
  Code,
  type Serial,
  SlaveEmulate,
  type SlaveEmulateService,
  type SlaveRenderReq,
  type SlaveRenderRsp,
  type Status,
} from '../proto/render.js';
import { imageBytes } from '../renderer/message.js';
import { AnswerPieces, type ImageResult, PIECE_BYTES_MAX } from './answer-pieces.js';
import type { RenderDesk } from './render-desk.js';
import type { RenderRun } from './render-run.js';
import { statusOf } from './results.js';

export interface ServiceHost {
  readonly desk: RenderDesk;
  /** As the main node knows this node; null while it does not. */
  serial(): Serial | null;
  /** The main node wants it to finish what it has, and go. */
  onDrain(): void;
}

/** Between two pieces of one answer: nobody sees an image before the last piece. */
const PIECE_PAUSE_MS = 10;
const OK: Status = { code: Code.OK, message: '', retryAfterMs: 0 };

export class SlaveService implements SlaveEmulateService, FarmWorkerService {
  readonly #host: ServiceHost;

  constructor(host: ServiceHost) {
    this.#host = host;
  }

  implementations(): ServiceImplementation[] {
    return [implement(SlaveEmulate, this), implement(FarmWorker, this)];
  }

  async render(request: SlaveRenderReq, call: ServerCall): Promise<MessageInit<SlaveRenderRsp>> {
    const { taskCount, width, height, format } = request;
    const each = imageBytes(width, height, format);
    const run =
      each === undefined || each * taskCount > PIECE_BYTES_MAX
        ? new RenderError('RENDER_REQUEST_TOO_LARGE', 'so much goes by RenderStream only')
        : this.#taken(request);
    if (run instanceof RenderError) return lastOf(refusal(request, run));
    run.enter();
    try {
      while (run.end === null && !call.signal.aborted) await run.news(run.results.length, call.signal);
      const inOrder = run.results.toSorted((a, b) => a.index - b.index);
      return lastOf(new AnswerPieces(run.request).of(performance.now(), inOrder, run.end));
    } finally {
      this.#host.desk.left(run);
    }
  }

  async *renderStream(
    request: SlaveRenderReq,
    call: ServerCall,
  ): AsyncGenerator<MessageInit<SlaveRenderRsp>, void, void> {
    const run = this.#taken(request);
    if (run instanceof RenderError) {
      yield* refusal(request, run);
      return;
    }
    const pieces = new AnswerPieces(run.request);
    run.enter();
    try {
      let sentAt = Number.NEGATIVE_INFINITY;
      for (let seen = 0; !call.signal.aborted; ) {
        await run.news(seen, call.signal);
        // Of images that take no time, several go in one piece; those of a finished request at once.
        const waitMs = sentAt + PIECE_PAUSE_MS - performance.now();
        if (waitMs > 0 && run.end === null) await run.over(waitMs);
        sentAt = performance.now();
        const results = run.results.slice(seen);
        seen += results.length;
        const { end } = run;
        yield* pieces.of(performance.now(), results, end);
        if (end !== null) return;
      }
    } finally {
      this.#host.desk.left(run);
    }
  }

  cancel({ id, requestId }: CancelReq): Status {
    if (!this.#isMeant(id)) return statusOf(new RenderError('RENDER_UNAUTHORIZED', 'this is another node'));
    if (this.#host.desk.cancel(requestId)) return OK;
    return statusOf(new RenderError('RENDER_NOT_FOUND', 'no such request is open here'));
  }

  drain(id: Serial): Status {
    if (!this.#isMeant(id)) return statusOf(new RenderError('RENDER_UNAUTHORIZED', 'this is another node'));
    detached(() => this.#host.onDrain());
    return OK;
  }

  log({ requestId, index }: AttemptLogRequest): MessageInit<AttemptLogResponse> {
    const text = this.#host.desk.logs.find(requestId, index);
    if (text === null) throw new RpcError('RPC_NOT_FOUND', 'nothing of that image is kept here');
    return { text };
  }

  /** Its scene is fetched, and it is rendered, for whoever asks for it: not as a part of this call. */
  #taken(request: SlaveRenderReq): RenderRun | RenderError {
    try {
      return detached(() => this.#host.desk.take(request));
    } catch (error) {
      if (error instanceof RenderError) return error;
      throw error;
    }
  }

  /** A main node that knew an earlier registration of this node is told so; one that says nothing is believed. */
  #isMeant(id: Serial | undefined): boolean {
    const own = this.#host.serial();
    if (own === null || id === undefined || id.serial === 0) return true;
    return id.serial === own.serial && id.epoch === own.epoch;
  }
}

function refusal(
  request: SlaveRenderReq,
  error: RenderError,
): Generator<MessageInit<SlaveRenderRsp>, void, void> {
  const none: readonly ImageResult[] = [];
  return new AnswerPieces(request).of(performance.now(), none, statusOf(error));
}

/** Of images that fit a single piece there is one. */
function lastOf(pieces: Iterable<MessageInit<SlaveRenderRsp>>): MessageInit<SlaveRenderRsp> {
  let last: MessageInit<SlaveRenderRsp> = { status: { code: Code.CANCELED, message: 'canceled' } };
  for (const piece of pieces) last = piece;
  return last;
}
