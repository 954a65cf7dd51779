// One direction to one member: a stream that is dialled again and again, and the queue in front of it.
// rpc-transport.ts has two for each member: one for Raft's small talk and its entries, one for snapshots, each on a
// connection of its own, so that nothing big ever stands in front of a heartbeat. What one callback sends leaves as one
// message of the stream, in the same turn: each round of Raft waits for it. There is no promise per message.

import { Backoff, type TlsClientOptions, type TransportName } from '../../reactor/index.js';
import { forEachMessage, MessageFeed, RpcClient, RpcError } from '../../rpc/index.js';
import type { NodeId, RaftMessage } from '../raft/index.js';
import type { NodeClock } from '../node/node-clock.js';
import { FORMAT_MAJOR, FORMAT_MINOR, MessageEncoder } from './message-codec.js';
import { type HelloMessage, peerContract, type PeerRequest } from './peer-contract.js';
import { PeerQueue } from './peer-queue.js';

export interface LaneParts {
  readonly clock: NodeClock;
  readonly random: () => number;
  readonly encoder: MessageEncoder;
  readonly clusterId: number;
  readonly from: NodeId;
  /** Where others reach this member. */
  readonly address: string;
  readonly tls: TlsClientOptions | null;
  readonly token: string;
  readonly transport: TransportName;
  /** The lane is open, or why it is not; only when that is news. */
  readonly onState: (to: NodeId, isBulk: boolean, error: RpcError | null) => void;
}

/** Messages that go out together, unless a single one is bigger. */
const FRAME_BYTES = 2 ** 20;
/** How long a message that may wait does. */
const LINGER_MS = 5;
const CONNECT_TIMEOUT_MS = 2000;
const BACKOFF = { firstMs: 30, capMs: 1000 };
/** A member that is silent for this long is pinged; how long the answer may take. */
const KEEPALIVE_MS = 1000;
const KEEPALIVE_TIMEOUT_MS = 3000;
/** Longest message of a Peer stream: a frame, or one entry and what goes around it. */
export const PEER_MESSAGE_BYTES_MAX: number = 8 * 2 ** 20;

export class PeerLane {
  readonly to: NodeId;
  readonly address: string;
  readonly isBulk: boolean;
  readonly #parts: LaneParts;
  readonly #client: RpcClient;
  readonly #queue: PeerQueue;
  readonly #backoff: Backoff;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #isOpen = false;
  #isFlushDue = false;
  /** The requests of the stream, while there is one. */
  #feed: MessageFeed<PeerRequest> | null = null;
  #isGreeted = false;
  #lastError = '';
  #cancelPause: (() => void) | null = null;
  #cancelLinger: (() => void) | null = null;
  sentMessages = 0;
  sentBytes = 0;
  connects = 0;

  constructor(parts: LaneParts, to: NodeId, address: string, isBulk: boolean) {
    this.#parts = parts;
    this.to = to;
    this.address = address;
    this.isBulk = isBulk;
    this.#queue = new PeerQueue(isBulk ? { messagesMax: 64 } : {});
    this.#backoff = new Backoff(parts.random, BACKOFF);
    const { tls, token, transport } = parts;
    this.#client = new RpcClient({
      target: address,
      name: `member ${to}`,
      token,
      ...(tls === null ? {} : { tls }),
      transport,
      agent: 'reactor-net-kv',
      retry: { attemptsMax: 1 },
      selector: { outlier: false, breaker: false, drainingMs: 100 },
      keepaliveIntervalMs: KEEPALIVE_MS,
      keepaliveTimeoutMs: KEEPALIVE_TIMEOUT_MS,
      messageBytesMax: PEER_MESSAGE_BYTES_MAX,
      pool: {
        connectionsMin: 0,
        connectionsMax: 1,
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
        acquireTimeoutMs: CONNECT_TIMEOUT_MS,
        lifetimeMs: 0,
        backoffFirstMs: 10,
        backoffMaxMs: 50,
        quarantineFailures: 1000,
        dialsPerSecondMax: 100,
      },
    });
    this.#running = this.#run();
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get queuedMessages(): number {
    return this.#queue.count;
  }

  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  get dropped(): number {
    return this.#queue.dropped;
  }

  send(message: RaftMessage, mayWait: boolean): void {
    this.#queue.push(message, this.#isOpen);
    if (this.#isFlushDue || !this.#isOpen) return;
    if (mayWait) {
      this.#cancelLinger ??= this.#parts.clock.after(LINGER_MS, () => {
        this.#cancelLinger = null;
        this.#flush();
      });
      return;
    }
    this.#isFlushDue = true;
    // When this callback is done: what else it has for this member goes along.
    queueMicrotask(() => {
      this.#isFlushDue = false;
      this.#flush();
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#cancelLinger?.();
    this.#cancelPause?.();
    await this.#client.close(0);
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#exchange();
      } catch (error) {
        if (!signal.aborted) this.#report(error);
      }
      if (this.#isOpen) this.#queue.wentOffline();
      this.#isOpen = false;
      if (!signal.aborted) await this.#pause();
    }
  }

  /** One life of the stream; ends when the other side does. @throws RpcError */
  async #exchange(): Promise<void> {
    this.#isGreeted = false;
    this.#feed = new MessageFeed<PeerRequest>(() => this.#flush());
    try {
      const responses = this.#client.bidiStream(peerContract().methods.exchange, this.#feed, {
        timeoutMs: Number.POSITIVE_INFINITY,
        signal: this.#closing.signal,
      });
      await forEachMessage(responses, ({ welcome }) => {
        if (welcome === undefined || this.#isOpen) return;
        this.#isOpen = true;
        this.connects += 1;
        this.#backoff.reset();
        this.#lastError = '';
        this.#parts.onState(this.to, this.isBulk, null);
        this.#flush();
      });
    } finally {
      this.#feed = null;
    }
  }

  /** Sends what waits, as far as the stream takes it; it calls again when it takes more. */
  #flush(): void {
    this.#cancelLinger?.();
    this.#cancelLinger = null;
    const feed = this.#feed;
    if (feed === null || !feed.isReady) return;
    if (!this.#isGreeted) {
      this.#isGreeted = true;
      feed.send({ hello: this.#hello() });
    }
    while (this.#isOpen && feed.isReady && this.#queue.count > 0) {
      const messages = this.#queue.take(FRAME_BYTES);
      const bytes = Buffer.concat(this.#parts.encoder.encode(messages));
      this.sentMessages += messages.length;
      this.sentBytes += bytes.length;
      feed.send({ messages: bytes });
    }
    feed.flush();
  }

  #hello(): HelloMessage {
    const { clusterId, from, address } = this.#parts;
    return {
      clusterId: BigInt(clusterId),
      from,
      to: this.to,
      address,
      formatMajor: FORMAT_MAJOR,
      formatMinor: FORMAT_MINOR,
      bulk: this.isBulk,
    };
  }

  #report(error: unknown): void {
    const failure =
      error instanceof RpcError ? error : new RpcError('RPC_INTERNAL', String(error), { cause: error });
    // That it is away is told once; a refusal says something else each time.
    const news = failure.status === 'UNAVAILABLE' ? failure.status : `${failure.code} ${failure.message}`;
    if (news === this.#lastError) return;
    this.#lastError = news;
    this.#parts.onState(this.to, this.isBulk, failure);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        this.#cancelPause = null;
        resolve();
      };
      const cancel = this.#parts.clock.after(this.#backoff.nextDelayMs(), finish);
      this.#cancelPause = () => {
        cancel();
        finish();
      };
    });
  }
}
