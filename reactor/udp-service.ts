// A UDP server's share of one thread: loads the handlers, opens the socket, answers to tasks of the main thread.
// udp-server.worker.ts makes one in each worker; with threads: 0 udp-server.ts makes it on the calling thread.

import assert from 'node:assert/strict';

import { loadAddon, requireAddon } from '../addon/index.js';
import type { UdpSocketOptions } from './datagram-port.js';
import type { EventLoop } from './event-loop.js';
import { loadHandlers } from './handler-module.js';
import { UdpSocket, type UdpStats } from './udp-socket.js';

/** Crosses to the thread, so plain data only. */
export interface UdpSpec {
  readonly handlersUrl: string;
  /** Counts reloads; the module is imported anew for every version. */
  readonly version: number;
  /** Numeric. */
  readonly host: string;
  readonly port: number;
  readonly ipv6Only: boolean;
  /** Share the port with the other threads' sockets; needs the addon. */
  readonly reusePort: boolean;
  /** A bound descriptor, which becomes the thread's. */
  readonly fd: number | null;
  readonly options: UdpSocketOptions;
}

export interface UdpAddress {
  readonly host: string;
  readonly port: number;
}

export const UDP_TASKS = {
  open: 'udp.open',
  reload: 'udp.reload',
  stats: 'udp.stats',
  close: 'udp.close',
  trouble: 'udp.trouble',
} as const;

export class UdpService {
  readonly #loop: EventLoop;
  #socket: UdpSocket | null = null;

  constructor(loop: EventLoop) {
    this.#loop = loop;
    loop.register(UDP_TASKS.open, (spec) => this.open(spec as UdpSpec));
    loop.register(UDP_TASKS.reload, (spec) => this.reload(spec as UdpSpec));
    loop.register(UDP_TASKS.stats, () => this.stats());
    loop.register(UDP_TASKS.close, (deadlineMs) => this.close(deadlineMs as number));
  }

  /**
   * `handlers` is given instead of a module when the calling thread serves.
   * @throws ReactorError REACTOR_HANDLERS_INVALID, REACTOR_PORT_IN_USE, REACTOR_LISTEN_FAILED, REACTOR_ADDON_MISSING
   */
  async open(spec: UdpSpec, handlers?: unknown): Promise<UdpAddress> {
    assert(this.#socket === null);
    const { host, port, ipv6Only, reusePort } = spec;
    const socket = await this.#prepare(spec, handlers);
    const fd = reusePort ? requireAddon().bindUdp({ host, port, ipv6Only, reusePort }).fd : spec.fd;
    await socket.bind({ host, port, ipv6Only, fd });
    this.#socket = socket;
    return this.#socket.address;
  }

  /** Imports the user's code anew. @throws ReactorError REACTOR_HANDLERS_INVALID: the old code stays. */
  async reload(spec: UdpSpec): Promise<void> {
    assert(this.#socket !== null);
    this.#socket.replaceHandlers(await loadHandlers(this.#loop, spec));
  }

  /** A socket to bind; when there is none to be had, the descriptor meant for it is closed. */
  async #prepare(spec: UdpSpec, handlers: unknown): Promise<UdpSocket> {
    try {
      return new UdpSocket(handlers ?? (await loadHandlers(this.#loop, spec)), spec.options);
    } catch (error) {
      if (spec.fd !== null) loadAddon()?.closeFd(spec.fd); // without the addon it is the user's own
      throw error;
    }
  }

  stats(): UdpStats {
    assert(this.#socket !== null);
    return this.#socket.stats;
  }

  /** Resolves to whether everything under way was finished in time. */
  async close(deadlineMs: number): Promise<boolean> {
    return (await this.#socket?.close(deadlineMs)) ?? true;
  }
}
