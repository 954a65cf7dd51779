// One thread's share of the reactor: its services, the connections they own, and the tasks that steer them.
// Runs in a worker (sub-reactor.worker.ts) or, with threads: 0, on the calling thread (reactor.ts).
// The main reactor talks to it by named tasks only, so both cases are one.

import net from 'node:net';

import { type Addon, loadAddon } from '../addon/index.js';
import {
  type Accepting,
  Acceptor,
  type AcceptorSource,
  descriptorOf,
  type SharedListener,
} from './acceptor.js';
import { errorToWire, ReactorError, type ReactorErrorCode } from './errors.js';
import { EpollAcceptor } from './epoll-acceptor.js';
import type { EpollTransport } from './epoll-transport.js';
import type { EventLoop } from './event-loop.js';
import { loadHandlers } from './handler-module.js';
import { ADOPT_TASK, decodeHandOff } from './hand-off.js';
import { HttpHost } from './http-host.js';
import { isHttp1Handlers } from './http1/handlers.js';
import { Http1Service } from './http1/http1-service.js';
import type { ListenAddress, ListenTarget } from './listening-socket.js';
import { createReadInto, type ReadInto } from './net-connection.js';
import { PoolTrimmer } from './pool-trimmer.js';
import type { TransportName } from './reactor-options.js';
import { RequestSampler } from './request-sample.js';
import type { Service, ServiceHost, ServiceSpec } from './service.js';
import { CONNECTIONS_REFUSED, type CounterRow } from './shared-counters.js';
import type { OccupancyLimits, SharedOccupancy } from './shared-occupancy.js';
import { TcpService } from './tcp-service.js';
import { ThreadGauges } from './thread-gauges.js';
import { returnThreadTransport, takeThreadTransport } from './thread-transport.js';

/** What a sub-reactor shares with the main reactor; made by reactor.ts. */
export interface SubReactorContext {
  readonly thread: number;
  readonly transport: TransportName;
  /** See ReactorOptions. */
  readonly spinMicros: number;
  readonly counters: CounterRow;
  readonly occupancy: SharedOccupancy;
  /** See HandOff. */
  readonly adopted: Int32Array;
  readonly incarnation: number;
}

/** Argument of the task that makes a sub-reactor accept by itself. */
export interface ListenOrder {
  readonly serviceId: number;
  /** The listening socket, or where to listen without an addon. */
  readonly source: SharedListener | { readonly target: ListenTarget };
  readonly limits: OccupancyLimits;
  /** All threads accept from this one socket. */
  readonly isShared: boolean;
}

/** An error that nobody asked for and somebody should read; goes to the main thread's log. */
export interface TroubleReport {
  readonly thread: number;
  readonly code: string;
  readonly message: string;
}

export const TASKS = {
  addService: 'reactor.service.add',
  removeService: 'reactor.service.remove',
  reloadService: 'reactor.service.reload',
  listen: 'reactor.listen',
  stopListening: 'reactor.listen.stop',
  refresh: 'reactor.refresh',
  sample: 'reactor.sample',
  trouble: 'reactor.trouble',
} as const;

const TROUBLE_TEXT_MAX = 2000;
/** Of a timer that does nothing but exist. */
const KEEP_ALIVE_MS = 60_000;

export class SubReactor {
  readonly #loop: EventLoop;
  readonly #context: SubReactorContext;
  readonly #addon: Addon | null = loadAddon();
  readonly #readInto: ReadInto = createReadInto();
  readonly #services = new Map<number, Service>();
  /** Services that drain: they take no more connections. */
  readonly #draining = new Set<number>();
  readonly #acceptors = new Map<number, Accepting>();
  readonly #sampler: RequestSampler = new RequestSampler(Math.random);
  readonly #gauges: ThreadGauges;
  readonly #trimmer: PoolTrimmer;
  readonly #transport: EpollTransport | null;
  readonly #serviceHost: ServiceHost;

