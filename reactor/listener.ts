// One server's presence in a reactor: its service on every thread and its listening sockets.
// reactor.ts opens it, opens it again on every thread that restarts, and closes it.
// The descriptors stay ours while threads come and go, so newcomers wait in the kernel meanwhile.

import type net from 'node:net';

import type { Addon } from '../addon/index.js';
import { type Accepting, Acceptor, descriptorOf, type SharedListener } from './acceptor.js';
import type { PeerAddress } from './dispatch.js';
import { EpollAcceptor } from './epoll-acceptor.js';
import { ReactorError } from './errors.js';
import {
  type ListenAddress,
  type ListenTarget,
  openDescriptors,
  removeSocketFile,
  reservePort,
  type SocketFile,
} from './listening-socket.js';
import { THREAD_START_TIMEOUT_MS } from './limits.js';
import type { AcceptMode } from './reactor-options.js';
import type { Reactor } from './reactor.js';
import type { ServiceSpec } from './service.js';
import type { OccupancyLimits } from './shared-occupancy.js';
import { type ListenOrder, TASKS } from './sub-reactor.js';

export interface ListenerOptions {
  readonly target: ListenTarget;
  readonly limits: OccupancyLimits;
  /** Handlers given as values instead of a module; only without threads. */
  readonly application: unknown;
}

/**
 * Who accepts here: the reactor's mode; 'inline' without threads; and without the addon, where no
 * descriptor can be shared, every thread through Node's own SO_REUSEPORT, or thread 0 alone.
 */
type Mode = AcceptMode | 'inline' | 'node-reuseport' | 'node-single';

/** Added to a drain deadline for the last FINs and the answer itself. */
const ANSWER_GRACE_MS = 3000;
/** A thread that is busy for longer stops accepting when it gets to it; nobody waits for that. */
const STOP_TIMEOUT_MS = 1000;
const START_OPTIONS = { timeoutMs: THREAD_START_TIMEOUT_MS };

export class Listener {
  spec: ServiceSpec;
  address: ListenAddress = {};
  readonly #reactor: Reactor;
  readonly #options: ListenerOptions;
  readonly #mode: Mode;
  /** Listening sockets we keep: one, or one per thread ('reuseport'). */
  #sockets: readonly SharedListener[] = [];
  #socketFile: SocketFile | null = null;
  #acceptor: Accepting | null = null;
  /** Version of the code on each thread that has the service. */
  readonly #versions = new Map<number, number>();
  /** Reloads asked for; every attempt is a version of its own, since Node remembers a failed import too. */
  #reloads = 0;
  #reloading: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | null = null;

  constructor(reactor: Reactor, options: ListenerOptions, spec: ServiceSpec) {
    this.#reactor = reactor;
    this.#options = options;
    this.spec = spec;
    const isShareable = canReusePort(options.target);
    if (reactor.inline !== null) this.#mode = 'inline';
    else if (reactor.addon === null) this.#mode = isShareable ? 'node-reuseport' : 'node-single';
    else if (reactor.accept === 'reuseport' && !isShareable) this.#mode = 'shared';
    else this.#mode = reactor.accept;
  }

