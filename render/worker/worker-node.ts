// A worker node: renderers, the desk that gives them work, the server that takes it, and the tie to the main node.
// `reactor-net render worker` runs one; so may a program. Here things begin and end in order, and once a second the machine is
// looked at: for the beats, for the autoscaler, for renderers that have grown too large.

import { hostname } from 'node:os';

import { formatAddress, type Logger } from '../../reactor/index.js';
import { loadAddon } from '../../addon/index.js';
import { type MessageInit, RpcServer } from '../../rpc/index.js';
import { RenderError } from '../errors.js';
import { FarmClient } from '../proto/farm.js';
import type { NodeHeartBeat, NodeInfo } from '../proto/render.js';
import type { Renderer } from '../renderer/renderer.js';
import { Autoscaler } from './autoscaler.js';
import { type LoadFigures, LoadMeter, type LoadSource, systemLoad } from './load-meter.js';
import { connectMain, type MainConnection, reachableAddress } from './main-connection.js';
import { MainLink } from './main-link.js';
import { type DeskFigures, RenderDesk } from './render-desk.js';
import { SceneCache } from './scene-cache.js';
import { SlaveService } from './slave-service.js';
import {
  type CompleteWorkerOptions,
  completeWorkerOptions,
  type WorkerAddress,
  type WorkerNodeOptions,
} from './worker-options.js';

export interface WorkerFigures {
  readonly slots: number;
  readonly starting: number;
  readonly slotsMax: number;
  readonly desk: DeskFigures;
  readonly load: LoadFigures;
  readonly scenes: { readonly scenes: number; readonly bytes: number; readonly fetches: number };
  readonly restarts: number;
  readonly rendererCpuMs: number;
  readonly registrations: number;
  readonly isRegistered: boolean;
  readonly isDraining: boolean;
}

/** Why a node stops without being told to by its own program. */
export type WorkerEnd =
  /** The main node asked it to drain. */
  | { readonly kind: 'drained' }
  /** A renderer died more often than it may. */
  | { readonly kind: 'unfit'; readonly error: RenderError };

interface Parts {
  readonly desk: RenderDesk;
  readonly server: RpcServer;
  readonly scenes: SceneCache;
  readonly connection: MainConnection;
  readonly link: MainLink;
}

const WINDOW_BYTES = 2 ** 20;
const SCENE_TIMEOUT_MS = 600_000;
/** Of the time to stop, for renderers' images; the rest is for their answers. */
const RENDER_SHARE = 0.9;

export class WorkerNode {
  readonly #logger: Logger;
  readonly #options: CompleteWorkerOptions;
  readonly #parts: Parts;
  readonly #address: WorkerAddress;
  readonly #meter: LoadMeter;
  readonly #autoscaler: Autoscaler;
  readonly #timer: NodeJS.Timeout;
  readonly #ended: Promise<WorkerEnd>;
  #closing: Promise<boolean> | null = null;

  private constructor(
    logger: Logger,
    options: CompleteWorkerOptions,
    parts: Parts,
    address: WorkerAddress,
    meter: LoadMeter,
    autoscaler: Autoscaler,
    ended: Promise<WorkerEnd>,
  ) {
    this.#logger = logger;
    this.#options = options;
    this.#parts = parts;
    this.#address = address;
    this.#meter = meter;
    this.#autoscaler = autoscaler;
    this.#ended = ended;
    this.#timer = setInterval(() => this.#look(), options.sampleMs);
  }

  /**
   * Resolves once `min` renderers are ready and the main node knows of it, which is waited for as long as it takes.
   * @throws RenderError (as rejection) RENDER_OPTION_INVALID, RENDER_START_FAILED, RENDER_UNAUTHORIZED,
   *   RENDER_VERSION_MISMATCH, RENDER_CLOSED: `signal`; ReactorError REACTOR_PORT_IN_USE and the like
   */
  static async start(
    logger: Logger,
    renderer: Renderer,
    given: WorkerNodeOptions,
    signal: AbortSignal = new AbortController().signal,
    { random = Math.random, load = systemLoad }: { random?: () => number; load?: LoadSource } = {},
  ): Promise<WorkerNode> {
    const options = completeWorkerOptions(given);
    const opened: (() => Promise<unknown>)[] = [];
    let end: (why: WorkerEnd) => void = () => {};
    const ended = new Promise<WorkerEnd>((resolve) => {
      end = resolve;
    });
    try {
      const connection = connectMain(options);
      opened.push(() => connection.close());
      const farm = new FarmClient(connection.caller);
      const scenes = await SceneCache.open(
        logger,
        (sha256, wanted) => farm.getScene({ sha256 }, { signal: wanted, timeoutMs: SCENE_TIMEOUT_MS }),
        options.scenes,
      );
      opened.push(() => scenes.close());
      const desk = new RenderDesk(
        { logger, random, renderer, scenes, onUnfit: (error) => end({ kind: 'unfit', error }) },
        options.pool,
        options.tasks,
        options.desk,
      );
      opened.push(async () => desk.close());
      const { pool } = desk.crew;
      opened.push(() => pool.stop());
      const autoscaler = new Autoscaler({ ...options.autoscaler, min: pool.min, max: pool.max });
      const meter = new LoadMeter(options.smoothing, load);
      const service = new SlaveService({
        desk,
        serial: () => link.serial,
        onDrain: () => {
          desk.drain();
          link.beatNow();
          end({ kind: 'drained' });
        },
      });
      const server = openServer(options, service);
      opened.push(() => server.force());
      const bound = await server.listen();
      const address = { ...options.listen, ...bound }; // it listens on a host and a port, never on a path
      await pool.start();
      if (signal.aborted) throw new RenderError('RENDER_CLOSED', 'stopped before it was registered');
      const reached = options.advertise ?? (await reachableAddress(address, options));
      const link: MainLink = new MainLink(logger, connection.caller, random, {
        info: () => infoOf(options, desk, reached),
        beat: () => beatOf(desk, meter),
        onForgotten: () => desk.dropAll(),
      });
      desk.crew.measure(performance.now(), options.rssBytesKill);
      meter.sample(performance.now(), desk.crew.cpuMs);
      opened.push(() => link.stop());
      await link.start(signal);
      const parts = { desk, server, scenes, connection, link };
      return new WorkerNode(logger, options, parts, address, meter, autoscaler, ended);
    } catch (error) {
      for (const close of opened.toReversed()) await close().catch(() => undefined); // the first error is the one to tell
      throw error;
    }
  }

