// Who sent a datagram, on the native transport: the kernel's words for the address, text only when it is asked for.
// epoll-datagram-port.ts looks every sender up here, so that one who sends often is one object.
// The cache is two-way associative: bounded, without allocation for a sender it knows, and a flood of forged
// senders costs an object per datagram, no more.

import { DATAGRAM_ADDRESS_WORDS, requireAddon } from '../addon/index.js';
import type { UdpPeer, UdpSendOutcome } from './udp-handlers.js';

/** Sets of two; a power of two. */
const SETS = 512;
const INDEX_BITS = Math.log2(SETS);

export interface PeerSender {
  sendTo(peer: EpollPeer, msgId: number | null, body: Uint8Array | string): UdpSendOutcome;
}

interface AddressText {
  readonly host: string;
  readonly port: number;
}

/** Small integers rather than an array: comparing and copying them is what a datagram costs. */
export class EpollPeer implements UdpPeer {
  readonly #owner: PeerSender;
  readonly #word0: number;
  readonly #word1: number;
  readonly #word2: number;
  readonly #word3: number;
  readonly #word4: number;
  readonly #word5: number;
  readonly #word6: number;
  #text: AddressText | null;

  /** Of the words in `source` from `at` on; `text` where it is known already. */
  constructor(owner: PeerSender, source: Int32Array, at: number, text: AddressText | null = null) {
    this.#owner = owner;
    this.#word0 = source[at]!;
    this.#word1 = source[at + 1]!;
    this.#word2 = source[at + 2]!;
    this.#word3 = source[at + 3]!;
    this.#word4 = source[at + 4]!;
    this.#word5 = source[at + 5]!;
    this.#word6 = source[at + 6]!;
    this.#text = text;
  }

  get address(): string {
    return this.#read().host;
  }

  get port(): number {
    return this.#read().port;
  }

  send(first: number | Uint8Array | string, second?: Uint8Array | string): UdpSendOutcome {
    return typeof first === 'number'
      ? this.#owner.sendTo(this, first, second ?? '')
      : this.#owner.sendTo(this, null, first);
  }

  /** @internal */
  isAt(source: Int32Array, at: number): boolean {
    return (
      this.#word1 === source[at + 1] &&
      this.#word0 === source[at] &&
      this.#word5 === source[at + 5] &&
      this.#word4 === source[at + 4] &&
      this.#word3 === source[at + 3] &&
      this.#word2 === source[at + 2] &&
      this.#word6 === source[at + 6]
    );
  }

  /** @internal */
  writeTo(target: Int32Array, at: number): void {
    target[at] = this.#word0;
    target[at + 1] = this.#word1;
    target[at + 2] = this.#word2;
    target[at + 3] = this.#word3;
    target[at + 4] = this.#word4;
    target[at + 5] = this.#word5;
    target[at + 6] = this.#word6;
  }

  #read(): AddressText {
    if (this.#text !== null) return this.#text;
    const words = new Int32Array(DATAGRAM_ADDRESS_WORDS);
    this.writeTo(words, 0);
    this.#text = requireAddon().readAddress(words);
    return this.#text;
  }
}

export class EpollPeers {
  readonly #owner: PeerSender;
  readonly #recent: (EpollPeer | null)[] = Array.from({ length: SETS }, () => null);
  readonly #older: (EpollPeer | null)[] = Array.from({ length: SETS }, () => null);

  constructor(owner: PeerSender) {
    this.#owner = owner;
  }

  /** The peer whose address stands in `records` from `at` on. */
  find(records: Int32Array, at: number): EpollPeer {
    const set = setOf(records, at);
    const recent = this.#recent[set]!;
    if (recent?.isAt(records, at)) return recent;
    const older = this.#older[set]!;
    const peer = older?.isAt(records, at) ? older : new EpollPeer(this.#owner, records, at);
    this.#older[set] = recent;
    this.#recent[set] = peer;
    return peer;
  }
}

/** The port is in the first word, an IPv4 address in the second, or in the sixth when it is mapped into IPv6. */
function setOf(words: Int32Array, at: number): number {
  const mixed = words[at]! ^ Math.imul(words[at + 1]!, 0x85eb_ca6b) ^ Math.imul(words[at + 5]!, 0xc2b2_ae35);
  return Math.imul(mixed, 0x9e37_79b1) >>> (32 - INDEX_BITS);
}
