// An RPC server: what a user constructs. It listens by a TcpServer, whose threads run the user's service module.
// rpc-host.ts is the code on every thread, thread-server.ts its state there; here is what concerns all of them.

import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import {
  type ListenAddress,
  type ServerOptions,
  TcpServer,
  type TcpServerOptions,
} from '../../reactor/index.js';
import type { ServiceImplementation } from '../call.js';
import { RpcError } from '../errors.js';
import { FRAME_BODY_BYTES_MAX, HELLO_TIMEOUT_MS, OUTPUT_BYTES_MAX } from '../limits.js';
import { resolveSessionOptions, type SessionOptions } from '../session/session-options.js';
import { checkApplication, type RpcApplication, type RpcModule } from './application.js';
import { Drain, type DrainReport, type DrainState, type DrainTimes } from './drain.js';
import type { RpcHostData } from './rpc-host.js';
import type { ThreadFigures, ThreadServerSpec, TokenEntry } from './thread-server.js';
import { forgetThreadServer, type ServerTask, taskName, threadServer } from './thread-servers.js';

export interface RpcServerOptions extends ServerOptions, SessionOptions {
  /**
   * The module whose default export runs once on every sub-reactor and returns the services. With threads: 0 also
   * that function, or the services themselves.
   */
  services: URL | string | RpcModule | RpcApplication | readonly ServiceImplementation[];
  /** Clients have to show one of these tokens. Default: everybody may connect. */
  tokens?: readonly TokenEntry[];
  /** Age at which a client is told to connect anew, in ms, give or take a tenth; 0: never. Default 0. */
  connectionAgeMs?: number;
  /** Shown to clients in HELLO. Default 'reactor-net'. */
  agent?: string;
}

/** Leaves a registry; resolves to true when everybody who watches has heard of it. */
export type Deregister = () => Promise<boolean>;

const TASK_TIMEOUT_MS = 5_000;
/** What is left of connections after a drain is given up quickly: everything was answered. */
const CLOSE_TIMEOUT_MS = 1_000;

export class RpcServer {
  readonly #server: TcpServer;
  readonly #spec: ThreadServerSpec;
  readonly #services: RpcServerOptions['services'];
  readonly #drain: Drain;
  readonly #deregister: Deregister[] = [];
  readonly #onStates: ((state: DrainState) => void)[] = [];