  /** Where the main node calls. */
  get address(): string {
    return formatAddress(this.#address);
  }

  /** Resolves when it should stop: to be followed by `close`. */
  get ended(): Promise<WorkerEnd> {
    return this.#ended;
  }

  figures(): WorkerFigures {
    const { desk, scenes, link } = this.#parts;
    const { crew } = desk;
    return {
      slots: crew.slots,
      starting: crew.starting,
      slotsMax: crew.pool.max,
      desk: desk.figures(),
      load: this.#meter.figures(),
      scenes: scenes.figures,
      restarts: crew.pool.processes.reduce((sum, { figures }) => sum + figures.restarts, 0),
      rendererCpuMs: crew.cpuMs,
      registrations: link.registrations,
      isRegistered: link.isConnected,
      isDraining: desk.isDraining,
    };
  }

  /**
   * Takes nothing new, says so, finishes what it has, says good-bye, and ends its renderers. A second call joins.
   * @returns whether everything was finished within `graceMs`; what was not, the main node gives to others
   */
  close(graceMs: number = 10_000): Promise<boolean> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<boolean> {
    const { desk, server, scenes, connection, link } = this.#parts;
    desk.drain();
    link.beatNow();
    const isFinished = await within(desk.whenIdle(), graceMs * RENDER_SHARE);
    if (!isFinished)
      this.#logger.warn({ requests: desk.openRequests().length }, 'requests were cut at the deadline');
    clearInterval(this.#timer);
    desk.close();
    await link.stop();
    const { cut } = await server.close({ graceMs: graceMs * (1 - RENDER_SHARE) });
    await desk.crew.pool.stop();
    await scenes.close();
    await connection.close();
    return isFinished && cut === 0;
  }

  /** Once a second. */
  #look(): void {
    const { desk } = this.#parts;
    const { crew } = desk;
    const now = performance.now();
    desk.sweep();
    crew.measure(now, this.#options.rssBytesKill);
    const load = this.#meter.sample(now, crew.cpuMs);
    if (desk.isDraining) return;
    const { queued, resting } = desk.figures();
    const action = this.#autoscaler.decide(now, {
      queued: queued + resting,
      renderers: desk.loads(),
      starting: crew.starting,
      cpu: load.cpu,
      cpuOthers: load.cpuOthers,
      memory: load.memory,
      gpu: load.gpu,
      availableBytes: load.availableBytes,
      rendererBytes: crew.rssBytesMax,
    });
    if (action?.kind === 'start') void crew.grow(now, action.reason);
    if (action?.kind === 'drain') crew.retire(action.pid, action.reason);
  }
}

function infoOf(
  options: CompleteWorkerOptions,
  desk: RenderDesk,
  { host, port }: WorkerAddress,
): MessageInit<NodeInfo> {
  const { weight, name, tags, token } = options;
  const { pool, slots } = desk.crew;
  const facts = pool.processes.find((process) => process.facts !== undefined)?.facts;
  return {
    accessUrl: host,
    accessPort: port,
    weight,
    name: name === '' ? `${hostname()}:${port}` : name,
    tags,
    slots: Math.max(slots, pool.min),
    version: facts === undefined ? '' : `${facts.renderer} ${facts.version}`,
    token,
  };
}

function beatOf(desk: RenderDesk, meter: LoadMeter): MessageInit<NodeHeartBeat> {
  const { crew } = desk;
  const { queued, resting, running } = desk.figures();
  const { cpu, cpuOthers, memory, gpu, gpuCelsius } = meter.figures();
  return {
    load: {
      cpu,
      cpuOthers,
      mem: memory,
      gpu,
      queued: queued + resting,
      running,
      slots: crew.slots,
      slotsMax: crew.pool.max,
      draining: desk.isDraining,
      gpuTemp: gpuCelsius,
    },
    runningTasks: desk.openRequests(),
    processes: crew.uses((pid) => meter.gpuOf(pid)),
  };
}

function openServer({ listen, token, tls }: CompleteWorkerOptions, service: SlaveService): RpcServer {
  return new RpcServer({
    ...listen,
    transport: tls === null && loadAddon() !== null ? 'epoll' : 'net',
    ...(tls === null ? {} : { tls }),
    ...(token === '' ? {} : { tokens: [{ token, name: 'cluster' }] }),
    threads: 0,
    agent: 'reactor-net-render',
    streamWindowBytes: WINDOW_BYTES,
    services: { services: service.implementations() },
  });
}

/** Whether `work` was done in time. */
async function within(work: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const isDone = await Promise.race([work.then(() => true), late]);
  clearTimeout(timer);
  return isDone;
}
