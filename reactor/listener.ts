// One server's presence in a reactor: its service on every thread and its listening sockets.
// reactor.ts opens it, opens it again on every thread that restarts, and closes it.
// The descriptors stay ours while threads come and go, so newcomers wait in the kernel meanwhile.

import fs from 'node:fs/promises';

import type { Addon } from '../addon/index.js';
import { Acceptor, descriptorOf } from './acceptor.js';
import { ReactorError } from './errors.js';
import { type ListenAddress, type ListenTarget, openDescriptors } from './listening-socket.js';
import { THREAD_START_TIMEOUT_MS } from './limits.js';
import type { AcceptMode, Reactor } from './reactor.js';
import type { ServiceSpec } from './service.js';
import type { OccupancyLimits } from './shared-occupancy.js';
import { type ListenOrder, TASKS } from './sub-reactor.js';

export interface ListenerOptions {
  readonly target: ListenTarget;
  readonly limits: OccupancyLimits;
  /** Handlers given as values instead of a module; only without threads. */
  readonly application: unknown;
}

/** Added to a drain deadline for the answer itself. */
const ANSWER_GRACE_MS = 5000;

export class Listener {
  spec: ServiceSpec;
  address: ListenAddress = {};
  readonly #reactor: Reactor;
  readonly #options: ListenerOptions;
  readonly #mode: AcceptMode | 'inline' | 'node-reuseport';
  /** Listening descriptors we keep: one, or one per thread ('reuseport'). */
  #fds: readonly number[] = [];
  #acceptor: Acceptor | null = null;

  constructor(reactor: Reactor, options: ListenerOptions, spec: ServiceSpec) {
    this.#reactor = reactor;
    this.#options = options;
    this.spec = spec;
    if (reactor.inline !== null) this.#mode = 'inline';
    else if (reactor.addon === null) this.#mode = 'node-reuseport';
    else if (reactor.accept === 'reuseport' && !canReusePort(options.target)) this.#mode = 'shared';
    else this.#mode = reactor.accept;
  }

  /** Brings the service up on every thread, then accepts. @throws ReactorError */
  async open(): Promise<void> {
    const { inline, addon, threads } = this.#reactor;
    const { target } = this.#options;
    if (inline !== null) {
      await inline.addService(this.spec, this.#options.application);
    }
    if (addon !== null) {
      const opened = await openDescriptors(addon, target, this.#mode === 'reuseport' ? threads : 0);
      this.#fds = opened.fds;
      this.address = opened.address;
    }
    if (inline !== null) {
      const source = addon === null ? { target } : { fd: addon.dupFd(this.#fds[0]!) };
      const bound = await inline.listen({ serviceId: this.spec.id, source, limits: this.#options.limits });
      if (addon === null) this.address = bound as ListenAddress;
      return;
    }
    const up = this.#reactor.threadStatus.filter(({ state }) => state === 'up').map(({ thread }) => thread);
    if (this.#mode === 'node-reuseport') {
      for (const thread of up) await this.openOn(thread); // the first one picks the port
    } else {
      await Promise.all(up.map((thread) => this.openOn(thread)));
    }
    if (this.#mode === 'master') await this.#acceptOnMain(addon!);
  }

  /** Brings the service up on one thread, and accepting too where threads accept by themselves. */
  async openOn(thread: number): Promise<void> {
    const { loop } = this.#reactor;
    const options = { timeoutMs: THREAD_START_TIMEOUT_MS };
    await loop.call(thread, TASKS.addService, this.spec, options);
    if (this.#mode === 'master') return;
    const { limits } = this.#options;
    const source =
      this.#mode === 'node-reuseport' ? { target: this.#nodeTarget() } : { fd: this.#dupFor(thread) };
    const order: ListenOrder = { serviceId: this.spec.id, source, limits };
    const inode = 'fd' in source ? this.#reactor.addon!.socketInode(source.fd) : 0;
    try {
      const bound = (await loop.call(thread, TASKS.listen, order, options)) as ListenAddress;
      if (this.#mode === 'node-reuseport') this.address = bound;
    } catch (error) {
      // Lost on its way, the descriptor is still ours; taken over, it was closed by its thread.
      if ('fd' in source) this.#reactor.addon!.closeSocketIf(source.fd, inode);
      throw error;
    }
  }

  /** @throws ReactorError REACTOR_HANDLERS_INVALID */
  async reload(): Promise<void> {
    if (this.#options.application !== undefined) return; // given as values: there is no module to load anew
    const spec = { ...this.spec, version: this.spec.version + 1 };
    const { inline, loop } = this.#reactor;
    if (inline === null) {
      const up = this.#reactor.threadStatus.filter(({ state }) => state === 'up');
      await Promise.all(
        up.map(({ thread }) =>
          loop.call(thread, TASKS.reloadService, spec, { timeoutMs: THREAD_START_TIMEOUT_MS }),
        ),
      );
    } else {
      await inline.reloadService(spec);
    }
    this.spec = spec;
  }

  async stopAccepting(): Promise<void> {
    const { inline, loop } = this.#reactor;
    await this.#acceptor?.close();
    this.#acceptor = null;
    if (inline !== null) await inline.stopListening(this.spec.id);
    else if (this.#mode !== 'master') {
      await this.#reactor.onEveryThread((thread) => loop.call(thread, TASKS.stopListening, this.spec.id));
    }
    for (const fd of this.#fds) this.#reactor.addon!.closeFd(fd);
    this.#fds = [];
    const { path } = this.#options.target;
    if (path !== undefined && !path.startsWith('\0')) await fs.rm(path, { force: true });
  }

  /** Stops accepting and drains. Resolves to how many connections were cut off at the deadline. */
  async close(deadlineMs: number): Promise<number> {
    await this.stopAccepting();
    const { inline, loop } = this.#reactor;
    if (inline !== null) return await inline.removeService(this.spec.id, deadlineMs);
    let cut = 0;
    const order = { serviceId: this.spec.id, deadlineMs };
    await this.#reactor.onEveryThread(async (thread) => {
      const timeoutMs = deadlineMs + ANSWER_GRACE_MS;
      cut += (await loop.call(thread, TASKS.removeService, order, { timeoutMs })) as number;
    });
    return cut;
  }

  async #acceptOnMain(addon: Addon): Promise<void> {
    const { loop, counters, handOff } = this.#reactor;
    const source = { kind: 'descriptor', addon, fd: addon.dupFd(this.#fds[0]!) } as const;
    this.#acceptor = new Acceptor(loop, counters.row('main'), source, {
      accepted: (socket) => {
        const accepted = descriptorOf(socket);
        if (accepted === -1) return; // gone before it was seen
        const peer = { address: socket.remoteAddress, port: socket.remotePort };
        const fd = addon.dupFd(accepted);
        socket.destroy(); // our copy of the number; the connection lives on in `fd`
        handOff!.give(this.spec.id, fd, peer, this.#options.limits);
      },
      troubled: (error) => {
        counters.row('main').countError(error.code);
        this.#reactor.log('warn', error);
      },
    });
    await this.#acceptor.start();
  }

  #dupFor(thread: number): number {
    const fd = this.#fds[this.#mode === 'reuseport' ? thread : 0];
    if (fd === undefined) throw new ReactorError('REACTOR_CLOSED', 'the server has stopped listening');
    return this.#reactor.addon!.dupFd(fd);
  }

  #nodeTarget(): ListenTarget {
    const { port } = this.address;
    return { ...this.#options.target, ...(port === undefined ? {} : { port }), reusePort: true };
  }
}

function canReusePort(target: ListenTarget): boolean {
  return target.path === undefined && target.fd === undefined;
}