  /** Starts nothing yet. @throws RpcError RPC_OPTION_INVALID, ReactorError REACTOR_OPTION_INVALID */
  constructor(options: RpcServerOptions) {
    if (typeof options !== 'object' || options === null) throw invalid('the options must be an object');
    const { tokens = [], connectionAgeMs = 0, agent = 'reactor-net', services } = options;
    if (!(Number.isFinite(connectionAgeMs) && connectionAgeMs >= 0))
      throw invalid(`connectionAgeMs must be a number from 0 up, not ${connectionAgeMs}`);
    if (services === undefined) throw invalid('services must be given');
    checkTokens(tokens);
    const isModule = typeof services === 'string' || services instanceof URL;
    const isInline = options.reactor === undefined ? options.threads === 0 : options.reactor.inline !== null;
    if (!isModule && !isInline)
      throw invalid(
        'services must be the URL of a module: what is made here cannot cross to other threads (threads: 0 takes it)',
      );
    this.#services = services;
    this.#spec = {
      key: randomUUID(),
      agent,
      session: resolveSessionOptions(options),
      tokens: tokens.map(({ token, name }) => ({ token, name })),
      connectionAgeMs,
    };
    this.#server = new TcpServer({
      ...serverOptions(options),
      codec: { kind: 'tlv', frameBytesMax: FRAME_BODY_BYTES_MAX },
      hardCapBytes: OUTPUT_BYTES_MAX,
      pauseReadingWhenFull: false, // credit bounds what comes; a side that does not read must still hear of credit
      firstByteTimeoutMs: options.helloTimeoutMs ?? HELLO_TIMEOUT_MS,
      handlers: isModule ? new URL('./rpc-host.js', import.meta.url) : (loop) => this.#bindInline(loop),
      ...(isModule ? { handlerData: this.#hostData(services) } : {}),
    });
    this.#drain = new Drain(
      {
        deregister: async () => (await Promise.all(this.#deregister.map((leave) => leave()))).every(Boolean),
        announce: async (graceMs) => {
          await this.#server.stopAccepting();
          await this.#onThreads('drain', graceMs, TASK_TIMEOUT_MS);
        },
        settle: async (graceMs) =>
          (await this.#onThreads<boolean>('idle', graceMs, graceMs + TASK_TIMEOUT_MS)).every(Boolean),
        cut: async () =>
          (await this.#onThreads<number>('cut', undefined, TASK_TIMEOUT_MS)).reduce(
            (sum, cut) => sum + cut,
            0,
          ),
        close: async () => {
          await this.#server.close({ drainTimeoutMs: CLOSE_TIMEOUT_MS });
          forgetThreadServer(this.#spec.key);
        },
      },
      async (delayMs, signal) => {
        await delay(delayMs, undefined, { signal, ref: false }).catch(() => {}); // aborted: it is over early
      },
      (state) => {
        for (const tell of this.#onStates) tell(state);
      },
    );
  }

  /** Where it listens; only after `listen`. @throws ReactorError REACTOR_CLOSED */
  get address(): ListenAddress {
    return this.#server.address;
  }

  get reactor(): TcpServer['reactor'] {
    return this.#server.reactor;
  }

  get drainState(): DrainState {
    return this.#drain.state;
  }

  /** Resolves once connections are accepted. @throws ReactorError as TcpServer.listen does; RpcError */
  async listen(): Promise<ListenAddress> {
    return await this.#server.listen();
  }

  /** Loads the service module anew on every thread; connections and calls under way stay. */
  async reload(): Promise<void> {
    await this.#server.reload();
  }

  /** What is done first when the server drains: leaving a registry. */
  beforeDrain(leave: Deregister): void {
    this.#deregister.push(leave);
  }

  /** Tells of every state of a drain as it is entered. */
  onDrainState(tell: (state: DrainState) => void): void {
    this.#onStates.push(tell);
  }

  /**
   * Goes away without losing a call: leaves the registry, waits for the news to spread, tells every client, refuses
   * new calls with RPC_SHUTTING_DOWN (surely not executed), finishes what runs, cuts what is left at the deadline.
   * Idempotent; a second call joins the first. @throws RpcError RPC_OPTION_INVALID naming one of `times`
   */
  close(times: DrainTimes = {}): Promise<DrainReport> {
    const propagateMs = times.propagateMs ?? (this.#deregister.length === 0 ? 0 : undefined);
    try {
      return this.#drain.run(propagateMs === undefined ? times : { ...times, propagateMs });
    } catch (error) {
      if (error instanceof RpcError) return Promise.reject(error);
      throw error;
    }
  }

  /** Cuts what is under way at once; a close that is going on ends quickly. */
  force(): Promise<DrainReport> {
    this.#drain.force();
    return this.close();
  }

  /** Connections and calls of every thread. Threads that do not answer are left out. */
  async figures(): Promise<ThreadFigures[]> {
    return this.#onThreads<ThreadFigures>('figures', undefined, TASK_TIMEOUT_MS);
  }

  async #onThreads<T>(task: ServerTask, payload: unknown, timeoutMs: number): Promise<T[]> {
    const answers: T[] = [];
    const { reactor } = this.#server;
    await reactor.onEveryThread(async (thread) => {
      const answer = await reactor.loop.call(thread, taskName(this.#spec.key, task), payload, { timeoutMs });
      answers.push(answer as T); // thread-servers.ts registers what answers so
    });
    return answers;
  }

  #hostData(services: URL | string): RpcHostData {
    const url = services instanceof URL ? services : new URL(services, `file://${process.cwd()}/`);
    return { spec: this.#spec, servicesUrl: url.href };
  }

  async #bindInline(
    loop: Parameters<RpcModule>[0],
  ): Promise<ReturnType<ReturnType<typeof threadServer>['handlers']>> {
    const services = this.#services as RpcModule | RpcApplication | readonly ServiceImplementation[]; // no module
    const server = threadServer(loop, this.#spec);
    server.bind(checkApplication(typeof services === 'function' ? await services(loop) : services));
    return server.handlers();
  }
}

/** What the listening half takes: everything that is not ours. */
function serverOptions(options: RpcServerOptions): Omit<TcpServerOptions, 'handlers'> {
  const { services: _services, tokens: _tokens, connectionAgeMs: _age, agent: _agent, ...rest } = options;
  return rest;
}

/** @throws RpcError RPC_OPTION_INVALID: an empty token would let everybody in under a name */
function checkTokens(tokens: unknown): void {
  const isRight =
    Array.isArray(tokens) &&
    tokens.every(
      (entry: Partial<TokenEntry> | null) =>
        typeof entry?.token === 'string' && entry.token !== '' && typeof entry.name === 'string',
    );
  if (!isRight) throw invalid('tokens must be a list of { token, name }, no token empty');
}

function invalid(message: string): RpcError {
  return new RpcError('RPC_OPTION_INVALID', message);
}
