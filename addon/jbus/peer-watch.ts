// What a channel knows of its peer: whether it has joined, whether it lives, and what it says of itself.
// channel.ts asks it to look whenever news may have come; heartbeats go out, and are looked for, by its own timer.

import type { ChannelOutput } from './channel-output.js';
import { CHANNEL_DEFAULTS } from './channel-options.js';
import type { JbusError } from './errors.js';
import { type ChannelLink, monotonicMs } from './link.js';
import { judgePeer, type PeerState } from './peer-liveness.js';
import { canceled, Pending } from './pending.js';
import { WaitingLine } from './waiting-line.js';

/** What the watch asks of its channel. Each may end it. */
export interface PeerHost {
  onClosing(): void;
  onPoisoned(): void;
  onGone(): void;
}

export class PeerWatch {
  readonly #link: ChannelLink;
  readonly #output: ChannelOutput;
  readonly #host: PeerHost;
  readonly #heartbeatMs: number;
  readonly #joins = new WaitingLine<Pending<void>>();
  readonly #timer: NodeJS.Timeout | undefined;
  #hasPeer = false;
  #heardMs = 0;

  /** @param heartbeatMs 0: none goes out, and the peer's are measured by the default. */
  constructor(link: ChannelLink, output: ChannelOutput, heartbeatMs: number, host: PeerHost) {
    this.#link = link;
    this.#output = output;
    this.#host = host;
    this.#heartbeatMs = heartbeatMs || CHANNEL_DEFAULTS.heartbeatMs;
    link.beat();
    if (heartbeatMs > 0) this.#timer = setInterval(() => this.#beat(), heartbeatMs).unref();
  }

  get hasPeer(): boolean {
    return this.#hasPeer;
  }

  /** Those who wait for it to join. */
  get waiting(): number {
    return this.#joins.length;
  }

  get earliestMs(): number {
    return this.#joins.earliestMs;
  }

  /** The peer rang. */
  heard(): void {
    this.#heardMs = monotonicMs();
  }

  state(): PeerState {
    return judgePeer(this.#link.peer(), monotonicMs(), this.#heartbeatMs, this.#heardMs);
  }

  /** Reads what both sides have put into the rings' states. */
  look(): void {
    const state = this.#link.state();
    if (state === 'poisoned') this.#host.onPoisoned();
    if (state === 'closing') this.#host.onClosing();
    if (state !== 'ready' || this.#hasPeer) return;
    this.#hasPeer = true;
    this.heard();
    this.#link.settle();
    for (const join of this.#joins.drain()) join.resolve();
  }

  join(deadlineMs: number, signal: AbortSignal | undefined): Promise<void> {
    const join = new Pending<void>(deadlineMs);
    join.watch(signal, () => this.#joins.remove(join) && join.reject(canceled(signal!)));
    this.#joins.push(join);
    return join.promise;
  }

  expire(nowMs: number, toError: () => JbusError): void {
    for (const join of this.#joins.expire(nowMs)) join.reject(toError());
  }

  /** Nothing is watched any more. */
  end(error: JbusError): void {
    clearInterval(this.#timer);
    for (const join of this.#joins.drain()) join.reject(error);
  }

  #beat(): void {
    this.#link.beat();
    this.look();
    if (!this.#hasPeer) return;
    this.#output.beat();
    if (this.state() === 'gone') this.#host.onGone();
  }
}
