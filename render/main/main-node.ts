// The main node as a process has it: registrations and their lives, the services over RPC and gRPC, the runner of jobs, the
// stores behind it, and the order in which all of this begins and ends.
// What decides is in scheduler.ts, registrations.ts and retention.ts; `render main` runs one, and so may a program.

import path from 'node:path';
import { loadAddon } from '../../addon/index.js';
import { formatAddress, type Logger } from '../../reactor/index.js';
import {
  implement,
  type Middleware,
  RpcError,
  RpcServer,
  type RpcApplication,
  type ServiceImplementation,
} from '../../rpc/index.js';
import type { GrpcServer } from '../../rpc/grpc/index.js';
import { RenderError } from '../errors.js';
import { Farm as FarmContract } from '../proto/farm.js';
import { Emulate } from '../proto/render.js';
import { makeScratchFolder, removeScratchFolder, removeStaleScratchFolders } from '../scratch-folder.js';
import { emulateService } from './emulate-service.js';
import type { Farm } from './farm.js';
import { FarmDesk } from './farm-desk.js';
import { FarmEvents } from './farm-events.js';
import { farmService } from './farm-service.js';
import { FileJobStore, lockedFolder } from './file-job-store.js';
import { JobRunner } from './job-runner.js';
import type { JobStore, StoreRecord } from './job-store.js';
import { type MainClock, systemMainClock } from './main-clock.js';
import { type MainFigures, Membership } from './membership.js';
import { type CompleteMainOptions, type MainNodeOptions, mainOptions } from './main-options.js';
import { NodeBook } from './node-book.js';
import { restoredState } from './restored-state.js';
import { ResultStore } from './result-store.js';
import { SceneStore } from './scene-store.js';
import { Tokens } from './tokens.js';

export interface MainAddresses {
  readonly rpc: string;
  readonly grpc?: string;
}

export interface MainNodeParts {
  readonly clock?: MainClock;
  readonly random?: () => number;
  /** Where jobs are kept. Default: in `dataDir`, where there is one. It is closed with the main node. */
  readonly store?: JobStore | null;
}

interface Running {
  readonly options: CompleteMainOptions;
  readonly membership: Membership;
  readonly runner: JobRunner;
  readonly results: ResultStore;
  readonly store: JobStore | null;
  readonly unlock: (() => Promise<void>) | null;
  readonly farm: FarmDesk;
  readonly server: RpcServer;
  readonly grpc: GrpcServer | null;
  readonly temporary: string | null;
}

const SWEEP_MS = 1000;
const SETTLE_POLL_MS = 20;
const CLOSE_MS = 1000;

export class MainNode {
  readonly #running: Running;
  readonly #addresses: MainAddresses;
  readonly #clock: MainClock;
  #cancelSweep: (() => void) | null = null;
  #closing: Promise<boolean> | null = null;

  private constructor(running: Running, addresses: MainAddresses, clock: MainClock) {
    this.#running = running;
    this.#addresses = addresses;
    this.#clock = clock;
    this.#sweep();
  }

  /**
   * Resolves once it accepts work; jobs of an earlier life go on.
   * @throws RenderError RENDER_OPTION_INVALID, RENDER_IO, RENDER_STATE; ReactorError REACTOR_PORT_IN_USE and the like
   */
  static async start(
    logger: Logger,
    given: MainNodeOptions = {},
    parts: MainNodeParts = {},
  ): Promise<MainNode> {
    const options = mainOptions(given);
    const { clock = systemMainClock, random = Math.random } = parts;
    const opened: (() => Promise<unknown>)[] = [];
    try {
      const temporary = options.dataDir === null ? await temporaryFolder(opened) : null;
      const folder = options.dataDir ?? temporary!;
      const store = parts.store ?? (await ownStore(logger, options.dataDir));
      if (store !== null) opened.push(() => store.close());
      // A store in the folder has locked it.
      const unlock =
        parts.store == null || options.dataDir === null ? null : (await lockedFolder(options.dataDir)).unlock;
      if (unlock !== null) opened.push(unlock);
      const state = restoredState((await store?.load()) ?? []);
      const events = new FarmEvents();
      const nodes = new NodeBook();
      const results = new ResultStore(
        (job, index, place) => runner.imageKept(job, index, place),
        (error) => logger.error({ err: error }, 'the results on disk'),
        {
          folder: path.join(folder, 'results'),
          memoryBytesMax: options.resultMemoryBytes,
          isDurable: options.dataDir !== null,
        },
      );
      opened.push(() => results.close());
      const firstAttempt = Math.max(state.firstAttempt, Math.floor(clock.nowMs()) * 1000);
      const runner: JobRunner = new JobRunner(
        { clock, random, logger, nodes, results, store, tell: events.tell },
        {
          scheduler: { ...options.scheduler, firstAttempt, firstJob: state.firstJob },
          retention: options,
        },
      );
      opened.push(async () => runner.close());
      const scenes = await SceneStore.open(path.join(folder, 'scenes'), options.sceneBytesMax, (sha256) =>
        isNeeded(runner, sha256),
      );
      const membership: Membership = new Membership(
        {
          clock,
          logger,
          nodes,
          runner,
          results,
          scenes,
          store,
          tokens: new Tokens(options.driverToken, options.nodeToken),
        },
        options,
      );
      opened.push(() => membership.close());
      membership.restore(state);
      await runner.restore(state);
      if (options.dataDir !== null) await results.removeOthers(new Set(state.jobs.keys()));
      store?.append({ kind: 'start', firstAttempt, firstJob: state.firstJob });
      await store?.flush();
      const farm = new FarmDesk({
        events,
        runner,
        nodes,
        results,
        scenes,
        drivers: () => membership.drivers,
        kept: async () => store?.flush(),
      });
      const application = applicationOf(membership, farm, runner);
      const server = openServer(logger, options, application);
      opened.push(() => server.force());
      const rpc = formatAddress(await server.listen());
      const grpc = await openGrpc(options, application);
      if (grpc !== null) opened.push(() => grpc.close({ graceMs: 0 }));
      membership.begin();
      const addresses = { rpc, ...(grpc === null ? {} : { grpc: formatAddress(grpc.address) }) };
      const running = { options, membership, runner, results, store, unlock, farm, server, grpc, temporary };
      return new MainNode(running, addresses, clock);
    } catch (error) {
      for (const close of opened.toReversed()) await close().catch(() => undefined); // the first error is the one to tell
      throw error;
    }
  }

