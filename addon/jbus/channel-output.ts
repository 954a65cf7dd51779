// The writing half of a channel: messages go into the ring whole, or in fragments while the peer drains it.
// channel.ts calls `advance` when a message is submitted and whenever the peer may have made room.

import { fragmentBytes, occupiedBytes, recordBytesMax } from './layout.js';
import type { ChannelLink } from './link.js';

/** A message on its way into the ring. */
export interface Outgoing {
  readonly type: number;
  readonly msgId: number;
  readonly data: Uint8Array;
  /** Bytes that are in the ring already: more than 0, and it cannot be taken back. */
  written: number;
}

/** 'waiting': the peer will ring. 'yielding': there is room, but others want a turn. 'broken': look at the ring. */
export type Progress = 'done' | 'waiting' | 'yielding' | 'broken';

/** Pieces written before the loop gets a turn: a peer that drains fast must not hold this thread. */
const PIECES_PER_TURN = 64;

export class ChannelOutput {
  readonly #link: ChannelLink;
  readonly #recordBytesMax: number;
  readonly #fragmentOccupies: number;
  #messages = 0;
  #bytes = 0;
  #waits = 0;
  #heartbeats = 0;

  constructor(link: ChannelLink) {
    this.#link = link;
    this.#recordBytesMax = recordBytesMax(link.outCapacity);
    this.#fragmentOccupies = occupiedBytes(fragmentBytes(link.outCapacity));
  }

  get messages(): number {
    return this.#messages;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get heartbeats(): number {
    return this.#heartbeats;
  }

  get recordBytesMax(): number {
    return this.#recordBytesMax;
  }

  /** Times a write found the ring full and had to wait. */
  get waits(): number {
    return this.#waits;
  }

  /** Writes the whole message as one record, or nothing. False also for one that needs fragments. */
  tryWrite(type: number, msgId: number, data: Uint8Array): boolean {
    if (data.length > this.#recordBytesMax) return false;
    if (this.#wake(this.#link.writer.write(type, msgId, data)) === 0) return false;
    this.#count(data.length);
    return true;
  }

  /** Writes as much of it as there is room for. */
  advance(message: Outgoing): Progress {
    for (let piece = 0; piece < PIECES_PER_TURN; piece += 1) {
      const before = message.written;
      if (this.#put(message)) return 'done';
      if (message.written > before) continue;
      const needed = this.#nextOccupies(message);
      if (this.#mustWait(needed)) return 'waiting';
      if (this.#put(message)) return 'done';
      if (message.written > before) continue;
      // The record would wrap, which costs less than as much again.
      if (this.#mustWait(needed * 2)) return 'waiting';
      if (this.#put(message)) return 'done';
      if (message.written === before) return 'broken';
    }
    return 'yielding';
  }

  /** Tells the peer in its own ring that this side lives; not when it has yet to read what is there. */
  beat(): void {
    const { writer } = this.#link;
    if (writer.size() > 0) return;
    if (this.#wake(writer.writeHeartbeat()) > 0) this.#heartbeats += 1;
  }

  /** True when the message is complete. */
  #put(message: Outgoing): boolean {
    const { type, msgId, data } = message;
    if (data.length <= this.#recordBytesMax) return this.tryWrite(type, msgId, data);
    message.written += this.#wake(this.#link.writer.writeFragments(type, msgId, data, message.written));
    if (message.written < data.length) return false;
    this.#count(data.length);
    return true;
  }

  #nextOccupies({ data, written }: Outgoing): number {
    if (data.length <= this.#recordBytesMax) return occupiedBytes(data.length);
    return Math.min(this.#fragmentOccupies, occupiedBytes(data.length - written));
  }

  #mustWait(bytes: number): boolean {
    const mustWait = this.#link.writer.prepareWait(Math.min(bytes, this.#link.outCapacity));
    if (mustWait) this.#waits += 1;
    return mustWait;
  }

  #wake(answer: number): number {
    if (answer >= 0) return answer;
    this.#link.doorbell.ring();
    return -1 - answer;
  }

  #count(bytes: number): void {
    this.#messages += 1;
    this.#bytes += bytes;
  }
}