  /** Opens the listening sockets; newcomers wait in the kernel. @throws ReactorError */
  async bind(): Promise<void> {
    const { addon, threads } = this.#reactor;
    const { target } = this.#options;
    if (addon === null) {
      if (this.#mode === 'node-reuseport') this.address = await reservePort(target);
      return;
    }
    const opened = await openDescriptors(addon, target, this.#mode === 'reuseport' ? threads : 0);
    const { backlog } = target;
    this.#sockets = opened.fds.map((fd) => ({ fd, inode: addon.socketInode(fd), backlog }));
    this.#socketFile = opened.socketFile;
    this.address = opened.address;
    // A descriptor given by number says only now what it is.
    this.spec = { ...this.spec, isUnix: opened.address.path !== undefined };
  }

  /**
   * Brings the service up on every thread that is up now, then accepts. Threads that start later bring it up
   * themselves, as they do when they are lost meanwhile. @throws ReactorError
   */
  async open(): Promise<void> {
    const { inline, addon } = this.#reactor;
    if (inline !== null) {
      await inline.addService(this.spec, this.#options.application);
      const bound = await inline.listen(this.#listenOrder(0));
      if (addon === null) this.address = bound;
      return;
    }
    const up = this.#reactor.threadsUp;
    const results = await Promise.allSettled(up.map((thread) => this.openOn(thread)));
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    const failure = failures.find((error) => !isThreadLost(error));
    if (failure !== undefined) throw failure;
    if (up.length > 0 && failures.length === up.length) throw failures[0]; // the module takes its thread along
    if (this.#mode === 'master') await this.#acceptOnMain(addon!);
  }

  /** Whether the thread has the service in its present version. */
  isOpenOn(thread: number): boolean {
    return this.#versions.get(thread) === this.spec.version;
  }

  /** Brings the service up on one thread, accepting too where threads accept by themselves; or up to date. */
  async openOn(thread: number): Promise<void> {
    const { loop } = this.#reactor;
    const { spec } = this;
    if (this.#versions.has(thread)) {
      await this.#reloadOn(thread, spec);
      return;
    }
    await loop.call(thread, TASKS.addService, spec, START_OPTIONS);
    const isAccepting = this.#mode === 'node-single' ? thread === 0 : this.#mode !== 'master';
    if (isAccepting) {
      const bound = await loop.call(thread, TASKS.listen, this.#listenOrder(thread), START_OPTIONS);
      if (this.#mode === 'node-single') this.address = bound as ListenAddress;
    }
    this.#versions.set(thread, spec.version);
  }

  /** The thread has ended; its successor starts from nothing. */
  forget(thread: number): void {
    this.#versions.delete(thread);
  }

  /**
   * One reload at a time, in the order they were asked for.
   * @throws ReactorError REACTOR_HANDLERS_INVALID: every thread that could not load the new code keeps its old.
   */
  reload(): Promise<void> {
    const reloaded = this.#reloading.then(() => this.#reload());
    this.#reloading = reloaded.catch(() => {}); // whoever asked is told; the next one starts afresh
    return reloaded;
  }

  /** Idempotent. */
  stopAccepting(): Promise<void> {
    this.#stopped ??= this.#stopAccepting();
    return this.#stopped;
  }

  /** Stops accepting and drains. Resolves to how many connections were cut off at the deadline. */
  async close(deadlineMs: number): Promise<number> {
    await this.stopAccepting();
    const { inline } = this.#reactor;
    if (inline !== null) return await inline.removeService(this.spec.id, deadlineMs);
    const cuts = await Promise.all(this.#reactor.threadsUp.map((thread) => this.closeOn(thread, deadlineMs)));
    return cuts.reduce((sum, cut) => sum + cut, 0);
  }

  /** Drains one thread's connections. A thread that is lost or does not answer cuts off all it has. */
  async closeOn(thread: number, deadlineMs: number): Promise<number> {
    const { loop, occupancy } = this.#reactor;
    const connections = occupancy.openOn(thread);
    const order = { serviceId: this.spec.id, deadlineMs };
    try {
      return (await loop.call(thread, TASKS.removeService, order, {
        timeoutMs: deadlineMs + ANSWER_GRACE_MS,
      })) as number;
    } catch (error) {
      this.#reactor.log('warn', error, { thread });
      return connections;
    }
  }

  async #stopAccepting(): Promise<void> {
    const { inline, loop } = this.#reactor;
    this.#acceptor?.close();
    this.#acceptor = null;
    inline?.stopListening(this.spec.id);
    if (inline === null && this.#mode !== 'master') {
      const options = { timeoutMs: STOP_TIMEOUT_MS };
      await this.#reactor.onEveryThread((thread) =>
        loop.call(thread, TASKS.stopListening, this.spec.id, options),
      );
    }
    const sockets = this.#sockets;
    const socketFile = this.#socketFile;
    this.#sockets = [];
    this.#socketFile = null;
    for (const { fd } of sockets) this.#reactor.addon!.closeFd(fd);
    if (socketFile !== null) await removeSocketFile(socketFile);
  }

  async #reload(): Promise<void> {
    if (this.#options.application !== undefined) return; // given as values: there is no module to load anew
    this.#reloads += 1;
    const spec = { ...this.spec, version: this.#reloads };
    const { inline } = this.#reactor;
    if (inline !== null) {
      await inline.reloadService(spec);
      this.spec = spec;
      return;
    }
    await this.#reloadAll(this.#reactor.threadsUp, spec);
    this.spec = spec;
    // Threads that came up meanwhile did so with the code before.
    await this.#reloadAll(
      this.#reactor.threadsUp.filter((thread) => this.#versions.has(thread) && !this.isOpenOn(thread)),
      spec,
    );
  }

  async #reloadAll(threads: readonly number[], spec: ServiceSpec): Promise<void> {
    const results = await Promise.allSettled(threads.map((thread) => this.#reloadOn(thread, spec)));
    for (const result of results) {
      // A thread that is lost starts again with whatever code is the present one then.
      if (result.status === 'rejected' && !isThreadLost(result.reason)) throw result.reason;
    }
  }

  async #reloadOn(thread: number, spec: ServiceSpec): Promise<void> {
    await this.#reactor.loop.call(thread, TASKS.reloadService, spec, START_OPTIONS);
    this.#versions.set(thread, spec.version);
  }

  async #acceptOnMain(addon: Addon): Promise<void> {
    const { acceptTransport, loop, counters } = this.#reactor;
    const listener = this.#socketFor(0);
    const troubled = (error: ReactorError): void => this.#reactor.troubled(error);
    const isFull = (): boolean => this.#reactor.handOff!.isCrowded;
    if (acceptTransport === null) {
      const accepted = (socket: net.Socket): void => this.#giveSocket(addon, socket);
      const source = { kind: 'descriptor', addon, listener } as const;
      this.#acceptor = new Acceptor(loop, counters.row('main'), source, { accepted, isFull, troubled });
    } else {
      const source = { addon, transport: acceptTransport, listener, isShared: false };
      const accepted = (slot: number): void => {
        const peer = acceptTransport.peerOf(slot);
        this.#give(acceptTransport.release(slot), peer);
      };
      this.#acceptor = new EpollAcceptor(loop, counters.row('main'), source, { accepted, isFull, troubled });
    }
    await this.#acceptor.start();
  }

  #giveSocket(addon: Addon, socket: net.Socket): void {
    const accepted = descriptorOf(socket);
    if (accepted === -1) return; // gone before it was seen
    const peer = { address: socket.remoteAddress, port: socket.remotePort };
    const fd = addon.dupFd(accepted);
    socket.destroy(); // our copy of the number; the connection lives on in `fd`
    this.#give(fd, peer);
  }

  #give(fd: number, peer: PeerAddress): void {
    this.#reactor.handOff!.give(this.spec.id, fd, peer, this.#options.limits);
  }

  #listenOrder(thread: number): ListenOrder {
    const { limits, target } = this.#options;
    const order = { serviceId: this.spec.id, limits, isShared: this.#mode === 'shared' };
    if (this.#reactor.addon !== null) return { ...order, source: this.#socketFor(thread) };
    if (this.#mode !== 'node-reuseport') return { ...order, source: { target } };
    const { port } = this.address;
    return { ...order, source: { target: { ...target, port, reusePort: true } } };
  }

  /** @throws ReactorError REACTOR_CLOSED */
  #socketFor(thread: number): SharedListener {
    const socket = this.#sockets[this.#mode === 'reuseport' ? thread : 0];
    if (socket === undefined) throw new ReactorError('REACTOR_CLOSED', 'the server has stopped listening');
    return socket;
  }
}

function canReusePort(target: ListenTarget): boolean {
  return target.path === undefined && target.fd === undefined;
}

function isThreadLost(error: unknown): boolean {
  return error instanceof ReactorError && error.code === 'REACTOR_THREAD_LOST';
}
