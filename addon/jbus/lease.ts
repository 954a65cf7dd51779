// A message that is lent: its bytes lie in the ring until the lease is released.
// channel-input.ts makes it; the channel's readers hand it on or copy it. Until all older leases are released too,
// the producer cannot use the bytes again: who keeps a lease for long makes the peer wait.

import { JbusError } from './errors.js';

export interface Message {
  /** The application's, 16 bits. */
  readonly type: number;
  readonly msgId: number;
  readonly data: Uint8Array;
}

export class Lease implements Message {
  readonly type: number;
  readonly msgId: number;
  readonly #onRelease: () => void;
  readonly #isOwn: boolean;
  readonly #bytes: number;
  #data: Uint8Array | undefined;

  /**
   * @param onRelease called once, unless what is lent was kept as it is.
   * @param isOwn the bytes do not lie in the ring: who keeps them need not copy.
   */
  constructor(type: number, msgId: number, data: Uint8Array, onRelease: () => void, isOwn = false) {
    this.type = type;
    this.msgId = msgId;
    this.#data = data;
    this.#bytes = data.length;
    this.#onRelease = onRelease;
    this.#isOwn = isOwn;
  }

  /**
   * A view, or the assembled message. Views made of it earlier must not be read after the release: they then show
   * whatever the peer writes next.
   * @throws JbusError JBUS_RELEASED; JBUS_CLOSED: the channel was closed, and its ring with it.
   */
  get data(): Uint8Array {
    const data = this.#data;
    if (data === undefined) {
      throw new JbusError('JBUS_RELEASED', 'the message was released: copy what is to be kept');
    }
    if (data.length !== this.#bytes) {
      throw new JbusError('JBUS_CLOSED', 'the channel was closed while the message was lent');
    }
    return data;
  }

  get isReleased(): boolean {
    return this.#data === undefined;
  }

  /** The message with bytes of its own, to be kept; the lease is released. */
  keep(): { type: number; msgId: number; data: Buffer } {
    const { type, msgId, data } = this;
    if (this.#isOwn) {
      this.#data = undefined;
      return { type, msgId, data: Buffer.from(data.buffer, data.byteOffset, data.length) };
    }
    const kept = Buffer.from(data);
    this.release();
    return { type, msgId, data: kept };
  }

  /** May be repeated. */
  release(): void {
    if (this.#data === undefined) return;
    this.#data = undefined;
    this.#onRelease();
  }
}
