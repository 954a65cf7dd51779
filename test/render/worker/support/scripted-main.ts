// A main node for tests of worker nodes: it registers whom it is told to, notes every beat, and asks nodes for images itself.
// What it answers a test may change at any time. The worker node cannot tell it from a real one.

import { createHash } from 'node:crypto';
import type { TestContext } from 'node:test';

import { implement, type MessageInit, RpcClient, RpcError, RpcServer } from '../../../../rpc/index.js';
import { Farm, type FarmService, FarmWorkerClient } from '../../../../render/proto/farm.js';
import {
  Code,
  Emulate,
  type EmulateService,
  ErrCode,
  type NodeHeartBeat,
  type NodeInfo,
  PixelFormat,
  type Serial,
  SlaveEmulateClient,
  type SlaveRenderReq,
  type SlaveRenderRsp,
  type TaskStatus,
} from '../../../../render/proto/render.js';
import { until } from '../../../support/until.js';
import { WHITE } from '../../support/renderers.js';

export interface Answered {
  readonly pieces: readonly SlaveRenderRsp[];
  readonly images: ReadonlyMap<number, Buffer>;
  readonly statuses: ReadonlyMap<number, TaskStatus>;
  readonly code: Code;
  readonly message: string;
}

/** Of a node as server and as client, and of the authority that it believes. */
export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
}

const SCENE_PART_BYTES = 64 * 1024;

export class ScriptedMain {
  readonly infos: NodeInfo[] = [];
  readonly beats: NodeHeartBeat[] = [];
  readonly gone: Serial[] = [];
  readonly scenes: Map<string, Buffer> = new Map();
  readonly fetched: string[] = [];
  /** What it answers to a registration, and to beats; serials are its own. */
  registering: Code = Code.OK;
  heartbeatMs = 30;
  #server: RpcServer | null = null;
  #port = 0;
  #epoch = 0n;
  #known: Serial | null = null;
  #requests = 0n;
  readonly #clients: RpcClient[] = [];
  readonly #tls: { readonly tls?: CertificateFiles };

  constructor(tls: CertificateFiles | null = null) {
    this.#tls = tls === null ? {} : { tls };
  }

