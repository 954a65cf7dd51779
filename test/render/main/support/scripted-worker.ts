// A worker node without renderers: a real RPC server with SlaveEmulate that registers and beats, whose pixels can be told
// beforehand and whose bad days are called by the test.

import { setTimeout as pause } from 'node:timers/promises';
import { type AttemptLogRequest, FarmWorker } from '../../../../render/proto/farm.js';
import {
  type CancelReq,
  Code,
  EmulateClient,
  ErrCode,
  type NodeInfo,
  type Serial,
  SlaveEmulate,
  type SlaveRenderReq,
  type SlaveRenderRsp,
  type Status,
  type TaskStatus,
} from '../../../../render/proto/render.js';
import { imageBytes } from '../../../../render/renderer/message.js';
import { implement, type MessageInit, RpcClient, RpcServer, type ServerCall } from '../../../../rpc/index.js';

export interface WorkerScript {
  readonly name?: string;
  readonly slots?: number;
  readonly weight?: number;
  readonly tags?: string[];
  readonly version?: string;
  readonly token?: string;
  readonly beatMs?: number;
  /** How long it waits for an answer to a beat. */
  readonly beatTimeoutMs?: number;
  /** What becomes of one image; default: rendered. */
  readonly image?: (index: number, request: SlaveRenderReq) => MessageInit<TaskStatus>;
  /** Instead of all that: the status of the whole answer. */
  readonly refuse?: (request: SlaveRenderReq) => { code: Code; retryAfterMs?: number } | null;
}

const PIECE_BYTES = 2 * 2 ** 20;

export class ScriptedWorker {
  readonly script: WorkerScript;
  readonly requests: SlaveRenderReq[] = [];
  readonly canceled: bigint[] = [];
  readonly running: Set<bigint> = new Set();
  serial: Serial | undefined;
  drains = 0;
  beats = 0;
  load: { cpu?: number; cpuOthers?: number; slots?: number; slotsMax?: number; draining?: boolean } = {};
  readonly #server: RpcServer;
  readonly #client: RpcClient;
  readonly #emulate: EmulateClient;
  #gate: Promise<void> | null = null;
  #openGate: () => void = () => {};
  #isBeating = false;
  #stopped = new AbortController();

