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
  readonly #join: ((parts: readonly Uint8Array[]) => Uint8Array) | undefined;
  readonly #bytes: number;
  #isOwn: boolean;
  #data: Uint8Array | readonly Uint8Array[] | undefined;

  /**
   * @param data the message, or the parts of one that lies in several places.
   * @param onRelease called once, unless what is lent was kept as it is.
   * @param isOwn the bytes do not lie in the ring: who keeps them need not copy.
   * @param join makes one of the parts, in memory of its own; they are given back then.
   */
  constructor(
    type: number,
    msgId: number,
    data: Uint8Array | readonly Uint8Array[],
    onRelease: () => void,
    isOwn = false,
    join?: (parts: readonly Uint8Array[]) => Uint8Array,
  ) {
    this.type = type;
    this.msgId = msgId;
    this.#data = data;
    this.#bytes = bytesOf(data);
    this.#onRelease = onRelease;
    this.#isOwn = isOwn;
    this.#join = join;
  }

  /**
   * A view, or the assembled message. Views made of it earlier must not be read after the release: they then show
   * whatever the peer writes next. A message in several parts is copied when this is first read.
   * @throws JbusError JBUS_RELEASED; JBUS_CLOSED: the channel was closed, and its ring with it.
   */
  get data(): Uint8Array {
    const data = this.#lent();
    if (data instanceof Uint8Array) return data;
    const joined = this.#join!(data); // whoever lends parts says how they are joined
    this.#data = joined;
    this.#isOwn = true;
    return joined;
  }

  /**
   * The same bytes as `data`, in order, where they lie: one view, or several of a message of about half the ring, which
   * did not fit into one record. Nothing is copied. @throws JbusError as `data`.
   */
  get parts(): readonly Uint8Array[] {
    const data = this.#lent();
    return data instanceof Uint8Array ? [data] : data;
  }

  /** Of the message. */
  get length(): number {
    return this.#bytes;
  }

  get isReleased(): boolean {
    return this.#data === undefined;
  }

  /** The message with bytes of its own, to be kept; the lease is released. */
  keep(): { type: number; msgId: number; data: Buffer } {
    const { type, msgId } = this;
    if (this.#isOwn) {
      const { data } = this;
      this.#data = undefined;
      return { type, msgId, data: Buffer.from(data.buffer, data.byteOffset, data.length) };
    }
    const { parts } = this;
    const kept = parts.length === 1 ? Buffer.from(parts[0]!) : Buffer.concat(parts, this.#bytes);
    this.release();
    return { type, msgId, data: kept };
  }

  /** May be repeated. */
  release(): void {
    if (this.#data === undefined) return;
    this.#data = undefined;
    this.#onRelease();
  }

  #lent(): Uint8Array | readonly Uint8Array[] {
    const data = this.#data;
    if (data === undefined) {
      throw new JbusError('JBUS_RELEASED', 'the message was released: copy what is to be kept');
    }
    if (bytesOf(data) !== this.#bytes) {
      throw new JbusError('JBUS_CLOSED', 'the channel was closed while the message was lent');
    }
    return data;
  }
}

function bytesOf(data: Uint8Array | readonly Uint8Array[]): number {
  if (data instanceof Uint8Array) return data.length;
  let bytes = 0;
  for (const part of data) bytes += part.length;
  return bytes;
}