  constructor(loop: EventLoop, context: SubReactorContext) {
    this.#loop = loop;
    this.#context = context;
    this.#gauges = new ThreadGauges(loop, context.counters);
    this.#trimmer = new PoolTrimmer(loop);
    this.#transport = context.transport === 'epoll' ? takeThreadTransport(context.spinMicros) : null;
    this.#serviceHost = { logError: this.trouble, gone: (address) => this.#leave(address) };
    loop.register(ADOPT_TASK, (payload) => this.#adoptHandedOff(payload as Uint8Array));
    loop.register(TASKS.addService, (spec) => this.addService(spec as ServiceSpec));
    loop.register(TASKS.reloadService, (spec) => this.reloadService(spec as ServiceSpec));
    loop.register(TASKS.listen, (order) => this.listen(order as ListenOrder));
    loop.register(TASKS.stopListening, (serviceId) => this.stopListening(serviceId as number));
    loop.register(TASKS.removeService, (order) => {
      const { serviceId, deadlineMs } = order as { serviceId: number; deadlineMs: number };
      return this.removeService(serviceId, deadlineMs);
    });
    loop.register(TASKS.refresh, () => this.refreshGauges());
    loop.register(TASKS.sample, () => this.#sampler.snapshot());
  }

  /** Gives the thread's transport up, after its services were removed. */
  close(): void {
    if (this.#transport !== null) returnThreadTransport(this.#transport);
  }

  /** Loads the user's code and gets ready to adopt. `application` is given instead when threads is 0. */
  async addService(spec: ServiceSpec, application?: unknown): Promise<void> {
    const loaded = application ?? (await loadHandlers(this.#loop, spec));
    this.#services.set(spec.id, await this.#createService(spec, loaded));
  }

  /** Imports the user's code anew; when that fails the old code stays. */
  async reloadService(spec: ServiceSpec): Promise<void> {
    await this.#service(spec.id).reload(await loadHandlers(this.#loop, spec));
  }

  /** Accepts on this thread. @throws ReactorError see Acceptor.start */
  async listen(order: ListenOrder): Promise<ListenAddress> {
    const { serviceId } = order;
    const acceptor = this.#createAcceptor(order);
    this.#acceptors.set(serviceId, acceptor);
    try {
      return await acceptor.start();
    } catch (error) {
      this.#acceptors.delete(serviceId);
      acceptor.close();
      throw error;
    }
  }

  stopListening(serviceId: number): void {
    this.#acceptors.get(serviceId)?.close();
    this.#acceptors.delete(serviceId);
  }

  /** Drains the service's connections; resolves to how many were cut off at the deadline. */
  async removeService(serviceId: number, deadlineMs: number): Promise<number> {
    this.stopListening(serviceId);
    this.#draining.add(serviceId);
    // A connection that is not read keeps no thread alive, nor does the loop with threads: 0. Draining has to.
    const keepAlive = setInterval(() => {}, KEEP_ALIVE_MS);
    try {
      return (await this.#services.get(serviceId)?.drain(deadlineMs)) ?? 0;
    } finally {
      clearInterval(keepAlive);
      this.#services.delete(serviceId);
      this.#draining.delete(serviceId);
    }
  }

  /** Brings the gauges of this thread's row up to date: called when somebody looks, never by a timer. */
  refreshGauges(): void {
    for (const service of this.#services.values()) service.refreshCounters();
    this.#gauges.refresh();
  }

  /** @throws ReactorError REACTOR_HANDLERS_INVALID, REACTOR_OPTION_INVALID */
  async #createService(spec: ServiceSpec, application: unknown): Promise<Service> {
    const { counters } = this.#context;
    const [loop, sampler, readInto, transport] = [this.#loop, this.#sampler, this.#readInto, this.#transport];
    const host = this.#serviceHost;
    if (spec.kind === 'tcp') {
      return new TcpService(loop, counters, sampler, readInto, transport, host, spec, application);
    }
    if (transport !== null || isHttp1Handlers(application)) {
      return new Http1Service(loop, counters, sampler, readInto, transport, host, spec, application);
    }
    return await HttpHost.create(loop, counters, sampler, host, spec, application);
  }

  #createAcceptor({ serviceId, source, limits, isShared }: ListenOrder): Accepting {
    const { counters } = this.#context;
    const service = this.#service(serviceId);
    const transport = this.#transport;
    const troubled = this.trouble;
    const keepsUp = (): boolean => false; // what this thread accepts it adopts at once
    const from = this.#acceptorSource(source);
    if (transport === null || from.kind === 'node') {
      const accepted = (socket: net.Socket): void => this.#acceptHere(service, socket, limits);
      return new Acceptor(this.#loop, counters, from, { accepted, isFull: keepsUp, troubled });
    }
    const { addon, listener } = from;
    const accepted = (slot: number): void => this.#acceptSlot(service, transport, slot, limits);
    return new EpollAcceptor(
      this.#loop,
      counters,
      { addon, transport, listener, isShared },
      { accepted, isFull: keepsUp, troubled },
    );
  }

  #adoptHandedOff(payload: Uint8Array): void {
    const { serviceId, fd, incarnation, address } = decodeHandOff(payload);
    if (incarnation !== this.#context.incarnation) return; // meant for a predecessor; main gave it to another
    const service = this.#services.get(serviceId);
    const peer = address === '' ? undefined : address;
    if (service === undefined || this.#draining.has(serviceId)) {
      this.#addon?.closeFd(fd);
      this.#leave(peer);
      this.#refused('REACTOR_CLOSED');
    } else {
      this.#adopt(service, fd, peer);
    }
    Atomics.add(this.#context.adopted, this.#context.thread, 1);
  }

  /** A connection accepted on this thread: judged, then adopted like one that was handed over. */
  #acceptHere(service: Service, socket: net.Socket, limits: OccupancyLimits): void {
    const address = socket.remoteAddress;
    if (!this.#isAdmitted(address, limits)) {
      socket.destroy();
      return;
    }
    if (this.#addon === null) {
      this.#adopt(service, socket, address);
      return;
    }
    try {
      // A socket made by us reads into the thread's buffer; node:net's own would allocate for every read.
      const fd = this.#addon.dupFd(descriptorOf(socket));
      socket.destroy();
      this.#adopt(service, fd, address);
    } catch (error) {
      this.#leave(address);
      throw error;
    }
  }

  /** The same for one that the native transport accepted: it stays there if the service speaks to it there. */
  #acceptSlot(service: Service, transport: EpollTransport, slot: number, limits: OccupancyLimits): void {
    const peer = transport.peerOf(slot);
    if (!this.#isAdmitted(peer.address, limits)) {
      transport.discard(slot);
      return;
    }
    if (service.adoptSlot === undefined) {
      this.#adopt(service, transport.release(slot), peer.address);
      return;
    }
    this.#trimmer.begin();
    try {
      service.adoptSlot(slot, peer);
    } catch (error) {
      transport.discard(slot);
      this.#leave(peer.address);
      this.trouble(error);
    }
  }

  #adopt(service: Service, source: number | net.Socket, address: string | undefined): void {
    this.#trimmer.begin();
    try {
      service.adopt(source, address);
    } catch (error) {
      if (typeof source === 'number') this.#addon?.closeFd(source);
      else source.destroy();
      this.#leave(address);
      this.trouble(error);
    }
  }

  #isAdmitted(address: string | undefined, limits: OccupancyLimits): boolean {
    const refusal = this.#context.occupancy.admit(this.#context.thread, address, limits);
    if (refusal !== null) this.#refused(refusal.code);
    return refusal === null;
  }

  #refused(code: ReactorErrorCode): void {
    this.#context.counters.values[CONNECTIONS_REFUSED]! += 1;
    this.#context.counters.countError(code);
  }

  #leave(address: string | undefined): void {
    this.#context.occupancy.leave(this.#context.thread, address);
  }

  #acceptorSource(source: ListenOrder['source']): AcceptorSource {
    if ('target' in source) return { kind: 'node', target: source.target };
    if (this.#addon === null)
      throw new ReactorError('REACTOR_ADDON_MISSING', 'a listening descriptor needs the addon');
    return { kind: 'descriptor', addon: this.#addon, listener: source };
  }

  #service(serviceId: number): Service {
    const service = this.#services.get(serviceId);
    if (service === undefined)
      throw new ReactorError('REACTOR_CLOSED', `service ${serviceId} is not running here`);
    return service;
  }

  /** Counts an error and sends it to whoever keeps the log. Never throws. */
  readonly trouble = (error: unknown): void => {
    const { code, message } = errorToWire(error, 'REACTOR_HANDLER_FAILED');
    if (error instanceof ReactorError) this.#context.counters.countError(error.code);
    const report = { thread: this.#context.thread, code, message: message.slice(0, TROUBLE_TEXT_MAX) };
    try {
      this.#loop.post('main', TASKS.trouble, report satisfies TroubleReport);
    } catch {
      // The main thread is behind by a whole queue: the counter has the error, its text is lost.
    }
  };
}
