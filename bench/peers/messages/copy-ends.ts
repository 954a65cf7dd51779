// The limit: every message is copied once, from the memory that rotates into other memory that rotates, by Buffer.copy.
// Nobody is told and nothing waits. Whether the copy is read as well, as a reader would, is the subject's choice.

import { type Rotation, sumLines } from '../../rotation.js';
import type { SendingEnd, Tally } from './ends.js';

export class CopyEnd implements SendingEnd {
  readonly #source: Buffer;
  readonly #target: Buffer;
  readonly #view: DataView;
  readonly #isRead: boolean;
  #count = 0;
  #sum = 0;

  constructor(memory: Buffer, isRead: boolean) {
    this.#source = memory;
    this.#target = Buffer.alloc(memory.length, 1); // written once, so that no copy pays for page faults
    this.#view = new DataView(this.#target.buffer, this.#target.byteOffset, memory.length);
    this.#isRead = isRead;
  }

  async send(rotation: Rotation, count: number): Promise<void> {
    const { messageBytes } = rotation;
    for (let index = 0; index < count; index += 1) {
      const at = rotation.next();
      this.#source.copy(this.#target, at, at, at + messageBytes);
      if (this.#isRead) this.#sum = sumLines(this.#view, at, messageBytes, this.#sum);
    }
    this.#count += count;
  }

  async finish(): Promise<Tally | null> {
    const tally = { count: this.#count, sum: this.#sum };
    this.#count = 0;
    this.#sum = 0;
    return this.#isRead ? tally : null;
  }

  async close(): Promise<void> {}
}
