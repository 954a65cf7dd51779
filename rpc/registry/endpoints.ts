// The addresses of a registry that a client knows, and which of them it talks to now.
// Each registration and each resolver has one of its own; a failure moves it on to the next. Pure.

import assert from 'node:assert/strict';
import type { Caller } from '../call.js';

export interface RegistryEndpoint {
  /** For messages: `10.0.0.5:7400`. */
  readonly name: string;
  readonly caller: Caller;
}

export class Endpoints {
  readonly #all: readonly RegistryEndpoint[];
  #at: number;

  /** @param random where to begin, so that many clients spread over the registries */
  constructor(all: readonly RegistryEndpoint[], random: () => number) {
    assert(all.length > 0);
    this.#all = all;
    this.#at = Math.floor(random() * all.length);
  }

  get current(): RegistryEndpoint {
    return this.#all[this.#at]!; // #at stays below the length, which is not 0
  }

  get count(): number {
    return this.#all.length;
  }

  /** `failed` did not answer: the next one is current, unless somebody moved on already. */
  moveOn(failed: RegistryEndpoint): void {
    if (failed === this.current) this.#at = (this.#at + 1) % this.#all.length;
  }
}
