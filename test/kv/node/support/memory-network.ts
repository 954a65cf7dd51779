// A network between members in one process, on a clock that a test moves. Messages cross as bytes, through the very codec
// of the real one, so that members share nothing; links can be cut, and lose a share of what they carry.

import type { NodeClock } from '../../../../kv/node/node-clock.js';
import { decodeMessages, MessageEncoder } from '../../../../kv/peer/message-codec.js';
import type { PeerFigures, PeerReceiver, PeerTransport } from '../../../../kv/peer/peer-transport.js';
import type { NodeId, RaftMessage } from '../../../../kv/raft/index.js';

const DELAY_MS = 1;

export class MemoryNetwork {
  readonly #clock: NodeClock;
  readonly #random: () => number;
  readonly #receivers = new Map<NodeId, { receive: PeerReceiver; life: object }>();
  readonly #cut = new Set<string>();
  lossShare = 0;
  sent = 0;

  constructor(clock: NodeClock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  /** A member's end of it; that of an earlier life is dead from here on. */
  transport(id: NodeId): PeerTransport {
    const life = {};
    let addresses: ReadonlyMap<NodeId, string> = new Map();
    const encoder = new MessageEncoder();
    return {
      start: (receive) => {
        this.#receivers.set(id, { receive, life });
      },
      send: (to, message) => {
        if (!addresses.has(to) || this.#receivers.get(id)?.life !== life) return;
        this.#carry(id, to, Buffer.concat(encoder.encode([message])), message);
      },
      setAddresses: (given) => {
        addresses = given;
      },
      figures: () => [...addresses.keys()].map((peer) => this.#figures(id, peer)),
      close: async () => {
        if (this.#receivers.get(id)?.life === life) this.#receivers.delete(id);
      },
    };
  }

  /** Nothing more comes from or to the member. */
  detach(id: NodeId): void {
    this.#receivers.delete(id);
  }

  /** Both ways between every member of one group and every other one. */
  isolate(group: readonly NodeId[], others: readonly NodeId[]): void {
    for (const a of group) for (const b of others) this.#cut.add(`${a}-${b}`).add(`${b}-${a}`);
  }

  heal(): void {
    this.#cut.clear();
  }

  #carry(from: NodeId, to: NodeId, bytes: Buffer, _message: RaftMessage): void {
    this.sent += 1;
    if (this.#random() < this.lossShare) return;
    this.#clock.after(DELAY_MS, () => {
      const end = this.#receivers.get(to);
      if (end === undefined || this.#cut.has(`${from}-${to}`)) return;
      end.receive(from, decodeMessages(Buffer.from(bytes)), `member-${from}:1`);
    });
  }

  #figures(from: NodeId, id: NodeId): PeerFigures {
    const isConnected = this.#receivers.has(id) && !this.#cut.has(`${from}-${id}`);
    const none = { queuedMessages: 0, queuedBytes: 0, sentMessages: 0, sentBytes: 0, droppedMessages: 0 };
    return { id, isConnected, ...none, connects: 0 };
  }
}
