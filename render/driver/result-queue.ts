// Images between the stream that brings them and the loop that takes them: bounded in bytes, so a slow loop holds the stream back.
// render-job.ts puts in and hands it out.

import assert from 'node:assert/strict';
import type { ImageResult } from './render-results.js';

export class ResultQueue {
  readonly #bytesMax: number;
  readonly #results: ImageResult[] = [];
  #bytes = 0;
  #end: { readonly error: Error | null } | null = null;
  #isOpen = false;
  #onRoom: (() => void) | null = null;
  #onResult: (() => void) | null = null;

  /** One image always fits, however large. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get isEnded(): boolean {
    return this.#end !== null;
  }

  /** Resolves once there is room for more, or nobody wants more. One caller at a time. */
  async put(result: ImageResult): Promise<void> {
    assert(this.#onRoom === null, 'one writer waits at a time');
    if (this.#end !== null) return;
    this.#results.push(result);
    this.#bytes += bytesOf(result);
    this.#onResult?.();
    if (this.#bytes <= this.#bytesMax || this.#isOpen) return;
    await new Promise<void>((resolve) => {
      this.#onRoom = resolve;
    });
    this.#onRoom = null;
  }

  /** The writer is about to end, and waits for nobody any more. */
  release(): void {
    this.#isOpen = true;
    this.#onRoom?.();
  }

  /** No more will come: what is there can still be taken, then `error` is thrown where there is one. */
  end(error: Error | null): void {
    this.#end ??= { error };
    this.#onRoom?.();
    this.#onResult?.();
  }

  /** Gives up what was not taken. */
  drop(): void {
    this.#results.length = 0;
    this.#bytes = 0;
    this.end(null);
  }

  /** The oldest; null at the end. One caller at a time. @throws what it was ended with */
  async take(): Promise<ImageResult | null> {
    while (this.#results.length === 0 && this.#end === null) {
      assert(this.#onResult === null, 'one reader waits at a time');
      await new Promise<void>((resolve) => {
        this.#onResult = resolve;
      });
      this.#onResult = null;
    }
    const result = this.#results.shift();
    if (result !== undefined) {
      this.#bytes -= bytesOf(result);
      if (this.#bytes <= this.#bytesMax) this.#onRoom?.();
      return result;
    }
    if (this.#end?.error) throw this.#end.error;
    return null;
  }
}

function bytesOf(result: ImageResult): number {
  return result.kind === 'rendered' ? result.pixels.length : 0;
}