  private constructor(main: string, script: WorkerScript) {
    this.script = script;
    this.#client = new RpcClient({
      target: main,
      ...(script.token === undefined ? {} : { token: script.token }),
      retry: { attemptsMax: 1 },
      selector: { outlier: false, breaker: false },
    });
    this.#emulate = new EmulateClient(this.#client);
    this.#server = new RpcServer({
      host: '127.0.0.1',
      port: 0,
      threads: 0,
      services: [
        implement(SlaveEmulate, {
          render: () => ({ status: { code: Code.INTERNAL } }),
          renderStream: (request, call) => this.#render(request, call),
          cancel: (request) => this.#cancel(request),
          drain: () => {
            this.drains += 1;
            this.load = { ...this.load, draining: true };
            return { code: Code.OK };
          },
        }),
        implement(FarmWorker, {
          log: ({ requestId, index }: AttemptLogRequest) => ({ text: `log of ${requestId}, image ${index}` }),
        }),
      ],
    });
  }

  static async start(main: string, script: WorkerScript = {}): Promise<ScriptedWorker> {
    const worker = new ScriptedWorker(main, script);
    await worker.#server.listen();
    await worker.register();
    worker.#isBeating = true;
    void worker.#beat();
    return worker;
  }

  get port(): number {
    return this.#server.address.port!; // it listens on one
  }

  info(): MessageInit<NodeInfo> {
    const { name = 'scripted', slots = 1, weight = 1, tags = [], version = '1', token = '' } = this.script;
    return { accessUrl: '127.0.0.1', accessPort: this.port, name, slots, weight, tags, version, token };
  }

  async register(): Promise<Code> {
    const { status, serial } = await this.#emulate.registerNode(this.info());
    if (serial !== undefined) this.serial = serial;
    return codeOf(status);
  }

  /** Answers wait until `release`. */
  hold(): void {
    this.#gate = new Promise((resolve) => {
      this.#openGate = resolve;
    });
  }

  release(): void {
    this.#gate = null;
    this.#openGate();
  }

  /** Says nothing more and answers nothing; what it was doing goes on inside. */
  freeze(): void {
    this.#isBeating = false;
    this.hold();
  }

  /** Beats again and hands out what it held. */
  thaw(): void {
    this.#isBeating = true;
    this.release();
  }

  async goodbye(): Promise<Code> {
    return codeOf(await this.#emulate.unRegisterNode(this.serial ?? {}));
  }

  /** As if the process were killed. */
  async die(): Promise<void> {
    this.#stopped.abort();
    this.release();
    await this.#server.force();
    await this.#client.close(0);
  }

  async #beat(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      if (this.#isBeating && this.serial !== undefined) {
        const { slots = 1 } = this.script;
        const load = { slots, slotsMax: slots, ...this.load };
        const beat = { serial: this.serial, load, runningTasks: [...this.running] };
        const { beatTimeoutMs: timeoutMs = 5000 } = this.script;
        const status = await this.#emulate.heartBeatNode(beat, { timeoutMs }).catch(() => null);
        this.beats += 1;
        if (status?.code === Code.UNAUTHORIZED && !this.#stopped.signal.aborted) await this.register();
      }
      await pause(this.script.beatMs ?? 50, undefined, { signal: this.#stopped.signal }).catch(() => {});
    }
  }

  #cancel({ requestId }: CancelReq): { code: Code } {
    this.canceled.push(requestId);
    return { code: Code.OK };
  }

  async *#render(request: SlaveRenderReq, call: ServerCall): AsyncGenerator<MessageInit<SlaveRenderRsp>> {
    this.requests.push(request);
    const { requestId, taskCount, firstIndex } = request;
    this.running.add(requestId);
    try {
      const refusal = this.script.refuse?.(request) ?? null;
      if (refusal !== null) {
        yield { requestId, status: refusal, last: true };
        return;
      }
      while (this.#gate !== null && !this.canceled.includes(requestId) && !call.signal.aborted)
        await Promise.race([this.#gate, pause(20)]);
      if (this.canceled.includes(requestId)) {
        yield { requestId, status: { code: Code.CANCELED }, last: true };
        return;
      }
      for (let index = firstIndex; index < firstIndex + taskCount; index += 1)
        yield* this.#image(index, request);
      yield { requestId, status: { code: Code.OK }, last: true };
    } finally {
      this.running.delete(requestId);
    }
  }

  *#image(index: number, request: SlaveRenderReq): Iterable<MessageInit<SlaveRenderRsp>> {
    const { requestId } = request;
    const told = this.script.image?.(index, request) ?? {};
    const status = { index, code: ErrCode.EC_OK, renderMs: 100, ...told };
    const pixels = expectedPixels(index, request);
    if (status.code !== ErrCode.EC_OK) pixels.fill(0);
    for (let from = 0; from < pixels.length || from === 0; from += PIECE_BYTES) {
      const isLast = from + PIECE_BYTES >= pixels.length;
      yield { requestId, imgs: pixels.subarray(from, from + PIECE_BYTES), tasks: isLast ? [status] : [] };
    }
  }
}

function codeOf(status: MessageInit<Status> | undefined): Code {
  return status?.code ?? Code.OK;
}

/** What a scripted worker renders for an image of a driver's request. */
export function expectedPixels(
  index: number,
  request: Pick<SlaveRenderReq, 'width' | 'height' | 'format' | 'lights' | 'lightCount' | 'firstIndex'>,
): Buffer {
  const { width, height, format, lights, lightCount, firstIndex } = request;
  const bytes = imageBytes(width, height, format) ?? 100 + index;
  const light = lightCount === 0 ? 0 : lights[(index - firstIndex) * lightCount]!;
  const pixels = Buffer.alloc(bytes, (index * 31 + light + 7) & 0xff);
  if (bytes >= 4) pixels.writeUInt32LE(index, 0);
  return pixels;
}
