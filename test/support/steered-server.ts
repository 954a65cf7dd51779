// Servers whose threads a test can hold, end and count, and a view of this process's descriptors.
// The code on their threads is test/reactor/fixtures/steered-handlers.ts.

import { readdirSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { setEnvironmentData, type Worker } from 'node:worker_threads';
import { loadAddon } from '../../addon/index.js';
import {
  type ListenAddress,
  TcpServer,
  type TcpServerOptions,
  type TransportName,
} from '../../reactor/index.js';
import { GATE } from '../reactor/fixtures/steered-handlers.js';
import { TlvClient } from './tlv.js';
import { until } from './until.js';

export const STEERED_HANDLERS: URL = new URL('../reactor/fixtures/steered-handlers.js', import.meta.url);
export const STEERED_HTTP: Readonly<Record<TransportName, URL>> = {
  net: new URL('../reactor/fixtures/steered-http.js', import.meta.url),
  epoll: new URL('../reactor/fixtures/steered-http1.js', import.meta.url),
};

/** Restarts at once, so that tests need not wait. */
const NO_BACKOFF = { firstMs: 0, capMs: 0 };

const gate = new Int32Array(new SharedArrayBuffer(8));
setEnvironmentData(GATE, gate.buffer);

export class SteeredServer {
  readonly server: TcpServer;
  readonly #workers: Worker[] = [];
  /** Threads whose worker is about to start, in that order; nothing else may start one meanwhile. */
  readonly #starting: number[];

  constructor(options: Omit<TcpServerOptions, 'handlers'>) {
    const where = options.path === undefined && options.fd === undefined ? { host: '127.0.0.1' } : {};
    this.server = new TcpServer({
      restartBackoff: NO_BACKOFF,
      ...where,
      ...options,
      handlers: STEERED_HANDLERS,
    });
    this.#starting = this.server.reactor.threadStatus.map(({ thread }) => thread);
    process.on('worker', this.#onWorker);
  }

  get address(): ListenAddress {
    return this.server.address;
  }

  get where(): string {
    return addressOf(this.server.address);
  }

  connect(): Promise<TlvClient> {
    return TlvClient.connect(this.where);
  }

  /** One thread ends; resolves once the reactor knows. */
  async endThread(thread: number, how: 'throw' | 'reject' | 'exit'): Promise<void> {
    const before = this.restarts(thread);
    this.#starting.push(thread);
    this.server.reactor.loop.post(thread, 'end-thread', how);
    await until(() => this.restarts(thread) > before);
  }

  /** Ends a thread from outside, whatever it is doing; resolves once the reactor knows. */
  async terminate(thread: number): Promise<void> {
    this.#starting.push(thread);
    await this.#workers[thread]!.terminate();
  }

  restarts(thread: number): number {
    return this.server.reactor.threadStatus[thread]!.restarts;
  }

  async allUp(): Promise<void> {
    await until(() => this.server.reactor.threadStatus.every(({ state }) => state === 'up'));
  }

  /** Cuts off whatever is left. */
  async close(): Promise<void> {
    process.off('worker', this.#onWorker);
    await this.server.close({ drainTimeoutMs: 0 });
  }

  readonly #onWorker = (worker: Worker): void => {
    const thread = this.#starting.shift();
    if (thread !== undefined) this.#workers[thread] = worker;
  };
}

/** Listens until the test ends. */
export async function serveSteered(
  t: TestContext,
  options: Omit<TcpServerOptions, 'handlers'>,
): Promise<SteeredServer> {
  const steered = new SteeredServer(options);
  t.after(() => steered.close());
  await steered.server.listen();
  return steered;
}

export function addressOf(address: ListenAddress): string {
  return address.path ?? `${address.host}:${address.port}`;
}

/** The number of the thread that serves this client. */
export async function threadOf(client: TlvClient): Promise<number> {
  return Number((await client.ask(2, '')).body.toString());
}

/** Closes the gate at which message 6 stops a thread. */
export function closeGate(): void {
  Atomics.store(gate, 0, 0);
  Atomics.store(gate, 1, 0);
}

export function openGate(): void {
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
}

export function stoppedThreads(): number {
  return Atomics.load(gate, 1);
}

export function openDescriptors(): number[] {
  return readdirSync('/proc/self/fd').map(Number);
}

/** Descriptors of established connections on the server's side, that is bound to `port`. */
export function serverSideDescriptors(port: number): number[] {
  const addon = loadAddon()!;
  return openDescriptors().filter((fd) => {
    try {
      const address = addon.localAddress(fd);
      return 'port' in address && address.port === port && addon.tcpInfo(fd).state === 'established';
    } catch {
      return false; // no socket, or closed since it was listed
    }
  });
}
