// The network between simulated members: every message goes its own way, with delays, losses and doubles as the weather
// has it, over directed links that can be cut. In some runs messages cross as bytes, through the codec of the real one.

import { decodeMessages, MessageEncoder } from '../../../kv/peer/message-codec.js';
import type { PeerFigures, PeerReceiver, PeerTransport } from '../../../kv/peer/peer-transport.js';
import type { NodeId, RaftMessage } from '../../../kv/raft/index.js';
import type { SeededRandom } from '../../support/seeded-random.js';

export interface NetWeather {
  delayMinMs: number;
  delayMaxMs: number;
  /** Shares of the messages. */
  loss: number;
  duplication: number;
  /** That take up to longDelayMs: out of order by seconds. */
  longDelays: number;
  longDelayMs: number;
  /** What is on its way when a link is cut or its sender dies arrives nevertheless. */
  flightsSurvive: boolean;
}

/** A member as the network sees it. */
export interface NetEnd {
  readonly id: NodeId;
  readonly life: number;
  readonly isUp: boolean;
  /** Calls `task` now, or when its pause is over. */
  run(task: () => void): void;
}

export function addressOf(id: NodeId): string {
  return `member-${id}:1`;
}

export interface NetHost {
  readonly random: SeededRandom;
  readonly weather: NetWeather;
  end(id: NodeId): NetEnd | undefined;
  later(delayMs: number, run: () => void): void;
  sent(from: NodeId, to: NodeId, message: RaftMessage): void;
  arrives(from: NodeId, to: NodeId, message: RaftMessage): void;
}

export class SimNet {
  readonly #host: NetHost;
  readonly #isEncoded: boolean;
  readonly #receivers = new Map<NodeId, { readonly receive: PeerReceiver; readonly life: number }>();
  readonly #blocked = new Set<number>();
  /** Messages that ask for something, and the bytes of their entries. */
  requestCount = 0;
  requestBytes = 0;

  constructor(host: NetHost, isEncoded: boolean) {
    this.#host = host;
    this.#isEncoded = isEncoded;
  }

  transport(end: NetEnd): PeerTransport {
    const { life } = end;
    const encoder = new MessageEncoder();
    let addresses: ReadonlyMap<NodeId, string> = new Map();
    return {
      start: (receive) => {
        this.#receivers.set(end.id, { receive, life });
      },
      send: (to, message) => {
        if (end.life !== life || !addresses.has(to)) return;
        this.#send(end, to, this.#isEncoded ? Buffer.concat(encoder.encode([message])) : null, message);
      },
      setAddresses: (given) => {
        addresses = given;
      },
      figures: () => [...addresses.keys()].map((id) => this.#figures(end.id, id)),
      close: async () => {},
    };
  }

  // Links are directed; from and to are ids.

  block(from: NodeId, to: NodeId): void {
    this.#blocked.add(from * 1000 + to);
  }

  isBlocked(from: NodeId, to: NodeId): boolean {
    return this.#blocked.has(from * 1000 + to);
  }

  /** Only members of the same group hear each other; whoever is in none hears nobody. */
  partition(ids: Iterable<NodeId>, groups: readonly (readonly NodeId[])[]): void {
    this.#blocked.clear();
    const all = [...ids];
    const groupOf = (id: NodeId): number => groups.findIndex((group) => group.includes(id));
    for (const from of all) {
      for (const to of all) {
        if (from !== to && (groupOf(from) === -1 || groupOf(from) !== groupOf(to))) this.block(from, to);
      }
    }
  }

  heal(): void {
    this.#blocked.clear();
  }

  #send(from: NetEnd, to: NodeId, bytes: Buffer | null, message: RaftMessage): void {
    const { random, weather } = this.#host;
    this.#host.sent(from.id, to, message);
    if (!message.type.endsWith('-response')) {
      this.requestCount += 1;
      this.requestBytes += bytesOf(message);
    }
    if (this.isBlocked(from.id, to) || random.chance(weather.loss)) return;
    this.#carry(from, to, bytes, message);
    if (weather.duplication > 0 && random.chance(weather.duplication)) this.#carry(from, to, bytes, message);
  }

  #carry(from: NetEnd, to: NodeId, bytes: Buffer | null, message: RaftMessage): void {
    const { life } = from;
    this.#host.later(this.#delayMs(), () => {
      const isCut = this.isBlocked(from.id, to) || from.life !== life;
      if (isCut && !this.#host.weather.flightsSurvive) return;
      const end = this.#host.end(to);
      if (end === undefined || !end.isUp) return;
      end.run(() => {
        const receiver = this.#receivers.get(to);
        if (receiver === undefined || receiver.life !== end.life) return;
        this.#host.arrives(from.id, to, message);
        const messages = bytes === null ? [own(message)] : decodeMessages(Buffer.from(bytes));
        receiver.receive(from.id, messages, addressOf(from.id));
      });
    });
  }

  #delayMs(): number {
    const { random, weather } = this.#host;
    const isLong = weather.longDelays > 0 && random.chance(weather.longDelays);
    return random.integer(weather.delayMinMs, isLong ? weather.longDelayMs : weather.delayMaxMs);
  }

  #figures(from: NodeId, id: NodeId): PeerFigures {
    const isConnected = this.#host.end(id)?.isUp === true && !this.isBlocked(from, id);
    const none = { queuedMessages: 0, queuedBytes: 0, sentMessages: 0, sentBytes: 0, droppedMessages: 0 };
    return { id, isConnected, ...none, connects: 0 };
  }
}

/** The receiver's, as far as it may change it: a leader writes its time into what is proposed to it. */
function own(message: RaftMessage): RaftMessage {
  if (message.type !== 'propose') return message;
  return { ...message, data: message.data.map((bytes) => Buffer.from(bytes)) };
}

function bytesOf(message: RaftMessage): number {
  if (message.type === 'append')
    return message.entries.reduce((sum, entry) => sum + entry.data.length + 24, 48);
  return message.type === 'snapshot' ? message.data.length + 64 : 48;
}
