// The Redis protocol on a port of this member: takes connections and gives each a RespClient.
// kv-server.ts has one beside the RPC port; tests run one on a backend without a log. Everything is on the calling thread,
// because that is where the machine is.

import {
  type Connection,
  formatAddress,
  type EventLoop,
  type Handlers,
  type ListenAddress,
  type Logger,
  TcpServer,
  type TimerHandle,
} from '../../reactor/index.js';
import type { Backend } from '../backend.js';
import { ItemWriter } from '../machine/batch.js';
import type { AccessList } from './access-list.js';
import type { CommandStats } from './command-stats.js';
import { CommandSet } from './command-set.js';
import { TOO_MANY_CLIENTS } from './error-replies.js';
import { InputBudget } from './input-buffer.js';
import { localCommands } from './local/index.js';
import { RespClient } from './resp-client.js';
import { CLIENTS_MAX, RespConfig } from './resp-config.js';
import { RespFigures } from './resp-figures.js';
import { type RespServerOptions, type RespSettings, resolveRespOptions } from './resp-options.js';
import type { RespShared } from './resp-shared.js';
import { SlowLog } from './slow-log.js';
import { Subscriptions } from './subscriptions.js';

/** How often clients are looked at for a deadline that has passed. */
const SWEEP_MS = 1000;
/** Connections that may be told that they are too many. */
const REFUSED_MAX = 1000;
/** What is left of connections after a drain is given up quickly: everything was answered. */
const CLOSE_TIMEOUT_MS = 1000;

/** Counts, and how things are now. */
export type RespSnapshot = Readonly<Omit<RespFigures, 'reset'>> & {
  readonly clients: number;
  /** Memory for requests that wait or are not whole. */
  readonly inputBytes: number;
};

export class RespServer {
  readonly #settings: RespSettings;
  readonly #backend: Backend;
  readonly #logger: Logger | null;
  readonly #server: TcpServer;
  #shared: RespShared | null = null;
  #endPublish: (() => void) | null = null;
  #sweep: TimerHandle | null = null;
  #nextId = 1;
  #isDraining = false;
  #whenEmpty: (() => void) | null = null;

