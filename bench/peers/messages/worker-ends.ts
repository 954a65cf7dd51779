// `node:worker_threads` within one process: buffers are transferred, not copied, and come back to be sent again.
// A buffer holds one message, or a batch of small ones. The memory that rotates is the buffers themselves.

import { parentPort, Worker } from 'node:worker_threads';
import { fillLines, type Rotation, sumLines } from '../../rotation.js';
import {
  batchOf,
  KIND_DATA,
  KIND_FINISH,
  KIND_PING,
  type SendingEnd,
  type Tally,
  WINDOW_BYTES,
} from './ends.js';

interface Parcel {
  readonly kind: number;
  /** Where it belongs among those that rotate. */
  readonly index: number;
  readonly messageBytes: number;
  readonly count: number;
  readonly buffer: ArrayBuffer;
}

export class WorkerEnd implements SendingEnd {
  readonly #bytes: number;
  readonly #worker: Worker;
  #buffers: ArrayBuffer[] = [];
  #messageBytes = 0;
  #next = 0;
  #out = 0;
  #onAnswer: ((tally: Tally) => void) | undefined;
  #onReturn: (() => void) | undefined;

  constructor(bytes: number, file: URL) {
    this.#bytes = bytes;
    this.#worker = new Worker(file);
    this.#worker.on('message', (answer: Parcel | Tally) => this.#take(answer));
  }

  async send(rotation: Rotation, count: number): Promise<void> {
    const { messageBytes } = rotation;
    const batch = batchOf(messageBytes);
    if (messageBytes !== this.#messageBytes) this.#fill(messageBytes, batch);
    for (let left = count; left > 0; left -= batch) {
      while (this.#out * batch * messageBytes >= WINDOW_BYTES) await this.#returned();
      const index = this.#next;
      const buffer = this.#buffers[index]!;
      const parcel = { kind: KIND_DATA, index, messageBytes, count: Math.min(batch, left), buffer };
      for (let message = 0; message < parcel.count; message += 1) rotation.next();
      this.#worker.postMessage(parcel, [buffer]);
      this.#out += 1;
      this.#next = (index + 1) % this.#buffers.length;
    }
  }

  finish(): Promise<Tally> {
    return this.#ask({ kind: KIND_FINISH, index: 0, messageBytes: 0, count: 0, buffer: new ArrayBuffer(0) });
  }

  async ping(message: Uint8Array): Promise<void> {
    const buffer = new Uint8Array(message).buffer;
    await this.#ask({ kind: KIND_PING, index: 0, messageBytes: message.length, count: 1, buffer });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #ask(parcel: Parcel): Promise<Tally> {
    return new Promise((resolve) => {
      this.#onAnswer = resolve;
      this.#worker.postMessage(parcel, [parcel.buffer]);
    });
  }

  #returned(): Promise<void> {
    return new Promise((resolve) => {
      this.#onReturn = resolve;
    });
  }

  #take(answer: Parcel | Tally): void {
    if (!('buffer' in answer)) return this.#onAnswer?.(answer);
    this.#buffers[answer.index] = answer.buffer;
    this.#out -= 1;
    this.#onReturn?.();
  }

  #fill(messageBytes: number, batch: number): void {
    const bytes = batch * messageBytes;
    this.#messageBytes = messageBytes;
    this.#next = 0;
    this.#buffers = Array.from({ length: Math.floor(this.#bytes / bytes) }, (_, index) => {
      const buffer = new ArrayBuffer(bytes);
      fillLines(new Uint8Array(buffer), (index * bytes) / 64);
      return buffer;
    });
  }
}

/** The worker, until it is terminated. */
export function readParcels(): void {
  let count = 0;
  let sum = 0;
  parentPort?.on('message', (parcel: Parcel) => {
    if (parcel.kind === KIND_DATA) {
      const bytes = parcel.count * parcel.messageBytes;
      sum = sumLines(new DataView(parcel.buffer), 0, bytes, sum);
      count += parcel.count;
      parentPort?.postMessage(parcel, [parcel.buffer]);
      return;
    }
    parentPort?.postMessage({ count, sum } satisfies Tally);
    if (parcel.kind === KIND_FINISH) count = sum = 0;
  });
}
