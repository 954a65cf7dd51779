// One message to several peers: encoded once, written into every ring, and the outcome told per peer.
// A peer that is slow or dead costs its own outcome and nothing else: nobody waits for anybody.

import type { Channel } from './channel.js';
import type { Cancelable, WriteOptions } from './channel-options.js';
import { JbusError } from './errors.js';

export interface BroadcastOptions extends WriteOptions, Cancelable {
  /** Where a ring has no room: wait until the timeout, or give up on that peer at once (JBUS_TIMEOUT). Default 'wait'. */
  whenFull?: 'wait' | 'drop';
}

/** What became of the message at one peer: its id there, or why it was not written. */
export type BroadcastOutcome =
  | { readonly channel: Channel; readonly isWritten: true; readonly msgId: number }
  | { readonly channel: Channel; readonly isWritten: false; readonly error: JbusError };

export class BroadcastChannel {
  readonly #channels: Set<Channel>;

  /** The channels stay their owner's: closing them is not done here. */
  constructor(channels: Iterable<Channel> = []) {
    this.#channels = new Set(channels);
  }

  get channels(): Channel[] {
    return [...this.#channels];
  }

  add(channel: Channel): void {
    this.#channels.add(channel);
  }

  /** False when it was not here. What is on its way to it goes on. */
  delete(channel: Channel): boolean {
    return this.#channels.delete(channel);
  }

  /**
   * Writes to all of them and resolves, once each has had its outcome, to the outcomes in the order of the channels.
   * `data` is the bytes, or a function that makes them and is called once; they must not change until then.
   * Never rejects but for what that function throws.
   */
  async writeAsync(
    data: Uint8Array | (() => Uint8Array),
    options: BroadcastOptions = {},
  ): Promise<BroadcastOutcome[]> {
    const bytes = typeof data === 'function' ? data() : data;
    const { whenFull = 'wait', ...writeOptions } = options;
    const timeout = whenFull === 'drop' ? { timeoutMs: 0 } : {};
    return await Promise.all(
      this.channels.map((channel) => writeTo(channel, bytes, { ...writeOptions, ...timeout })),
    );
  }
}

async function writeTo(
  channel: Channel,
  bytes: Uint8Array,
  options: WriteOptions & Cancelable,
): Promise<BroadcastOutcome> {
  try {
    return { channel, isWritten: true, msgId: await channel.writeAsync(bytes, options) };
  } catch (error) {
    if (error instanceof JbusError) return { channel, isWritten: false, error };
    throw error;
  }
}
