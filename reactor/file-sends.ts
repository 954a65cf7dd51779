// The promises of the files that one connection has accepted and not sent yet, oldest first.
// sending-half.ts makes one of these for the first file of a connection and settles them in order.
// Pure: no file, no socket.

import assert from 'node:assert/strict';

interface FileSend {
  readonly bytes: number;
  readonly resolve: (bytes: number) => void;
  readonly reject: (error: Error) => void;
}

export class FileSends {
  readonly #waiting: FileSend[] = [];

  get count(): number {
    return this.#waiting.length;
  }

  /** A promise of `bytes`, for the file behind all others. */
  add(bytes: number): Promise<number> {
    const sent = new Promise<number>((resolve, reject) => this.#waiting.push({ bytes, resolve, reject }));
    // Whoever does not look at the promise learns from onClose that the connection ended; his thread lives on.
    sent.catch(() => undefined);
    return sent;
  }

  /** The newest was refused after all: its promise, which nobody has seen, is forgotten. */
  dropNewest(): void {
    this.#waiting.pop();
  }

  /** The oldest `count` were sent. */
  finish(count: number): void {
    assert(count <= this.#waiting.length);
    for (const file of this.#waiting.splice(0, count)) file.resolve(file.bytes);
  }

  /** The oldest failed. */
  failOldest(error: Error): void {
    this.#waiting.shift()?.reject(error);
  }

  /** None will be sent any more. */
  failAll(error: Error): void {
    for (const file of this.#waiting.splice(0)) file.reject(error);
  }
}
