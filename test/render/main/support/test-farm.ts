// A main node in this process, with drivers and scripted workers, all closed when the test ends.

import type { TestContext } from 'node:test';
import { createLogger, type Logger } from '../../../../reactor/index.js';
import { MainNode, type MainNodeOptions } from '../../../../render/index.js';
import { FarmClient } from '../../../../render/proto/farm.js';
import {
  Code,
  type DriverInfo,
  EmulateClient,
  ErrCode,
  type RenderReq,
  type RenderRsp,
  type Serial,
  type Status,
  type TaskStatus,
} from '../../../../render/proto/render.js';
import { type CallOptions, type MessageInit, RpcClient } from '../../../../rpc/index.js';
import { ScriptedWorker, type WorkerScript } from './scripted-worker.js';

const LOCAL = { host: '127.0.0.1', port: 0 };

export interface Received {
  readonly status: Status;
  /** By index. */
  readonly images: Map<number, Buffer>;
  readonly tasks: Map<number, TaskStatus>;
  readonly chunks: number;
  readonly job: bigint;
}

export class TestFarm {
  readonly main: MainNode;
  readonly #t: TestContext;

  private constructor(t: TestContext, main: MainNode) {
    this.#t = t;
    this.main = main;
  }

  static async start(t: TestContext, options: MainNodeOptions = {}): Promise<TestFarm> {
    const main = await MainNode.start(await quiet(), { listen: LOCAL, heartbeatMs: 100, ...options });
    t.after(() => main.close(0));
    return new TestFarm(t, main);
  }

  get address(): string {
    return this.main.addresses.rpc;
  }

  async worker(script: WorkerScript = {}): Promise<ScriptedWorker> {
    const worker = await ScriptedWorker.start(this.address, script);
    this.#t.after(() => worker.die());
    return worker;
  }

  client(token = ''): RpcClient {
    const client = new RpcClient({
      target: this.address,
      token,
      timeoutMs: 60_000,
      retry: { attemptsMax: 1 },
      selector: { outlier: false, breaker: false },
    });
    this.#t.after(() => client.close(0));
    return client;
  }

  farm(token = ''): FarmClient {
    return new FarmClient(this.client(token));
  }

  /** @param beatMs 0: it does not beat */
  async driver(info: MessageInit<DriverInfo> = {}, beatMs = 20): Promise<TestDriver> {
    const driver = new TestDriver(new EmulateClient(this.client()));
    await driver.register(info);
    if (beatMs > 0) {
      const timer = setInterval(() => void driver.beat(), beatMs);
      this.#t.after(() => clearInterval(timer));
    }
    return driver;
  }
}

export class TestDriver {
  readonly emulate: EmulateClient;
  serial: Serial = { serial: 0, epoch: 0n };

  constructor(emulate: EmulateClient) {
    this.emulate = emulate;
  }

  async register(info: MessageInit<DriverInfo> = {}): Promise<Code> {
    const { status, serial } = await this.emulate.registerDriver({ name: 'test', ...info });
    if (serial !== undefined) this.serial = serial;
    return status?.code ?? Code.OK;
  }

  /** Null: the main node did not answer. */
  async beat(): Promise<Code | null> {
    const status = await this.emulate.heartBeatUser(this.serial).catch(() => null);
    return status?.code ?? null;
  }

  request(more: MessageInit<RenderReq> = {}): MessageInit<RenderReq> {
    const taskCount = more.taskCount ?? 1;
    return {
      id: this.serial,
      taskCount,
      lightCount: 1,
      lights: Array.from({ length: taskCount }, (_, at) => at),
      width: 4,
      height: 3,
      samples: 1,
      ...more,
    };
  }

  render(more: MessageInit<RenderReq> = {}, options: CallOptions = {}): Promise<RenderRsp> {
    return this.emulate.render(this.request(more), options);
  }

  async stream(more: MessageInit<RenderReq> = {}, options: CallOptions = {}): Promise<Received> {
    return received(this.emulate.renderStream(this.request(more), options));
  }
}

/** Puts chunks together as a driver would. */
export async function received(messages: AsyncIterable<RenderRsp>): Promise<Received> {
  const images = new Map<number, Buffer>();
  const tasks = new Map<number, TaskStatus>();
  let pieces: Uint8Array[] = [];
  let chunks = 0;
  let job = 0n;
  for await (const message of messages) {
    if (message.chunk !== chunks && message.status?.code === Code.OK)
      throw new Error(`chunk ${message.chunk} came as number ${chunks}`);
    chunks += 1;
    job = message.job;
    pieces.push(message.imgs);
    if (message.tasks.length > 0) {
      const bytes = Buffer.concat(pieces);
      pieces = [];
      const each = bytes.length / message.tasks.length;
      for (const [at, task] of message.tasks.entries()) {
        if (tasks.has(task.index)) throw new Error(`image ${task.index} came twice`);
        tasks.set(task.index, task);
        const pixels = bytes.subarray(at * each, (at + 1) * each);
        if (task.code === ErrCode.EC_OK) images.set(task.index, pixels);
        else if (pixels.some((byte) => byte !== 0)) throw new Error('a missing image is not zeros');
      }
    }
    if (message.last) return { status: message.status!, images, tasks, chunks, job };
  }
  throw new Error('the stream ended without a last message');
}

export function quiet(): Promise<Logger> {
  return createLogger({ level: (process.env['TEST_LOG'] as 'info' | undefined) ?? 'fatal' });
}
