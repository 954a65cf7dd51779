// Who listens to which channel on this member.
// PUBLISH goes through the log, so every member hears of every message in one order, and delivers it here to its own
// subscribers. SUBSCRIBE and its kin change it; a client that leaves is taken out.

import { globMatches } from '../machine/commands/glob.js';

/** A connection that may listen. */
export interface Subscriber {
  readonly channels: Set<string>;
  readonly patterns: Set<string>;
  /** Delivers one message. */
  push(message: readonly string[]): void;
}

/** Channels and patterns of one connection. */
export const SUBSCRIPTIONS_PER_CLIENT_MAX: number = 100_000;

export class Subscriptions {
  readonly #channels = new Map<string, Set<Subscriber>>();
  readonly #patterns = new Map<string, Set<Subscriber>>();

  get channelCount(): number {
    return this.#channels.size;
  }

  get patternCount(): number {
    return this.#patterns.size;
  }

  /** Messages reach those who listen now, in the order of subscribing; returns how many were sent. */
  publish(channel: string, message: string): number {
    let receivers = 0;
    for (const subscriber of this.#channels.get(channel) ?? []) {
      subscriber.push(['message', channel, message]);
      receivers += 1;
    }
    for (const [pattern, subscribers] of this.#patterns) {
      if (!globMatches(pattern, channel)) continue;
      for (const subscriber of subscribers) {
        subscriber.push(['pmessage', pattern, channel, message]);
        receivers += 1;
      }
    }
    return receivers;
  }

  subscribe(subscriber: Subscriber, channel: string): void {
    subscriber.channels.add(channel);
    enter(this.#channels, channel, subscriber);
  }

  unsubscribe(subscriber: Subscriber, channel: string): void {
    subscriber.channels.delete(channel);
    leave(this.#channels, channel, subscriber);
  }

  subscribePattern(subscriber: Subscriber, pattern: string): void {
    subscriber.patterns.add(pattern);
    enter(this.#patterns, pattern, subscriber);
  }

  unsubscribePattern(subscriber: Subscriber, pattern: string): void {
    subscriber.patterns.delete(pattern);
    leave(this.#patterns, pattern, subscriber);
  }

  /** The connection is gone, or RESET. */
  forget(subscriber: Subscriber): void {
    for (const channel of subscriber.channels) leave(this.#channels, channel, subscriber);
    for (const pattern of subscriber.patterns) leave(this.#patterns, pattern, subscriber);
    subscriber.channels.clear();
    subscriber.patterns.clear();
  }

  /** Channels somebody listens to by name, that match. */
  channelsLike(pattern: string | undefined): string[] {
    return [...this.#channels.keys()].filter((name) => pattern === undefined || globMatches(pattern, name));
  }

  listenersOf(channel: string): number {
    return this.#channels.get(channel)?.size ?? 0;
  }
}

function enter(map: Map<string, Set<Subscriber>>, name: string, subscriber: Subscriber): void {
  const listeners = map.get(name);
  if (listeners === undefined) map.set(name, new Set([subscriber]));
  else listeners.add(subscriber);
}

function leave(map: Map<string, Set<Subscriber>>, name: string, subscriber: Subscriber): void {
  const listeners = map.get(name);
  if (listeners?.delete(subscriber) === true && listeners.size === 0) map.delete(name);
}
