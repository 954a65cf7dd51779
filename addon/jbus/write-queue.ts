// The writes of a channel that found no room: bounded in number and bytes, in order, each with its deadline.
// channel.ts fills it and pumps it when the peer may have made room; channel-output.ts does the writing.

import type { ChannelOutput, Progress } from './channel-output.js';
import type { ChannelOptions } from './channel-options.js';
import { JbusError } from './errors.js';
import { canceled, PendingWrite } from './pending.js';
import { WaitingLine } from './waiting-line.js';

type Bounds = Required<Pick<ChannelOptions, 'pendingWritesMax' | 'pendingWriteBytesMax'>>;

export class WriteQueue {
  readonly #output: ChannelOutput;
  readonly #bounds: Bounds;
  readonly #line = new WaitingLine<PendingWrite>();
  #bytes = 0;

  constructor(output: ChannelOutput, bounds: Bounds) {
    this.#output = output;
    this.#bounds = bounds;
  }

  get length(): number {
    return this.#line.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get earliestMs(): number {
    return this.#line.earliestMs;
  }

  /** Has it wait behind the others. @throws JbusError JBUS_QUEUE_FULL */
  push(
    type: number,
    msgId: number,
    data: Uint8Array,
    deadlineMs: number,
    signal?: AbortSignal,
  ): PendingWrite {
    this.#checkBounds(data.length);
    const write = new PendingWrite(type, msgId, data, deadlineMs);
    write.watch(signal, () => this.#cancel(write, signal!));
    this.#line.push(write);
    this.#bytes += data.length;
    return write;
  }

  /** Writes what there is room for. 'done': nobody waits any more. */
  pump(): Progress {
    for (let write = this.#line.first; write !== undefined; write = this.#line.first) {
      const progress = this.#output.advance(write);
      if (progress !== 'done') return progress;
      this.#line.shift();
      this.#bytes -= write.data.length;
      write.resolve(write.msgId);
    }
    return 'done';
  }

  /** Rejects those whose time is up with what `toError` makes of the bytes that were written. */
  expire(nowMs: number, toError: (written: number) => JbusError): void {
    for (const write of this.#line.expire(nowMs)) {
      this.#bytes -= write.data.length;
      write.reject(toError(write.written));
    }
  }

  fail(error: JbusError): void {
    this.#bytes = 0;
    for (const write of this.#line.drain()) write.reject(error);
  }

  /** What was written in part cannot be taken back. */
  #cancel(write: PendingWrite, signal: AbortSignal): void {
    if (write.written > 0 || !this.#line.remove(write)) return;
    this.#bytes -= write.data.length;
    write.reject(canceled(signal));
  }

  #checkBounds(bytes: number): void {
    const { pendingWritesMax, pendingWriteBytesMax } = this.#bounds;
    if (this.length === 0) return; // the first may be of any size
    if (this.length < pendingWritesMax && this.#bytes + bytes <= pendingWriteBytesMax) return;
    throw new JbusError(
      'JBUS_QUEUE_FULL',
      `${this.length} writes with ${this.#bytes} bytes wait for room already`,
    );
  }
}
