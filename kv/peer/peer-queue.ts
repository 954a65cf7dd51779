// Messages for one member that have not left yet, bounded. peer-lane.ts fills and empties it.
// Raft gets over every loss, so a full queue drops: of what only the newest matters, the older one; else the oldest of
// the kind that came. While nobody listens only small messages are kept, few of them: appends would be stale by then. Pure.

import type { AppendRequest, RaftMessage } from '../raft/index.js';
import { messageBytes } from './message-codec.js';

export interface PeerQueueLimits {
  /** Default 4,096. */
  readonly messagesMax?: number;
  /** Default 64 MiB. */
  readonly bytesMax?: number;
  /** While there is no connection. Default 64. */
  readonly offlineMax?: number;
}

const DEFAULTS: Required<PeerQueueLimits> = { messagesMax: 4096, bytesMax: 64 * 2 ** 20, offlineMax: 64 };

/** A newer one says everything that an older one said. */
const LATEST_ONLY: ReadonlySet<RaftMessage['type']> = new Set([
  'heartbeat',
  'heartbeat-response',
  'vote',
  'pre-vote',
  'timeout-now',
]);
/** Of no use to a member that comes back: it is asked anew what it has. */
const ONLINE_ONLY: ReadonlySet<RaftMessage['type']> = new Set(['append', 'snapshot', 'propose']);

interface Waiting {
  readonly message: RaftMessage;
  readonly bytes: number;
}

export class PeerQueue {
  readonly #limits: Required<PeerQueueLimits>;
  #waiting: Waiting[] = [];
  #bytes = 0;
  dropped = 0;

  constructor(limits: PeerQueueLimits = {}) {
    this.#limits = { ...DEFAULTS, ...limits };
  }

  get count(): number {
    return this.#waiting.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(message: RaftMessage, isOnline: boolean): void {
    const { messagesMax, bytesMax, offlineMax } = this.#limits;
    if (!isOnline && ONLINE_ONLY.has(message.type)) {
      this.dropped += 1;
      return;
    }
    if (LATEST_ONLY.has(message.type)) this.#dropOldest(message.type);
    if (message.type === 'append' && this.#isOvertaken(message)) this.#drop(this.#waiting.length - 1);
    const bytes = messageBytes(message);
    const countMax = isOnline ? messagesMax : offlineMax;
    while (this.#waiting.length >= countMax || (this.#bytes + bytes > bytesMax && this.#waiting.length > 0)) {
      if (!this.#dropOldest(message.type)) this.#drop(0);
    }
    this.#waiting.push({ message, bytes });
    this.#bytes += bytes;
  }

  /** The next ones, in order: at least one, further ones within `bytesMax`. */
  take(bytesMax: number): RaftMessage[] {
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#waiting) {
      if (count > 0 && bytes + waiting.bytes > bytesMax) break;
      bytes += waiting.bytes;
      count += 1;
    }
    this.#bytes -= bytes;
    return this.#waiting.splice(0, count).map(({ message }) => message);
  }

  /** The connection is gone. */
  wentOffline(): void {
    const kept = this.#waiting.filter(({ message }) => !ONLINE_ONLY.has(message.type));
    const small = kept.slice(-this.#limits.offlineMax);
    this.dropped += this.#waiting.length - small.length;
    this.#waiting = small;
    this.#bytes = small.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The last one only tells a commit index, which the new one tells as well. */
  #isOvertaken({ term, prevIndex, commit }: AppendRequest): boolean {
    const last = this.#waiting.at(-1)?.message;
    return (
      last?.type === 'append' &&
      last.entries.length === 0 &&
      last.term === term &&
      last.prevIndex === prevIndex &&
      last.commit <= commit
    );
  }

  #dropOldest(type: RaftMessage['type']): boolean {
    const at = this.#waiting.findIndex(({ message }) => message.type === type);
    if (at === -1) return false;
    this.#drop(at);
    return true;
  }

  #drop(at: number): void {
    const [gone] = this.#waiting.splice(at, 1);
    this.#bytes -= gone!.bytes; // the caller found it there
    this.dropped += 1;
  }
}