  /** Starts nothing yet. @throws KvError KV_OPTION_INVALID; ReactorError REACTOR_OPTION_INVALID, REACTOR_UNSUPPORTED */
  constructor(backend: Backend, logger: Logger | null, options: RespServerOptions = {}) {
    const settings = resolveRespOptions(options);
    const { host, port, tls, transport, outputBytesMax } = settings;
    this.#settings = settings;
    this.#backend = backend;
    this.#logger = logger;
    this.#server = new TcpServer({
      threads: 0,
      transport,
      port,
      ...(host === undefined ? {} : { host }),
      ...(tls === undefined ? {} : { tls }),
      ...(logger === null ? {} : { logger }),
      codec: { kind: 'raw' },
      allowHalfOpen: true,
      hardCapBytes: outputBytesMax,
      firstByteTimeoutMs: 0, // pools connect ahead; CONFIG SET timeout is for those who want it
      connectionsMax: CLIENTS_MAX + REFUSED_MAX,
      connectionsPerThreadMax: CLIENTS_MAX + REFUSED_MAX,
      connectionsPerAddressMax: CLIENTS_MAX + REFUSED_MAX,
      handlers: (loop) => this.#handlers(loop),
    });
  }

  /** Where it listens; only after `listen`. @throws ReactorError REACTOR_CLOSED */
  get address(): ListenAddress {
    return this.#server.address;
  }

  /** How its connections travel. */
  get transport(): string {
    return this.#settings.transport;
  }

  get reactor(): TcpServer['reactor'] {
    return this.#server.reactor;
  }

  get clientCount(): number {
    return this.#shared?.clients.size ?? 0;
  }

  /** Counts since it started, or since CONFIG RESETSTAT. */
  figures(): RespSnapshot {
    const figures = this.#shared?.figures ?? new RespFigures();
    const inputBytes = this.#shared?.budget.bytes ?? 0;
    return Object.assign({ clients: this.clientCount, inputBytes }, figures);
  }

  /** Calls and microseconds of the commands that were called, for metrics. */
  commandFigures(): { name: string; stats: Readonly<CommandStats> }[] {
    const commands = [...(this.#shared?.commands.all.values() ?? [])];
    return commands.filter(({ stats }) => stats.calls > 0).map(({ name, stats }) => ({ name, stats }));
  }

  /** Resolves once clients are taken. @throws ReactorError as TcpServer.listen does */
  async listen(): Promise<ListenAddress> {
    const address = await this.#server.listen();
    this.#logger?.info(
      { address: formatAddress(address), transport: this.transport },
      'clients of Redis are taken',
    );
    return address;
  }

  /** Other users from here on: clients keep theirs in its new form, or are cut if it is gone. */
  setAccess(access: AccessList): void {
    const shared = this.#shared;
    if (shared === null) return;
    shared.access = access;
    for (const client of shared.clients.values()) {
      if (client.user === null) continue;
      const renewed = access.users.get(client.user.name);
      if (renewed === undefined || !renewed.isEnabled) client.cut();
      else client.become(renewed);
    }
  }

  /**
   * Takes no further clients and commands, answers those under way, and ends; what is left at the deadline is cut.
   * `drained` is false when something was.
   */
  async close(drainTimeoutMs: number = 10_000): Promise<{ drained: boolean }> {
    this.#isDraining = true;
    await this.#server.stopAccepting();
    const shared = this.#shared;
    let drained = true;
    if (shared !== null) {
      drained = await this.#drain(shared, drainTimeoutMs);
      if (this.#sweep !== null) shared.loop.cancel(this.#sweep);
      this.#endPublish?.();
      this.#endPublish = null;
    }
    await this.#server.close({ drainTimeoutMs: CLOSE_TIMEOUT_MS });
    return { drained };
  }

  /** Resolves to false when clients had work under way at the deadline. */
  #drain({ clients, loop }: RespShared, timeoutMs: number): Promise<boolean> {
    for (const client of clients.values()) client.finish();
    if (clients.size === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const done = (): void => {
        loop.cancel(timer);
        this.#whenEmpty = null;
        const isBusy = [...clients.values()].some((client) => client.isBusy);
        for (const client of clients.values()) client.cut();
        resolve(!isBusy);
      };
      const timer = loop.runAfter(timeoutMs, done);
      this.#whenEmpty = done;
    });
  }

  #handlers(loop: EventLoop): Handlers {
    const shared = this.#share(loop);
    this.#shared = shared;
    this.#endPublish = this.#backend.onPublish((channel, message) => {
      shared.figures.messagesPublished += 1;
      return shared.subscriptions.publish(channel, message);
    });
    this.#sweep = loop.runEvery(SWEEP_MS, () => this.#sweepClients(shared));
    return {
      onConnect: (connection) => this.#connected(shared, connection),
      onFrame: (connection, frame) => {
        shared.figures.bytesReceived += frame.bodyBytes;
        clientOf(connection)?.receive(frame.body);
      },
      onDrain: (connection) => clientOf(connection)?.drained(),
      onHalfClose: (connection) => {
        const client = clientOf(connection);
        if (client === undefined) connection.end();
        else client.halfClosed();
      },
      onClose: (connection) => {
        const client = clientOf(connection);
        if (client === undefined) return;
        client.closed();
        shared.clients.delete(client.id);
        if (shared.clients.size === 0) this.#whenEmpty?.();
      },
    };
  }

  #connected(shared: RespShared, connection: Connection): void {
    const { clients, figures, config } = shared;
    if (this.#isDraining || clients.size >= config.clientsMax) {
      figures.connectionsRefused += 1;
      if (!this.#isDraining) connection.write(`-${TOO_MANY_CLIENTS.text}\r\n`);
      connection.end();
      return;
    }
    figures.connections += 1;
    const client = new RespClient(this.#nextId, connection, shared);
    this.#nextId += 1;
    connection.context = client;
    clients.set(client.id, client);
  }

  #share(loop: EventLoop): RespShared {
    const settings = this.#settings;
    const server = this.#server;
    const logger = this.#logger;
    const figures = new RespFigures();
    const toFlush = new Set<RespClient>();
    const flushAll = (): void => {
      for (const client of toFlush) client.flush();
      toFlush.clear();
    };
    return {
      backend: this.#backend,
      loop,
      commands: new CommandSet(localCommands),
      clients: new Map(),
      subscriptions: new Subscriptions(),
      config: new RespConfig(settings.clientsMax, settings.idleSeconds),
      slowLog: new SlowLog(),
      figures,
      limits: { ...settings, bulkBytesMax: settings.requestBytesMax },
      budget: new InputBudget(settings.inputBytesMax),
      held: new InputBudget(settings.inputBytesMax),
      items: new ItemWriter(),
      startedMs: Date.now(),
      get port() {
        return server.address.port ?? 0;
      },
      admin: settings.admin,
      access: settings.access,
      lastSaveSeconds: Math.floor(Date.now() / 1000),
      flushSoon(client) {
        if (toFlush.size === 0) queueMicrotask(flushAll);
        toFlush.add(client);
      },
      reportDefect(error) {
        figures.defects += 1;
        logger?.error({ err: error }, 'a command of the RESP server failed');
      },
    };
  }

  /** Ends clients whose time is over. */
  #sweepClients(shared: RespShared): void {
    const { nowMs } = shared.loop;
    const { requestTimeoutMs, authTimeoutMs } = this.#settings;
    const idleMs = shared.config.idleSeconds * 1000;
    for (const client of shared.clients.values()) {
      const silentMs = nowMs - client.lastInputMs;
      if (client.behindSinceMs > 0 && nowMs - client.behindSinceMs >= shared.limits.subscriberSoftMs) {
        shared.figures.clientsCut += 1;
        client.cut();
      } else if (client.isBusy) {
        continue; // what is under way has a deadline of its own
      } else if (client.partialSinceMs > 0 && nowMs - client.partialSinceMs >= requestTimeoutMs) {
        client.fail('ERR Protocol error: the request did not come to its end in time');
      } else if (client.user === null && silentMs >= authTimeoutMs) {
        shared.figures.clientsIdle += 1;
        client.finish();
      } else if (idleMs > 0 && silentMs >= idleMs && !client.isSubscribed) {
        shared.figures.clientsIdle += 1;
        client.finish();
      }
    }
  }
}

/** undefined: it was refused. */
function clientOf(connection: Connection): RespClient | undefined {
  return connection.context as RespClient | undefined; // #connected put it there
}
