// jbus as most programs use it: a Channel between two processes, messages one by one, read where they lie.

import {
  type Channel,
  JbusError,
  type JbusErrorCode,
  type Lease,
  PeerProcess,
} from '../../../addon/jbus/index.js';
import type { Rotation } from '../../rotation.js';
import {
  decodeTally,
  encodeTally,
  KIND_DATA,
  KIND_FINISH,
  KIND_PING,
  RING_BYTES,
  type SendingEnd,
  type Tally,
} from './ends.js';
import { sumPart } from './frames.js';

const PATIENCE_MS = 60_000;
const DATA = { type: KIND_DATA } as const;
const DATA_LATER = { type: KIND_DATA, timeoutMs: PATIENCE_MS } as const;
const PING = { type: KIND_PING } as const;
const FOREVER = { timeoutMs: Infinity } as const;
/** Messages read at once before the loop has its turn: heartbeats are among what waits there. */
const STREAK_MAX = 256;
const NOTHING = Buffer.alloc(0);

export class ChannelEnd implements SendingEnd {
  readonly #peer: PeerProcess;
  readonly #channel: Channel;
  readonly #memory: Buffer;

  private constructor(peer: PeerProcess, memory: Buffer) {
    this.#peer = peer;
    this.#channel = peer.channel;
    this.#memory = memory;
  }

  static async start(
    memory: Buffer,
    command: string,
    args: readonly string[],
    spinMicros: number,
  ): Promise<ChannelEnd> {
    const options = { command, args, capacityOut: RING_BYTES, capacityIn: RING_BYTES, spinMicros };
    return new ChannelEnd(await PeerProcess.start({ ...options, output: 'ignore' }), memory);
  }

  async send(rotation: Rotation, count: number): Promise<void> {
    const channel = this.#channel;
    const { messageBytes } = rotation;
    const isRecord = messageBytes < RING_BYTES / 2;
    for (let index = 0; index < count; index += 1) {
      const at = rotation.next();
      const message = this.#memory.subarray(at, at + messageBytes);
      if (!isRecord || !channel.tryWrite(message, DATA)) await channel.writeAsync(message, DATA_LATER);
    }
  }

  async finish(): Promise<Tally> {
    await this.#channel.writeAsync(NOTHING, { type: KIND_FINISH, timeoutMs: PATIENCE_MS });
    return decodeTally((await this.#channel.readAsync({ timeoutMs: PATIENCE_MS })).data);
  }

  async ping(message: Uint8Array): Promise<void> {
    const channel = this.#channel;
    if (!channel.tryWrite(message, PING)) await channel.writeAsync(message, PING);
    (channel.tryLease() ?? (await channel.leaseAsync())).release();
  }

  async close(): Promise<void> {
    await this.#peer.close();
  }
}

/** The reader's process, until the channel is closed. */
export async function readChannel(channel: Channel): Promise<void> {
  const reader = new ChannelReader(channel);
  try {
    for (let streak = 1; ; streak += 1) {
      const isLong = streak % STREAK_MAX === 0;
      const lease = (isLong ? undefined : channel.tryLease()) ?? (await channel.leaseAsync(FOREVER));
      const answer = reader.take(lease);
      if (answer !== null) await answer;
      lease.release();
    }
  } catch (error) {
    if (!(error instanceof JbusError) || !ENDS.has(error.code)) throw error;
  }
}

const ENDS: ReadonlySet<string> = new Set<JbusErrorCode>(['JBUS_CLOSED', 'JBUS_PEER_DEAD']);

class ChannelReader {
  readonly #channel: Channel;
  #view: DataView = new DataView(new ArrayBuffer(0));
  #count = 0;
  #sum = 0;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Reads a message; null when nothing has to wait for the answer. */
  take(lease: Lease): Promise<number> | null {
    switch (lease.type) {
      case KIND_DATA:
        this.#add(lease.parts);
        return null;
      case KIND_PING:
        return this.#channel.tryWrite(lease.data, PING) ? null : this.#channel.writeAsync(lease.data, PING);
      default:
        return this.#channel.writeAsync(this.#settle(), { type: KIND_FINISH });
    }
  }

  #add(parts: readonly Uint8Array[]): void {
    let read = 0;
    for (const part of parts) {
      if (part.buffer !== this.#view.buffer) this.#view = new DataView(part.buffer);
      this.#sum = sumPart(this.#view, part.byteOffset, part.length, read, this.#sum);
      read += part.length;
    }
    this.#count += 1;
  }

  #settle(): Buffer {
    const tally = encodeTally({ count: this.#count, sum: this.#sum });
    this.#count = 0;
    this.#sum = 0;
    return tally;
  }
}
