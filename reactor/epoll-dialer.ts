// One attempt to connect through the native transport: resolves the name, then tries its addresses in turn.
// epoll-client-connection.ts starts it, or cancels it when the deadline passes or the client is ended.

import dns from 'node:dns';
import net from 'node:net';

import type { EpollDialSink } from './epoll-sinks.js';
import type { EpollTransport } from './epoll-transport.js';
import { systemError } from './system-error.js';

export type DialTarget = { readonly path: string } | { readonly host: string; readonly port: number };

export interface DialOutcome {
  /** The slot is connected, not read yet, and the callee's. */
  connected(slot: number): void;
  /** No address could be reached; why the last one could not. */
  failed(error: Error): void;
}

export class EpollDialer implements EpollDialSink {
  readonly #transport: EpollTransport;
  readonly #target: DialTarget;
  readonly #outcome: DialOutcome;
  /** Addresses still to be tried, the next one first. */
  #hosts: string[] = [];
  #slot: number | null = null;
  #isCancelled = false;

  constructor(transport: EpollTransport, target: DialTarget, outcome: DialOutcome) {
    this.#transport = transport;
    this.#target = target;
    this.#outcome = outcome;
  }

  /** Exactly one of the outcomes follows unless it is cancelled first, `failed` perhaps before this returns. */
  start(): void {
    const target = this.#target;
    if ('path' in target) {
      this.#try(() => this.#transport.connectUnix(target.path, this));
    } else if (net.isIP(target.host) !== 0) {
      this.#resolved([target.host]);
    } else {
      dns.lookup(target.host, { all: true }, (error, found) => {
        if (this.#isCancelled) return;
        if (error !== null) this.#outcome.failed(error);
        else this.#resolved(found.map(({ address }) => address));
      });
    }
  }

  /** No outcome follows. Idempotent. */
  cancel(): void {
    this.#isCancelled = true;
    if (this.#slot !== null) this.#transport.cancelConnect(this.#slot);
    this.#slot = null;
  }

  // EpollDialSink.

  /** @internal */
  connected(slot: number): void {
    this.#slot = null;
    this.#outcome.connected(slot);
  }

  /** @internal */
  refused(errno: number): void {
    this.#slot = null;
    this.#tryNext(systemError(errno, 'connect'));
  }

  #resolved(hosts: string[]): void {
    this.#hosts = hosts;
    this.#tryNext(new Error('the name has no address'));
  }

  /** `error`: why the address before could not be reached. */
  #tryNext(error: Error): void {
    const host = this.#hosts.shift();
    const target = this.#target;
    if (host === undefined || 'path' in target) this.#outcome.failed(error);
    else this.#try(() => this.#transport.connectTcp(host, target.port, this));
  }

  #try(connect: () => number): void {
    try {
      this.#slot = connect();
    } catch (error) {
      this.#tryNext(error as Error); // the addon throws Errors
    }
  }
}