  /** Listening; closed after the test. */
  static async start(t: TestContext, tls: CertificateFiles | null = null): Promise<ScriptedMain> {
    const main = new ScriptedMain(tls);
    await main.listen();
    t.after(() => main.close());
    return main;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Again at the same port, when it was stopped. */
  async listen(): Promise<void> {
    const none = (): never => {
      throw new RpcError('RPC_UNIMPLEMENTED', 'the script has no such part');
    };
    const emulate: EmulateService = {
      registerDriver: none,
      unRegisterDriver: none,
      heartBeatUser: none,
      move: none,
      getPosition: none,
      render: none,
      renderStream: none,
      cancel: none,
      registerNode: (info) => {
        this.infos.push(info);
        if (this.registering !== Code.OK)
          return { status: { code: this.registering, message: 'as the script says' } };
        this.#epoch += 1n;
        this.#known = { serial: 1, epoch: this.#epoch };
        return { status: {}, serial: this.#known, heartbeatMs: this.heartbeatMs, lives: 3 };
      },
      unRegisterNode: (serial) => {
        this.gone.push(serial);
        return {};
      },
      heartBeatNode: (beat) => {
        this.beats.push(beat);
        return { code: beat.serial?.epoch === this.#known?.epoch ? Code.OK : Code.UNAUTHORIZED };
      },
    };
    const farm: FarmService = {
      listJobs: none,
      getJob: none,
      pause: none,
      resume: none,
      requeue: none,
      cancel: none,
      delete: none,
      setPriority: none,
      listWorkers: none,
      drainWorker: none,
      logs: none,
      fetch: none,
      findScene: none,
      putScene: none,
      getScene: (request) => this.#parts(request.sha256),
    };
    this.#server = new RpcServer({
      host: '127.0.0.1',
      port: this.#port,
      transport: 'net',
      threads: 0,
      ...this.#tls,
      services: [implement(Emulate, emulate), implement(Farm, farm)],
    });
    this.#port = (await this.#server.listen()).port ?? 0;
  }

  /** As if it were killed; what it knew is forgotten. */
  async stop(): Promise<void> {
    await this.#server?.force();
    this.#server = null;
    this.#known = null;
  }

  /** The node is unknown from now on. */
  forget(): void {
    this.#known = null;
  }

  get serial(): Serial {
    return this.#known!;
  }

  get lastBeat(): NodeHeartBeat {
    return this.beats.at(-1)!;
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close(0)));
    await this.stop();
  }

  /** Waits for a beat that comes from now on and is so. */
  async beatThat(is: (beat: NodeHeartBeat) => boolean): Promise<NodeHeartBeat> {
    let seen = this.beats.length;
    for (;;) {
      await until(() => this.beats.length > seen);
      const beat = this.beats[seen]!;
      seen += 1;
      if (is(beat)) return beat;
    }
  }

  get nodeAddress(): string {
    const { accessUrl, accessPort } = this.infos.at(-1)!;
    return `${accessUrl}:${accessPort}`;
  }

  /** Calls of the node that registered last. */
  node(token = ''): { slave: SlaveEmulateClient; worker: FarmWorkerClient } {
    const client = new RpcClient({
      target: this.nodeAddress,
      token,
      ...this.#tls,
      retry: { attemptsMax: 1 },
      timeoutMs: 300_000, // on a busy machine everything takes longer
    });
    this.#clients.push(client);
    return { slave: new SlaveEmulateClient(client), worker: new FarmWorkerClient(client) };
  }

  /** Grey images of 16 × 12, each lit by one lamp, unless the fields say otherwise. */
  request(fields: MessageInit<SlaveRenderReq> = {}): MessageInit<SlaveRenderReq> & { requestId: bigint } {
    this.#requests += 1n;
    const { taskCount = 1 } = fields;
    return {
      version: 1,
      taskCount,
      lightCount: 1,
      lights: Array.from({ length: taskCount }, () => WHITE),
      width: 16,
      height: 12,
      samples: 1,
      format: PixelFormat.GRAY8,
      deadlineMs: 300_000,
      ...fields,
      requestId: fields.requestId ?? this.#requests,
    };
  }

  /** Asks the node, and puts its pieces together as render.proto says. */
  async render(
    request: MessageInit<SlaveRenderReq>,
    slave: SlaveEmulateClient = this.node().slave,
    signal?: AbortSignal,
  ): Promise<Answered> {
    const pieces: SlaveRenderRsp[] = [];
    for await (const piece of slave.renderStream(request, signal === undefined ? {} : { signal }))
      pieces.push(piece);
    return assembled(pieces);
  }

  addScene(content: Buffer): string {
    const sha256 = createHash('sha256').update(content).digest('hex');
    this.scenes.set(sha256, content);
    return sha256;
  }

  *#parts(sha256: string): Generator<{ sha256?: string; bytes?: bigint; data: Uint8Array }> {
    this.fetched.push(sha256);
    const content = this.scenes.get(sha256);
    if (content === undefined) throw new RpcError('RPC_NOT_FOUND', 'no such scene');
    for (let at = 0; at < content.length; at += SCENE_PART_BYTES) {
      const data = content.subarray(at, at + SCENE_PART_BYTES);
      yield at === 0 ? { sha256, bytes: BigInt(content.length), data } : { data };
    }
  }
}

/** @throws Error when the pieces do not follow the rules of render.proto */
export function assembled(pieces: readonly SlaveRenderRsp[]): Answered {
  const images = new Map<number, Buffer>();
  const statuses = new Map<number, TaskStatus>();
  let open: Uint8Array[] = [];
  for (const [at, { chunk, last, imgs, tasks, format, width, height }] of pieces.entries()) {
    if (chunk !== at) throw new Error(`piece ${at} says it is ${chunk}`);
    if (last !== (at === pieces.length - 1)) throw new Error(`piece ${at} of ${pieces.length}, last ${last}`);
    if (imgs.length > 2 * 1024 * 1024) throw new Error(`a piece of ${imgs.length} bytes`);
    if (imgs.length > 0) open.push(imgs);
    if (tasks.length === 0) continue;
    const bytes = Buffer.concat(open);
    open = [];
    const isFile = format === PixelFormat.PNG || format === PixelFormat.EXR;
    const each = isFile ? bytes.length : width * height * [1, 3, 4, 16][format]!;
    if (bytes.length !== (isFile ? bytes.length : each * tasks.length))
      throw new Error(`${bytes.length} bytes for ${tasks.length} images of ${each}`);
    for (const [place, status] of tasks.entries()) {
      if (statuses.has(status.index)) throw new Error(`image ${status.index} came twice`);
      statuses.set(status.index, status);
      if (status.code === ErrCode.EC_OK)
        images.set(status.index, bytes.subarray(place * each, (place + 1) * each));
    }
  }
  if (open.length > 0) throw new Error('pieces of no image');
  const { code = Code.OK, message = '' } = pieces.at(-1)?.status ?? {};
  return { pieces, images, statuses, code, message };
}
