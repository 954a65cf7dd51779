// jbus as most programs use it: a Channel between two processes, messages one by one, read where they lie.

import { type Channel, PeerProcess } from '../../../addon/jbus/index.js';
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
    await this.#channel.writeAsync(message, { type: KIND_PING });
    (await this.#channel.leaseAsync()).release();
  }

  async close(): Promise<void> {
    await this.#peer.close();
  }
}

/** The reader's process, until the channel is closed. */
export async function readChannel(channel: Channel): Promise<void> {
  let count = 0;
  let sum = 0;
  let view: DataView = new DataView(new ArrayBuffer(0));
  for await (const lease of channel) {
    if (lease.type === KIND_DATA) {
      let read = 0;
      for (const part of lease.parts) {
        if (part.buffer !== view.buffer) view = new DataView(part.buffer);
        sum = sumPart(view, part.byteOffset, part.length, read, sum);
        read += part.length;
      }
      count += 1;
    } else if (lease.type === KIND_PING) {
      await channel.writeAsync(lease.data, { type: KIND_PING });
    } else {
      await channel.writeAsync(encodeTally({ count, sum }), { type: KIND_FINISH });
      count = 0;
      sum = 0;
    }
  }
}