  get addresses(): MainAddresses {
    return this.#addresses;
  }

  /** For the web page, and for whoever holds the main node in a program. */
  get farm(): Farm {
    return this.#running.farm;
  }

  get server(): RpcServer {
    return this.#running.server;
  }

  /** Null: it accepts work; else why it does not. */
  get notReady(): string | null {
    return this.#closing === null ? null : 'stopping';
  }

  figures(): MainFigures {
    return this.#running.membership.figures();
  }

  /**
   * Takes no new jobs, lets those that somebody waits for end, and goes. A second call joins.
   * @returns whether nobody was left waiting after `graceMs`
   */
  close(graceMs: number = 10_000): Promise<boolean> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<boolean> {
    const { membership, runner, results, store, unlock, server, grpc, temporary } = this.#running;
    const endMs = performance.now() + graceMs;
    membership.stopTaking();
    while (membership.callsOpen > 0 && performance.now() < endMs)
      await new Promise<void>((resolve) => this.#clock.after(SETTLE_POLL_MS, resolve));
    const isSettled = membership.callsOpen === 0;
    this.#cancelSweep?.();
    runner.close();
    const leftMs = Math.max(CLOSE_MS, endMs - performance.now());
    const [{ cut }] = await Promise.all([
      server.close({ graceMs: leftMs }),
      grpc?.close({ graceMs: leftMs }),
    ]);
    await membership.close();
    await results.close();
    await store?.close();
    await unlock?.();
    if (temporary !== null) await removeScratchFolder(temporary);
    return isSettled && cut === 0;
  }

  #sweep(): void {
    const { runner, results, store } = this.#running;
    runner.sweep();
    results.retry();
    if (store?.wantsCompaction === true) store.compact([...this.#records()]);
    this.#cancelSweep = this.#clock.after(SWEEP_MS, () => this.#sweep());
  }

  *#records(): Iterable<StoreRecord> {
    const { membership, runner } = this.#running;
    yield* membership.snapshot();
    yield* runner.snapshot();
  }
}

async function ownStore(logger: Logger, folder: string | null): Promise<JobStore | null> {
  if (folder === null) return null;
  return FileJobStore.open(folder, (error) => logger.error({ err: error }, 'the journal of jobs'));
}

async function temporaryFolder(opened: (() => Promise<unknown>)[]): Promise<string> {
  await removeStaleScratchFolders();
  const folder = await makeScratchFolder('disk');
  opened.push(() => removeScratchFolder(folder));
  return folder;
}

function isNeeded(runner: JobRunner, sha256: string): boolean {
  for (const { spec, end } of runner.records()) if (end === null && spec.scene === sha256) return true;
  return false;
}

function applicationOf(membership: Membership, farm: Farm, runner: JobRunner): RpcApplication {
  const services: ServiceImplementation[] = [
    implement(Emulate, emulateService(membership)),
    implement(
      FarmContract,
      farmService(farm, (job, signal) => runner.record(job).changed(signal)),
    ),
  ];
  const { tokens } = membership;
  return {
    services,
    middleware: tokens.isOpen ? [] : [farmGuard],
    authenticate: (token, peer) => peer.identity ?? tokens.nameOf(token),
  };
}

/** Registering shows a token; the farm's own service is for connections that did. */
const farmGuard: Middleware = async (request, next) => {
  if (request.method.path.startsWith(`/${FarmContract.fullName}/`) && request.call?.peer.identity === null)
    throw new RpcError('RPC_UNAUTHENTICATED', 'the farm asks for a token');
  return next(request);
};

function openServer(logger: Logger, options: CompleteMainOptions, application: RpcApplication): RpcServer {
  const { listen, tls, messageBytesMax } = options;
  return new RpcServer({
    ...listen,
    logger,
    transport: tls === null && loadAddon() !== null ? 'epoll' : 'net',
    ...(tls === null ? {} : { tls }),
    threads: 0,
    agent: 'reactor-net-render',
    messageBytesMax,
    services: application,
  });
}

/** The adapter is loaded only for those who want it. */
async function openGrpc(options: CompleteMainOptions, services: RpcApplication): Promise<GrpcServer | null> {
  const { grpc, tls, messageBytesMax } = options;
  if (grpc === null) return null;
  const { GrpcServer } = await import('../../rpc/grpc/index.js');
  const server = new GrpcServer({ ...grpc, services, messageBytesMax, ...(tls === null ? {} : { tls }) });
  try {
    await server.listen();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RenderError('RENDER_UNAVAILABLE', `gRPC cannot listen on ${grpc.host}:${grpc.port}: ${why}`, {
      cause,
    });
  }
  return server;
}
