// The worker node's tie to the main node: registers, beats, registers again when it has to, says good-bye.
// worker-node.ts says what is told of the node. A main node that is away is asked again for ever, in growing pauses; whether
// it still knows us it tells itself, and until then the work of this node goes on.

import { setTimeout as delay } from 'node:timers/promises';

import { Backoff, type Logger } from '../../reactor/index.js';
import { type Caller, type MessageInit, RpcError } from '../../rpc/index.js';
import { RenderError } from '../errors.js';
import {
  Code,
  EmulateClient,
  type NodeHeartBeat,
  type NodeInfo,
  type RegisterNodeRsp,
  type Serial,
} from '../proto/render.js';

export interface LinkEvents {
  /** Who this node is, asked at each registration. */
  info(): MessageInit<NodeInfo>;
  /** What it says in a beat, but for its serial. */
  beat(): MessageInit<NodeHeartBeat>;
  /** The main node does not know us any more: what it had given us is of nobody. Before the next registration. */
  onForgotten(): void;
}

const BACKOFF = { firstMs: 200, capMs: 5000 } as const;
const CALL_TIMEOUT_MS = 5000;
const GOODBYE_TIMEOUT_MS = 2000;
const HEARTBEAT_MS_MIN = 10;
const HEARTBEAT_MS_MAX = 60_000;

export class MainLink {
  readonly #logger: Logger;
  readonly #emulate: EmulateClient;
  readonly #events: LinkEvents;
  readonly #backoff: Backoff;
  readonly #stopping = new AbortController();
  #serial: Serial | null = null;
  #heartbeatMs = 1000;
  #wake: AbortController | null = null;
  #running: Promise<void> = Promise.resolve();
  #registrations = 0;
  #isAway = false;

  constructor(logger: Logger, caller: Caller, random: () => number, events: LinkEvents) {
    this.#logger = logger;
    this.#emulate = new EmulateClient(caller);
    this.#events = events;
    this.#backoff = new Backoff(random, BACKOFF);
  }

  /** As the main node knows us; null while it does not. */
  get serial(): Serial | null {
    return this.#serial;
  }

  get registrations(): number {
    return this.#registrations;
  }

  /** The main node answered last time. */
  get isConnected(): boolean {
    return this.#serial !== null && !this.#isAway;
  }

  /**
   * Resolves once it is registered for the first time; beats go on from there.
   * @throws RenderError (as rejection) RENDER_UNAUTHORIZED, RENDER_VERSION_MISMATCH: it will never be taken;
   *   RENDER_CLOSED: `signal` or `stop` came first.
   */
  async start(signal: AbortSignal): Promise<void> {
    const stop = (): void => this.#halt();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    await this.#register(true);
    signal.removeEventListener('abort', stop);
    if (this.#serial === null) throw new RenderError('RENDER_CLOSED', 'stopped before it was registered');
    this.#running = this.#run();
  }

  /** Something changed that the main node should know now. */
  beatNow(): void {
    this.#wake?.abort();
  }

  /** No more beats; the main node is told, if it can be. */
  async stop(): Promise<void> {
    this.#halt();
    await this.#running;
    const serial = this.#serial;
    this.#serial = null;
    if (serial === null) return;
    try {
      await this.#emulate.unRegisterNode(serial, { timeoutMs: GOODBYE_TIMEOUT_MS });
    } catch (error) {
      this.#logger.warn({ err: error }, 'the main node was not told that this node goes; it will notice');
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let waitMs = this.#heartbeatMs;
    for (;;) {
      await this.#pause(waitMs);
      if (signal.aborted) return;
      if (this.#serial === null) await this.#register(false);
      else await this.#beat(this.#serial);
      waitMs = this.#isAway ? this.#backoff.nextDelayMs() : this.#heartbeatMs;
    }
  }

  async #beat(serial: Serial): Promise<void> {
    try {
      const beat = { ...this.#events.beat(), serial };
      const { code, message } = await this.#emulate.heartBeatNode(beat, this.#callOptions());
      this.#reached();
      if (code === Code.OK) return;
      if (code !== Code.UNAUTHORIZED) {
        this.#logger.warn({ code }, `the main node answers a beat: ${message}`);
        return;
      }
    } catch (error) {
      return this.#missed(error);
    }
    this.#logger.warn({}, 'the main node does not know this node any more: it registers again');
    this.#serial = null;
    this.#events.onForgotten();
    await this.#register(false);
  }

  /** Until it is registered, or stopped. */
  async #register(isFirst: boolean): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        const answer = await this.#emulate.registerNode(this.#events.info(), this.#callOptions());
        this.#reached();
        if (this.#accept(answer)) return;
        const { code = Code.INTERNAL, message = '' } = answer.status ?? {};
        const isFinal = code === Code.UNAUTHORIZED || code === Code.VERSION_MISMATCH;
        if (isFirst && isFinal) {
          const kind = code === Code.UNAUTHORIZED ? 'RENDER_UNAUTHORIZED' : 'RENDER_VERSION_MISMATCH';
          throw new RenderError(kind, `the main node does not take this node: ${message}`);
        }
        this.#logger.warn({ code }, `the main node does not take this node: ${message}`);
      } catch (error) {
        if (error instanceof RenderError) throw error;
        if (isFirst && error instanceof RpcError && error.status === 'UNAUTHENTICATED')
          throw new RenderError('RENDER_UNAUTHORIZED', error.message, { cause: error });
        this.#missed(error);
      }
      await this.#pause(this.#backoff.nextDelayMs());
    }
  }

  #accept({ status, serial, heartbeatMs }: RegisterNodeRsp): boolean {
    if ((status?.code ?? Code.OK) !== Code.OK || serial === undefined) return false;
    this.#serial = serial;
    if (heartbeatMs > 0)
      this.#heartbeatMs = Math.min(HEARTBEAT_MS_MAX, Math.max(HEARTBEAT_MS_MIN, heartbeatMs));
    this.#registrations += 1;
    this.#backoff.reset();
    this.#logger.info({ serial: serial.serial }, 'registered at the main node');
    return true;
  }

  #reached(): void {
    if (this.#isAway) this.#logger.info({}, 'the main node is there again');
    this.#isAway = false;
    if (this.#serial !== null) this.#backoff.reset();
  }

  /** Told once, until it is there again. */
  #missed(error: unknown): void {
    if (!(error instanceof RpcError)) throw error;
    if (this.#stopping.signal.aborted) return;
    if (!this.#isAway)
      this.#logger.warn({ code: error.code }, `the main node cannot be reached: ${error.message}`);
    this.#isAway = true;
  }

  /** A beat that takes longer than two intervals is as good as none. */
  #callOptions(): { timeoutMs: number; signal: AbortSignal } {
    const timeoutMs =
      this.#serial === null
        ? CALL_TIMEOUT_MS
        : Math.min(CALL_TIMEOUT_MS, Math.max(1000, 2 * this.#heartbeatMs));
    return { timeoutMs, signal: this.#stopping.signal };
  }

  async #pause(ms: number): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    const wake = new AbortController();
    this.#wake = wake;
    await delay(ms, undefined, { signal: wake.signal }).catch(() => {}); // woken: it is over early
    this.#wake = null;
  }

  #halt(): void {
    this.#stopping.abort();
    this.#wake?.abort();
  }
}
