// The channels of one node, by name, as a configuration file describes them: opened, kept, listed, closed in order.
// Where the node is a channel's owner the channel is made, where it is the peer it is attached to.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Channel } from './channel.js';
import { type ChannelConfig, type ChannelSettings, parseChannelConfig } from './channel-config.js';
import { checkTimeout } from './channel-options.js';
import { JbusError } from './errors.js';
import { attachChannel, chooseBacking, createChannel } from './open-channel.js';

export interface OpenOptions {
  /** How long a peer waits for the owner to make the channel. Default 0: it has to be there. */
  waitMs?: number;
}

const ATTACH_RETRY_MS = 20;

export class ChannelManager {
  /** The node this process is. */
  readonly node: string;
  readonly #settings: ReadonlyMap<string, ChannelSettings>;
  /** In the order they were opened. */
  readonly #channels = new Map<string, Promise<Channel>>();
  #isClosed = false;

  /** @throws JbusError JBUS_INVALID_ARGUMENT: the configuration has no such node. */
  constructor(config: ChannelConfig, node: string) {
    if (!config.nodes.has(node)) {
      const known = [...config.nodes.keys()].join(', ');
      throw new JbusError('JBUS_INVALID_ARGUMENT', `node must be one of ${known}, not ${node}`);
    }
    this.node = node;
    this.#settings = new Map(config.channels.map((channel) => [channel.name, channel]));
  }

  /** @throws JbusError JBUS_CONFIG_INVALID, with file, line and field of every mistake; JBUS_INVALID_ARGUMENT. */
  static load(file: string, node: string): ChannelManager {
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      throw new JbusError('JBUS_CONFIG_INVALID', `${file}: ${(error as Error).message}`, { cause: error });
    }
    return new ChannelManager(parseChannelConfig(text, file), node);
  }

  /** The channels that `owner` makes; without one, all that this node has a side of. */
  list(owner?: string): ChannelSettings[] {
    return [...this.#settings.values()].filter((settings) =>
      owner === undefined ? this.#isMine(settings) : settings.owner === owner,
    );
  }

  /**
   * The channel of this name: the one that is open, else a new one.
   * @throws JbusError (as rejection) JBUS_INVALID_ARGUMENT: there is none, or this node has no side of it; JBUS_CLOSED,
   * and as createChannel and attachChannel.
   */
  async open(name: string, options: OpenOptions = {}): Promise<Channel> {
    const settings = this.#settingsOf(name);
    const existing = this.#channels.get(name);
    if (existing === undefined) return await this.#begin(settings, options);
    const channel = await existing;
    if (channel.ended === undefined) return channel;
    channel.close();
    // Another caller may have opened the next one meanwhile.
    if (this.#channels.get(name) === existing) this.#channels.delete(name);
    return await this.open(name, options);
  }

  /** Opens all channels of this node, in the order of the file, or none: after a failure those already made are closed. */
  async openAll(options: OpenOptions = {}): Promise<Channel[]> {
    const opened: string[] = [];
    try {
      const channels: Channel[] = [];
      for (const { name } of this.list()) {
        const wasOpen = this.#channels.has(name);
        channels.push(await this.open(name, options));
        if (!wasOpen) opened.push(name);
      }
      return channels;
    } catch (error) {
      for (const name of opened.toReversed()) await this.close(name);
      throw error;
    }
  }

  /** The channel, if it was opened; also one that has ended since. */
  async get(name: string): Promise<Channel | undefined> {
    try {
      return await this.#channels.get(name);
    } catch {
      return undefined; // whoever opened it was told
    }
  }

  async close(name: string): Promise<void> {
    const channel = await this.get(name);
    this.#channels.delete(name);
    channel?.close();
  }

  /** Closes every channel, the last opened first; nothing is opened any more. May be repeated. */
  async closeAll(): Promise<void> {
    this.#isClosed = true;
    for (const name of [...this.#channels.keys()].toReversed()) await this.close(name);
  }

  #begin(settings: ChannelSettings, options: OpenOptions): Promise<Channel> {
    if (this.#isClosed) throw new JbusError('JBUS_CLOSED', 'the channel manager is closed');
    const opening = settings.owner === this.node ? make(settings) : this.#attach(settings, options);
    this.#channels.set(settings.name, opening);
    opening.catch(() => this.#channels.delete(settings.name));
    return opening;
  }

  async #attach(settings: ChannelSettings, { waitMs = 0 }: OpenOptions): Promise<Channel> {
    checkTimeout('waitMs', waitMs);
    const backing = chooseBacking(settings.backing);
    const deadlineMs = performance.now() + waitMs;
    for (;;) {
      try {
        return await attachChannel({ backing, key: settings.key }, settings);
      } catch (error) {
        const isMissing = error instanceof JbusError && error.code === 'JBUS_NO_SEGMENT';
        if (!isMissing || performance.now() >= deadlineMs || this.#isClosed) throw error;
      }
      await sleep(ATTACH_RETRY_MS);
    }
  }

  #isMine({ owner, peer }: ChannelSettings): boolean {
    return owner === this.node || peer === this.node;
  }

  #settingsOf(name: string): ChannelSettings {
    const settings = this.#settings.get(name);
    if (settings !== undefined && this.#isMine(settings)) return settings;
    const known = this.list().map((other) => other.name);
    throw new JbusError(
      'JBUS_INVALID_ARGUMENT',
      `${this.node} has no channel ${name}; it has ${known.join(', ') || 'none'}`,
    );
  }
}

async function make(settings: ChannelSettings): Promise<Channel> {
  const { channel } = await createChannel(settings);
  return channel;
}
